"""What each component type gives, on the shipped scripted model."""

import importlib
import pkgutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowground import components
from flowground.components import COMPONENTS
from flowground.components.base import Component, Context, InnerAnswer, Output
from flowground.components.template import parse_template
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import ModelNotReady, RunError
from flowground.core.events import ModelProgress, TurnFinished
from flowground.core.messages import Usage
from flowground.core.values import LONGEST, PastMessage
from flowground.flows.fields import list_types
from flowground.providers.base import Provider
from flowground.providers.scripted import Scripted
from tests.flow_runs import SaidBefore
from tests.running import running, take_turn
from tests.servers import ROOT
from tests.wire import whole, wire

SAID = (PastMessage("user", "my name is {text}"), PastMessage("assistant", "Hi"), PastMessage("user", "and?"))


OTHER = """\
components:
  Said: {type: ChatInput}
  Name: {type: TextInput}
  Out: {type: ChatOutput, input_value: "${Name}: ${Said}"}
"""
"""A flow that others run."""
SERVED = '{"source":"http://SERVER/a%20b","status_code":200,"result":"Served."}'
PARTS = "0: One two.\n9: Three four."
PLACE_ORDER = "tests.own_functions.place_order"
IN_A_FLOW = {
    "ChatInput": ("It: {type: ChatInput}", "Hello"),
    "ChatOutput": ("It: {type: ChatOutput, input_value: said}", "said"),
    "TextInput": ("It: {type: TextInput, input_value: own}", "own"),
    "TextOutput": ("It: {type: TextOutput, input_value: given}", "given"),
    "Prompt": ("It: {type: Prompt, template: 'Hi {name}', name: Ada}", "Hi Ada"),
    "LanguageModel": ("It: {type: LanguageModel, input_value: one}", "You said: one"),
    "ConditionalRouter": ("input_text: a, match_text: a", "${X.true_result}", "a"),
    "SmartRouter": ("input_text: a bill, routes: {order: Orders, bill: Bills}", "${X.bill}", "a bill"),
    "StructuredOutput": ("input_value: 'no 12', output_schema: [{name: n, type: int}]", "${X} ${X.n}", '{"n":12} 12'),
    "Parser": ("It: {type: Parser, input_data: [{text: a, n: 1}, {text: b}], template: '{text}{n}'}", "a1\nb"),
    "RunFlow": ("It: {type: RunFlow, flow: other, input_value: said, Name: Ada}", "Ada: said"),
    "ForEach": ("data: [{text: a, n: 1}, b], flow: other, input_value: '{text}!'", "{n} {text}", "1 : a!\n : b!"),
    "Agent": (
        'It: {type: Agent, input_value: \'call Calculator {"expression": "6*7"}\', tools: [Calculator]}\n'
        "  Calculator: {type: Calculator}",
        "The tools said: 42",
    ),
    "Calculator": ("It: {type: Calculator, expression: 6 * 7}", "42"),
    "CurrentDate": (
        "Now: {type: CurrentDate, timezone: Europe/Berlin}\n"
        "  Gate: {type: ConditionalRouter, input_text: '${Now}', operator: ends with, match_text: Berlin),\n"
        "    true_case_message: it is}\n  It: {type: Prompt, template: '{v}', v: '${Gate.true_result}'}",
        "it is",
    ),
    "CombineText": ("It: {type: CombineText, text1: one, text2: two}", "one two"),
    "TypeConverter": ('input_data: \'[{"text": "a"}, {"text": "b"}]\', output_type: Table', "<{text}>", "<a>\n<b>"),
    "DataOperations": ("data: [{n: 2}, {n: 1}], operation: Sort, column_name: n", "{n}", "1\n2"),
    "SplitText": ("input_value: One two. Three four., chunk_size: 12, chunk_overlap: 0", "{start}: {text}", PARTS),
    "Retrieve": ("It: {type: Retrieve, knowledge: rules, search_query: badge, top_k: 1}", "Badges are worn."),
    "File": (
        "X: {type: File, path: rules.md}\n"
        "  It: {type: Parser, input_data: '${X.dataframe}', template: '{source}: {text}'}",
        "rules.md: Badges are worn.",
    ),
    "APIRequest": ("url_input: 'http://SERVER/{page}', page: a b", "${X}", SERVED),
    "URL": ("urls: 'http://SERVER/', allowed_hosts: [SERVER]", "{text}", "Served."),
    "WebSearch": ("query: tea", "{title}: {text}", "Tea: Served."),
    "SQL": ("database: badges, query: 'SELECT name FROM badges WHERE number = {n}', n: '7'", "{name}", "Ada"),
    "PythonFunction": (f"function: {PLACE_ORDER}, arguments: {{lines: [{{article: tea}}]}}", "${X}", "1 tea"),
    "MCP": ("It: {type: MCP, server: orders, tools: [find_order], arguments: {number: 7}}", "Order 7 is sent."),
    "MessageHistory": ("It: {type: MessageHistory, template: '<{text}>'}", "<Hello>\n<>"),
    "Recall": ("It: {type: Recall, search_query: hello, template: '<{text}>'}", "<Hello>"),
    "StoreMessage": ("It: {type: StoreMessage, message: Noted.}", "Noted."),
}
"""Each type as `It` of a flow, and what it gives to the second "Hello" of a conversation (MessageHistory: the first was
answered with nothing). `SERVER` is one that says "Served.". Of three texts the first are the fields of a component `X`
of this type, the second what a text makes of `${X}`, or a template of its records."""


