"""What each component type gives, on the shipped scripted model."""

import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from flowground import components
from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.components import COMPONENTS
from flowground.components.base import Component, Context, Output, declare
from flowground.components.template import parse_template
from flowground.errors import ProviderBusy, RunError
from flowground.events import ModelProgress, TurnFinished
from flowground.fields.types import list_types
from flowground.messages import Message, Usage
from flowground.providers.base import Provider
from flowground.providers.scripted import Scripted
from flowground.values import LONGEST, ValueKind
from tests.running import running, take_turn

pytestmark = pytest.mark.anyio

SAID = (Message("user", "my name is {text}"), Message("assistant", "Hi"), Message("user", "and?"))


IN_A_FLOW = {
    "ChatInput": ("It: {type: ChatInput}", "Hello"),
    "ChatOutput": ("It: {type: ChatOutput, input_value: said}", "said"),
    "TextInput": ("It: {type: TextInput, input_value: own}", "own"),
    "TextOutput": ("It: {type: TextOutput, input_value: given}", "given"),
    "Prompt": ("It: {type: Prompt, template: 'Hi {name}', name: Ada}", "Hi Ada"),
    "LanguageModel": ("It: {type: LanguageModel, input_value: one}", "You said: one"),
    "ConditionalRouter": (
        "Gate: {type: ConditionalRouter, input_text: a, match_text: a}\n"
        "  It: {type: Prompt, template: '{v}', v: '${Gate.true_result}'}",
        "a",
    ),
    "SmartRouter": (
        "Route: {type: SmartRouter, input_text: a bill, routes: {order: Orders, bill: Bills}}\n"
        "  It: {type: Prompt, template: '{v}', v: '${Route.bill}'}",
        "a bill",
    ),
    "StructuredOutput": (
        "Found: {type: StructuredOutput, input_value: 'no 12, 3.5', output_schema: [{name: n, type: int}]}\n"
        "  It: {type: Prompt, template: '{v} {n}', v: '${Found}', n: '${Found.n}'}",
        '{"n":12} 12',
    ),
    "Parser": ("It: {type: Parser, input_data: [{text: a, n: 1}, {text: b}], template: '{text}{n}'}", "a1\nb"),
    "MessageHistory": ("It: {type: MessageHistory, template: '<{text}>'}", "<Hello>\n<>"),
}
"""Each type as `It` of a flow, and what it gives to the second "Hello" of a conversation (MessageHistory: the first was
answered with nothing)."""


@pytest.mark.parametrize("kind", COMPONENTS)
async def test_each_type_runs_in_a_flow(kind: str, tmp_path: Path) -> None:
    assert kind in IN_A_FLOW, f"tests/test_components.py has no flow with {kind} in IN_A_FLOW"
    lines, expected = IN_A_FLOW[kind]
    flow = f"components:\n  {lines}\n  Out: {{type: ChatOutput, input_value: '${{It}}'}}\n"
    async with running(tmp_path, {"it": flow}) as runtime:
        for _ in range(2):
            request = RunRequest(input_value="Hello", session_id="s", output_component="Out")
            wired = await runtime.access.open_flow(LOCAL_OWNER, "it")
            events = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, request)]
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert [output.text for output in end.outputs] == [expected]


@pytest.mark.parametrize(
    ("operator", "text", "wanted", "is_exact", "holds"),
    [
        ("equals", "a", "a", True, True),
        ("equals", "A", "a", True, False),
        ("equals", "A", "a", False, True),
        ("not equals", "a", "b", True, True),
        ("contains", "STRASSE", "straße", False, True),
        ("starts with", "abc", "ab", True, True),
        ("ends with", "abc", "ab", True, False),
        ("regex", "order 12", r"order \d+", True, True),
        ("regex", "my order 12", r"order \d+", True, False),
        ("regex", "ORDER 12", "order|bill", False, True),
        ("regex", "x" * 1_000_000, "(x+x+)+y", True, False),
        ("less than", "2", "10", True, True),
        ("less than or equal", "10", "10.0", True, True),
        ("greater than", "9", "10", True, False),
        ("greater than or equal", "1e3", "1000", True, True),
        ("greater than", "many", "1", True, False),
    ],
)
async def test_a_router_compares(operator: str, text: str, wanted: str, is_exact: bool, holds: bool) -> None:
    fields: dict[str, Any] = {"input_text": text, "operator": operator, "match_text": wanted}
    fields["case_sensitive"] = is_exact
    assert (await run("ConditionalRouter", **fields)).values == {f"{str(holds).lower()}_result": text}
    said = await run("ConditionalRouter", **fields, true_case_message="yes", false_case_message="no")
    assert read(said) == ("yes" if holds else "no")