def write_components(kind: str, fields: str, shown: str = "") -> str:
    it = f"Parser, input_data: '${{X}}', template: '{shown}'"
    if "${" in shown:
        it = f"Prompt, template: '{{v}}', v: '{shown}'"
    return f"X: {{type: {kind}, {fields}}}\n  It: {{type: {it}}}" if shown else fields


@pytest.mark.parametrize("kind", COMPONENTS)
async def test_each_type_runs_in_a_flow(kind: str, tmp_path: Path) -> None:
    assert kind in IN_A_FLOW, f"tests/test_components.py has no flow with {kind} in IN_A_FLOW"
    if kind == "MCP":
        pytest.importorskip("mcp", reason="needs mcp (requirements-mcp.txt)")
    *lines, expected = IN_A_FLOW[kind]
    flow = f"components:\n  {write_components(kind, *lines)}\n  Out: {{type: ChatOutput, input_value: '${{It}}'}}\n"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "rules.md").write_text("Badges are worn.")
    with closing(sqlite3.connect(tmp_path / "badges.db")) as badges, badges:
        badges.executescript("CREATE TABLE badges (number INTEGER, name TEXT); INSERT INTO badges VALUES (7, 'Ada')")
    found = whole({"results": [{"title": "Tea", "content": "Served.", "url": "https://a.example/"}]})
    served = whole(b"Served.", headers="Content-Type: text/plain\r\n")
    async with wire([found if kind == "WebSearch" else served]) as server:
        here = server.url.removeprefix("http://")
        config = {
            "knowledge": {"rules": {"files": ["rules.md"]}},
            "outgoing": {"private_networks": ["127.0.0.1"]},
            "search": {"provider": "searxng", "url": server.url},
            "databases": {"badges": {"url": "sqlite:///badges.db"}},
            "functions": {"modules": ["tests.own_functions"]},
            "mcp_servers": {"orders": {"command": [sys.executable, "-m", "tests.mcp_server"], "folder": str(ROOT)}},
        }
        flow, expected = flow.replace("SERVER", here), expected.replace("SERVER", here)
        end = await say_hello_twice(tmp_path, {"it": flow, "other": OTHER}, config)
    assert isinstance(end, TurnFinished)
    assert [output.text for output in end.outputs] == [expected]


async def say_hello_twice(folder: Path, flows: Mapping[str, str], config: Mapping[str, Any]) -> Any:
    """The last event of the second turn."""
    async with running(folder, flows, config=config) as runtime:
        for _ in range(2):
            request = RunRequest(input_value="Hello", session_id="s", output_component="Out")
            wired = await runtime.access.open_flow(LOCAL_OWNER, "it")
            events = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, request)]
    return events[-1]


def test_every_component_class_stands_in_the_table() -> None:
    found: set[type] = set()
    for module in pkgutil.iter_modules(components.__path__, f"{components.__name__}."):
        names = vars(importlib.import_module(module.name)).values()
        found |= {item for item in names if isinstance(item, type) and issubclass(item, Component)}
    assert {kind for kind in found if "outputs" in vars(kind)} == set(COMPONENTS.values())


class ScriptedModels:
    """Every model name is answered by the script of that name."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        return Scripted(), model or "echo"


def read(output: Output) -> Any:
    """The one value it gives, beside the files of which there were none."""
    (value,) = (value for port, value in output.values.items() if (port, value) != ("files", ()))
    return value


async def run_no_flow(flow: str, message: str, inputs: Mapping[str, str]) -> InnerAnswer:
    raise AssertionError("These components run no flow.")


async def run(kind: str, said: str | None = None, *, emitted: list[Any] | None = None, **fields: Any) -> Output:
    component: Component = COMPONENTS[kind].model_validate(fields)

    async def emit(piece: Any) -> None:
        assert emitted is not None
        emitted.append(piece)

    watched = None if emitted is None else emit
    return await component.run(Context("It", said, SaidBefore(*SAID), ScriptedModels(), watched, run_no_flow))


async def test_a_prompt_fills_its_variables_and_looks_at_no_value_again() -> None:
    output = await run("Prompt", template="Hi {name}, {{name}} {name}", name="{other} ${X}")
    assert read(output) == "Hi {other} ${X}, {name} {other} ${X}"
    prompt = COMPONENTS["Prompt"].model_validate({"template": "{a} {b}", "a": "", "b": "own"})
    context = Context("It", None, SaidBefore(*SAID), ScriptedModels(), None, run_no_flow)
    for filled, text in (({"a": "filled"}, "filled own"), ({"template": "<{b}>"}, "<own>"), ({}, " own")):
        assert read(await prompt.model_copy(update=filled).run(context)) == text


async def test_a_small_template_cannot_ask_for_all_memory() -> None:
    """It may come as a tweak, the value as the message: 1,000 of `{name}` times 200,000 characters are 200 MB."""
    assert len(read(await run("Prompt", template="{name}" * 10, name="a" * (LONGEST // 10)))) == LONGEST
    with pytest.raises(RunError, match="over 3,000,000 characters"):
        await run("Prompt", template="{name}" * 1_000, name="a" * 200_000)
    component = COMPONENTS["MessageHistory"].model_validate({"template": "{text}" * 1_000})
    long = SaidBefore(*[PastMessage("user", "a" * 2_000)] * 2)
    with pytest.raises(RunError, match="over 3,000,000 characters"):
        await component.run(Context("It", None, long, ScriptedModels(), None, run_no_flow))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}'),
        ("{ v }", "{ v }"),
        ("{}", "{}"),
        ("{{v}}", "{v}"),
        ("{{{v}}}", "{1}"),
        ("{v.x} {v[0]} {v!r} {v:>3}", "{v.x} {v[0]} {v!r} {v:>3}"),
        ("{1v} {v-w} {é}", "{1v} {v-w} {é}"),
        ("v}", "v}"),
    ],
)
async def test_only_a_plain_name_in_braces_is_a_variable(template: str, text: str) -> None:
    assert parse_template(template).fill({"v": "1"}) == text


async def test_a_model_streams_where_somebody_watches() -> None:
    emitted: list[Any] = []
    output = await run("LanguageModel", input_value="one two", emitted=emitted)
    assert emitted == ["You ", "said: ", "one ", "two"]
    assert output == Output({"text_output": "You said: one two"}, "scripted:echo", Usage(2, 4), "stop")
    emitted.clear()
    assert read(await run("LanguageModel", input_value="one", stream=False, emitted=emitted)) == "You said: one"
    assert emitted == []
    await run("LanguageModel", model="fetching", input_value="x", emitted=emitted)
    assert [type(piece) for piece in emitted[:2]] == [ModelProgress, ModelProgress]


WHOLE: dict[str, dict[str, Any]] = {
    "LanguageModel": {"input_value": "x", "stream": False},
    "SmartRouter": {"input_text": "x", "routes": {"a": ""}},
    "StructuredOutput": {"input_value": "x", "output_schema": [{"name": "a"}]},
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_who_needs_the_whole_answer_waits_for_a_model_where_somebody_watches(kind: str) -> None:
    emitted: list[Any] = []
    assert (await run(kind, model="fetching", emitted=emitted, **WHOLE[kind])).values
    assert [piece.received for piece in emitted] == [0, 400, 800, 1000]
    with pytest.raises(ModelNotReady):
        await run(kind, model="fetching", **WHOLE[kind])


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
            assert all((known.title, known.description, known.kind != "a value")), known


def test_what_a_model_may_set_and_what_no_reference_fills() -> None:
    """Who else may set a field is said in docs/components.md, which is compared."""
    every = [(kind.type_name, field) for kind in COMPONENTS.values() for field in list_types(kind).values()]
    assert [f"{name}.{field.name}" for name, field in every if field.model_may_set] == [
        "Calculator.expression", "CurrentDate.timezone", "Recall.search_query", "StoreMessage.message",
        "RunFlow.input_value", "Agent.input_value", "Retrieve.search_query", "URL.urls", "WebSearch.query", "SQL.query",
    ]  # fmt: skip
    assert [f"{name}.{field.name}" for name, field in every if field.is_text and not field.takes_references] == [
        "ChatInput.sender_name", "ChatOutput.sender_name",
        "LanguageModel.model", "StructuredOutput.model", "StructuredOutput.schema_name",
        "SmartRouter.model", "SmartRouter.default_route", "RunFlow.flow", "ForEach.flow", "Agent.model",
        "Retrieve.knowledge", "APIRequest.url_input", "SQL.database", "SQL.query",
        "PythonFunction.function", "MCP.server",
    ]  # fmt: skip