@pytest.mark.parametrize(("pattern", "why"), [("(", "unclosed group"), ("(?=a)", "look-around"), ("a" * 1001, "limit")])
async def test_a_pattern_that_cannot_be_read_fails_by_its_reason(pattern: str, why: str) -> None:
    with pytest.raises(RunError, match=f"The pattern cannot be read: .*{why}"):
        await run("ConditionalRouter", input_text="x", operator="regex", match_text=pattern)


def test_every_component_class_stands_in_the_table() -> None:
    found: set[type] = set()
    for module in pkgutil.iter_modules(components.__path__, f"{components.__name__}."):
        names = vars(importlib.import_module(module.name)).values()
        found |= {item for item in names if isinstance(item, type) and issubclass(item, Component)}
    assert {kind for kind in found if not kind.__name__.startswith("_")} - {Component} == set(COMPONENTS.values())


class ScriptedModels:
    """Every model name is answered by the script of that name."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        return Scripted(), model or "echo"


async def history(limit: int) -> Sequence[Message]:
    return SAID[-limit:]


def read(output: Output) -> Any:
    """The one value it gives."""
    (value,) = output.values.values()
    return value


async def run(kind: str, said: str | None = None, *, emitted: list[Any] | None = None, **fields: Any) -> Output:
    component: Component = COMPONENTS[kind].model_validate(fields)

    async def emit(piece: Any) -> None:
        assert emitted is not None
        emitted.append(piece)

    watched = None if emitted is None else emit
    return await component.run(Context("It", said, history, ScriptedModels(), watched))


@pytest.mark.parametrize("kind", ["ChatInput", "TextInput"])
async def test_an_input_gives_the_requests_text_else_its_own(kind: str) -> None:
    assert read(await run(kind, "from outside", input_value="own")) == "from outside"
    assert read(await run(kind, None, input_value="own")) == "own"
    assert read(await run(kind, "", input_value="own")) == ""
    assert read(await run(kind)) == ""


@pytest.mark.parametrize("kind", ["ChatOutput", "TextOutput"])
async def test_an_output_gives_what_it_is_given(kind: str) -> None:
    assert read(await run(kind, input_value="answer")) == "answer"


async def test_a_prompt_fills_its_variables_and_looks_at_no_value_again() -> None:
    output = await run("Prompt", template="Hi {name}, {{name}} {name}", name="{other} ${X}")
    assert read(output) == "Hi {other} ${X}, {name} {other} ${X}"


async def test_a_small_template_cannot_ask_for_all_memory() -> None:
    """It may come as a tweak, the value as the message: 1,000 of `{name}` times 200,000 characters are 200 MB."""
    assert len(read(await run("Prompt", template="{name}" * 10, name="a" * (LONGEST // 10)))) == LONGEST
    with pytest.raises(RunError, match="over 3,000,000 characters"):
        await run("Prompt", template="{name}" * 1_000, name="a" * 200_000)
    component = COMPONENTS["MessageHistory"].model_validate({"template": "{text}" * 1_000})

    async def long_history(limit: int) -> Sequence[Message]:
        return [Message("user", "a" * 2_000)] * 2

    with pytest.raises(RunError, match="over 3,000,000 characters"):
        await component.run(Context("It", None, long_history, ScriptedModels(), None))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}'),
        ('{"a": [1, {"b": 2 }]}', '{"a": [1, {"b": 2 }]}'),
        ("{ v }", "{ v }"),
        ("{}", "{}"),
        ("{{v}}", "{v}"),
        ("{{{v}}}", "{1}"),
        ("{v.x} {v[0]} {v!r} {v:>3}", "{v.x} {v[0]} {v!r} {v:>3}"),
        ("{1v} {v-w} {é}", "{1v} {v-w} {é}"),
        ("{v", "{v"),
        ("v}", "v}"),
    ],
)
async def test_only_a_plain_name_in_braces_is_a_variable(template: str, text: str) -> None:
    assert parse_template(template).fill({"v": "1"}) == text


async def test_a_copy_with_filled_fields_gives_the_new_text() -> None:
    prompt = COMPONENTS["Prompt"].model_validate({"template": "{a} {b}", "a": "", "b": "own"})
    context = Context("It", None, history, ScriptedModels(), None)
    assert read(await prompt.model_copy(update={"a": "filled"}).run(context)) == "filled own"
    assert read(await prompt.model_copy(update={"template": "<{b}>"}).run(context)) == "<own>"
    assert read(await prompt.run(context)) == " own"


async def test_a_model_is_told_only_what_the_flow_sets() -> None:
    plain = await run("LanguageModel", model="json", input_value="hi")
    assert json.loads(read(plain)) == {"model": "json", "messages": [{"role": "user", "content": "hi"}], "options": {}}
    full = await run(
        "LanguageModel",
        model="json",
        input_value="hi",
        system_message="Be brief.",
        temperature=0,
        max_tokens=5,
        top_p=0.5,
        seed=7,
        stream=False,
    )
    told = json.loads(read(full))
    assert told["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert told["options"] == {"temperature": 0, "max_tokens": 5, "top_p": 0.5, "seed": 7}


async def test_a_model_streams_where_somebody_watches() -> None:
    emitted: list[str | ModelProgress] = []
    output = await run("LanguageModel", input_value="one two", emitted=emitted)
    assert emitted == ["You ", "said: ", "one ", "two"]
    assert output == Output({"text_output": "You said: one two"}, "scripted:echo", Usage(2, 4), "stop")


async def test_a_models_progress_reaches_who_watches() -> None:
    emitted: list[str | ModelProgress] = []
    await run("LanguageModel", model="fetching", input_value="x", emitted=emitted)
    assert [type(piece) for piece in emitted[:2]] == [ModelProgress, ModelProgress]


async def test_stream_false_gives_the_text_whole() -> None:
    emitted: list[str | ModelProgress] = []
    output = await run("LanguageModel", input_value="one", stream=False, emitted=emitted)
    assert (emitted, read(output)) == ([], "You said: one")


@pytest.mark.parametrize("emitted", [None, []])
async def test_a_models_failure_is_raised(emitted: list[Any] | None) -> None:
    with pytest.raises(ProviderBusy):
        await run("LanguageModel", model="busy", input_value="x", emitted=emitted)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "User: my name is {text}\nAI: Hi\nUser: and?"),
        ({"n_messages": 2}, "AI: Hi\nUser: and?"),
        ({"n_messages": 0}, ""),
        ({"order": "Descending", "n_messages": 2}, "User: and?\nAI: Hi"),
        ({"template": "<{sender}> {text}", "n_messages": 2}, "<Machine> Hi\n<User> and?"),
    ],
)
async def test_the_history_is_text_a_message_a_line(fields: dict[str, Any], text: str) -> None:
    assert read(await run("MessageHistory", **fields)) == text


def test_every_field_says_what_it_is() -> None:
    for kind in COMPONENTS.values():
        assert kind.__doc__
        for known in list_types(kind).values():
            assert known.title, known
            assert known.description, known
            assert known.kind != "a value", known


def test_who_may_set_a_field_are_three_questions() -> None:
    every = [(kind.type_name, field) for kind in COMPONENTS.values() for field in list_types(kind).values()]
    assert [f"{name}.{field.name}" for name, field in every if not field.callers_may_set] == [
        "LanguageModel.model",
        "SmartRouter.model",
        "SmartRouter.routes",
        "SmartRouter.default_route",
        "StructuredOutput.model",
        "StructuredOutput.output_schema",
        "Parser.input_data",
    ]
    assert [f"{name}.{field.name}" for name, field in every if field.is_text and not field.takes_references] == [
        "LanguageModel.model",
        "SmartRouter.model",
        "SmartRouter.default_route",
        "StructuredOutput.model",
        "StructuredOutput.schema_name",
    ]


class Split(Component):
    """A key, a name that callers may set and no reference, a text that a reference may fill and no caller."""

    type_name: ClassVar[str] = "Split"
    title: ClassVar[str] = "Split"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    key: str = declare("", "Key", "A key.", secret=True)
    name: str = declare("", "Name", "A name.", literal=True)
    text: str = declare("", "Text", "A text.", protected=True)


def test_what_a_reference_fills_and_what_a_caller_sets_are_marked_apart() -> None:
    marks = {field.name: (field.takes_references, field.callers_may_set) for field in list_types(Split).values()}
    assert marks == {"key": (False, False), "name": (False, True), "text": (True, False)}
