"""Branches and joins: what runs, what is skipped, and what an answer is made of then.

Properties of branches: a component runs exactly when its rule says so, a join says what its branches say, in order,
and the order of a file changes nothing.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowground.components import COMPONENTS
from flowground.components.base import Component, Context, Output, declare
from flowground.core.caller import RunRequest
from flowground.core.errors import ComponentFailed
from flowground.core.events import ComponentFinished, RunEvent, RunFinished, Token
from flowground.core.values import ValueKind, check_size
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from flowground.ui.conversation.messages import write_steps
from tests.flow_runs import nothing_said, read_into
from tests.flow_texts import mistakes
from tests.meeting import Meeting

ROUTER = """
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: refund, input_value: "${Gate.true_result}"}
  Other: {type: LanguageModel, model: other, input_value: "${Gate.false_result}"}
  Wrapped: {type: Prompt, template: "[{a}]", a: "${Other}"}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Wrapped?}"}
"""


class Table(Component):
    """Gives records, and data."""

    type_name: ClassVar[str] = "Table"
    title: ClassVar[str] = "Table"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"rows": "records", "facts": "data"}

    facts: dict[str, Any] | list[Any] | float | None = declare(None, "Facts", "Facts.", kind="data")

    async def run(self, context: Context) -> Output:
        return Output({"rows": [{"text": "one", "n": 1}, {"text": "two"}], "facts": self.facts})


TYPES: dict[str, type[Component]] = {**COMPONENTS, "Table": Table}


def wired(text: str) -> WiredFlow:
    return wire(parse_flow(text, "talk.yaml"), types=TYPES)


async def run(
    flow: WiredFlow | str, said: str = "hi", *, stream: bool = True, limits: Limits | None = None
) -> list[RunEvent]:
    flow = wired(flow) if isinstance(flow, str) else flow
    request = RunRequest(input_value=said, stream=stream)
    events: list[RunEvent] = []
    limits = limits or Limits()
    await read_into(events, run_flow(flow, request, history=nothing_said, models=Meeting(1), limits=limits))
    return events


def find_end(events: list[RunEvent]) -> RunFinished:
    end = events[-1]
    assert isinstance(end, RunFinished)
    return end


def find_steps(events: list[RunEvent]) -> dict[str, str]:
    return {event.component_id: event.status for event in events if isinstance(event, ComponentFinished)}


def find_tokens(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


@pytest.mark.parametrize(
    ("said", "skipped", "answer", "source", "model", "streamed"),
    [
        ("a refund!", {"Other", "Wrapped"}, "refund", "Refund", "refund", "refund"),
        ("hello", {"Refund"}, "[other]", "Wrapped", None, ""),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_one_branch_runs_and_the_other_is_skipped(
    said: str, skipped: set[str], answer: str, source: str, model: str | None, streamed: str, stream: bool
) -> None:
    events = await run(ROUTER, said, stream=stream)
    steps = find_steps(events)
    assert {name for name, status in steps.items() if status == "skipped"} == skipped
    assert len(steps) == 6
    result = find_end(events).results["ChatOutput"]
    assert (result.text, result.source_id, result.model) == (answer, source, model)
    assert find_tokens(events) == (streamed if stream else "")


async def test_a_skipped_output_gives_nothing_and_an_empty_text_is_something() -> None:
    flow = wired(ROUTER.replace("${Refund?}${Wrapped?}", "${Refund}"))
    end = find_end(await run(flow, "hello"))
    assert (end.results, end.selected, end.outputs) == ({}, (), ())
    assert find_end(await run(flow, "a refund")).selected == ("ChatOutput",)
    events = await run(ROUTER.replace("model: refund, ", "model: '', "), "a refund")
    assert find_steps(events)["ChatOutput"] == "done"
    assert find_end(events).results["ChatOutput"].text == ""


@pytest.mark.parametrize(
    ("lines", "joined", "answer"),
    [
        (
            """
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", match_text: hi}
  Never: {type: LanguageModel, model: never, input_value: "${Gate.false_result}"}
  Later: {type: LanguageModel, model: later, input_value: "${First}"}
  First: {type: LanguageModel, model: first, input_value: "${Gate.true_result}"}
  Plain: {type: Prompt, template: "-"}""",
            "${Never?}${Plain?}${First?}${Later?}",
            "-firstlater",
        ),
        (
            """
  Early: {type: LanguageModel, model: early, input_value: "${ChatInput}"}
  Slow: {type: LanguageModel, model: slow, input_value: "${Early}"}""",
            "${Slow?}${Early?}",
            "slowearly",
        ),
    ],
    ids=["in order", "held until those before have their end"],
)
async def test_several_that_are_given_are_texts_in_order_and_stream_so(lines: str, joined: str, answer: str) -> None:
    output = f'\n  ChatOutput: {{type: ChatOutput, input_value: "{joined}"}}\n'
    events = await run("components:\n  ChatInput: {type: ChatInput}" + lines + output)
    assert (find_end(events).results["ChatOutput"].text, find_tokens(events)) == (answer, answer)


async def test_records_are_filled_where_records_are_taken_and_are_text_in_a_text() -> None:
    flow = """
components:
  T: {type: Table}
  Show: {type: Parser, input_data: "${T}", template: "{text}/{n}", sep: ", "}
  All: {type: Parser, input_data: "${T.rows}", mode: Stringify, sep: ";"}
  Inside: {type: Prompt, template: "<{t}>", t: "${T}"}
  Out: {type: TextOutput, input_value: "${Show} ${All} ${Inside}"}
"""
    end = find_end(await run(flow))
    assert end.results["Out"].text == 'one/1, two/ {"text":"one","n":1};{"text":"two"} <one\n\ntwo>'


async def test_a_value_over_the_limit_fails_the_component_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = 'components:\n  T: {type: Table, facts: [LONG]}\n  Out: {type: TextOutput, input_value: "${T.facts}"}\n'
    flow = flow.replace("LONG", "a" * 2000)
    monkeypatch.setattr("flowground.runs.runner.check_size", partial(check_size, most=1_024))
    with pytest.raises(ComponentFailed, match=r"'T' failed: The component makes a value of over 1,024 bytes\."):
        await run(flow)
    monkeypatch.setattr("flowground.runs.runner.check_size", partial(check_size, most=3_000))
    await run(flow)


@pytest.mark.parametrize(("facts", "answer"), [("{a: 1}", None), ("[1, {b: 2}]", None), ("0.5", "0.5"), ("9", None)])
async def test_a_value_is_checked_against_the_fields_bounds_when_it_arrives(facts: str, answer: str | None) -> None:
    flow = f"""
components:
  T: {{type: Table, facts: {facts}}}
  M: {{type: LanguageModel, model: says, input_value: x, temperature: "${{T.facts}}"}}
  Out: {{type: TextOutput, input_value: "${{T.facts}}"}}
"""
    if answer is None:
        with pytest.raises(ComponentFailed, match=r"Component 'M' failed: `temperature` is a number from 0 to 2, not"):
            await run(flow)
    else:
        assert find_end(await run(flow)).results["Out"].text == answer


async def test_a_join_of_other_kinds_takes_one_and_no_more() -> None:
    flow = """
components: {A: {type: Table}, B: {type: Table}, Show: {type: Parser, input_data: "${A?}${B?}"},
  Out: {type: TextOutput, input_value: "${Show}"}}
"""
    with pytest.raises(ComponentFailed, match="joins branches of which one may run"):
        await run(flow)


FALLING = """
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: fails, input_value: "${ChatInput}", step: STEP}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


@pytest.mark.parametrize(
    ("step", "answer"), [("{on_error: continue, fallback: Sorry.}", "Sorry."), ("{on_error: continue}", "")]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_fallback_stands_for_what_a_failed_component_did_not_give(step: str, answer: str, stream: bool) -> None:
    events = await run(FALLING.replace("STEP", step), stream=stream)
    assert find_end(events).results["ChatOutput"].text == answer
    assert find_steps(events) == {"ChatInput": "done", "Model": "failed", "ChatOutput": "done"}
    [failed] = [event for event in events if isinstance(event, ComponentFinished) and event.status == "failed"]
    assert failed.text == "The model fails."
    with pytest.raises(ComponentFailed, match=r"The model fails\."):
        await run(FALLING.replace("STEP", "{description: asks the model}"), stream=stream)


SHORT = {
    "MODEL": "type: LanguageModel, input_value: x",
    "OUT": "type: ChatOutput, input_value: x",
    "GATE": "type: ConditionalRouter, input_text: x",
}


@pytest.mark.parametrize(
    ("lines", "output", "expected"),
    [
        ("G: {GATE, match_text: y}", "G", "3:39: `G` gives one of its outputs: say which, `${G.true_result}` or `${G."),
        ('A: {type: ChatInput}\nP: {type: Parser, input_data: "${A}"}', "P", "3:34: `${A}` is text, and `input_data`"),
        ('G: {GATE, operator: regex, match_text: "(a"}', "G.true_result?", "2:77: This pattern cannot be read:"),
        ("M: {MODEL, step: {fallback: a}}", "M", "2:51: `step.fallback` has a meaning with `on_error: continue` only."),
        ("M: {MODEL, step: {on_error: continue, fallback: [a]}}", "M", "2:81: `step.fallback` of LanguageModel is"),
        ("M: {MODEL, step: {on_error: goon}}", "M", "2:61: `components.M.step.on_error` is one of fail, continue"),
        ("O: {OUT, step: {on_error: continue}}", "", "2:48: `step.on_error` is for components that ask somebody else"),
        (
            "O: {OUT, step: {on_eror: fail}}",
            "",
            "2:48: There is no `on_eror` in `components.O.step`. (did you mean on_error?)",
        ),
        ("O: {OUT, step: []}", "", "2:47: `components.O.step` is a mapping, not []"),
        ("O: {OUT, step: words}", "", "2:41: ChatOutput has no field `step`"),
    ],
)
def test_what_cannot_be_is_told_when_the_file_is_read(lines: str, output: str, expected: str) -> None:
    for word, meant in SHORT.items():
        lines = lines.replace(word, meant)
    lines += f'\nO: {{type: ChatOutput, input_value: "${{{output}}}"}}' if output else ""
    said, *_ = mistakes("components:\n" + "".join(f"  {line}\n" for line in lines.split("\n")))
    assert said.startswith(f"talk.yaml:{expected}")


@pytest.mark.parametrize(
    "name", ["a.b", "a{b", "a}b", "a?", "a$", "12", "-7", "env:X", " a", "a ", "a\\nb", "a\\u200b", "a" * 129, ""]
)
def test_an_id_holds_nothing_that_means_something_in_a_reference(name: str) -> None:
    said = mistakes(f'components:\n  "{name}": {{type: TextOutput, input_value: x}}\n')
    assert said
    assert "cannot be a component's id" in said[0]


WHEN = """
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: refund}
  Other: {type: ConditionalRouter, input_text: "${Gate.false_result}", operator: contains, match_text: hi}
  Sorry: {type: Prompt, template: "Sorry", step: {when: "${Gate.true_result}"}}
  Both: {type: Prompt, template: "{a}!", a: "${ChatInput}", step: {when: "${Gate.true_result?}${Other.true_result?}"}}
  Short: {type: Prompt, template: "{a}", a: "${Other.true_result?}", step: {when: "${Gate.false_result}"}}
  ChatOutput: {type: ChatOutput, input_value: "${Sorry?}|${Both?}|${Short?}"}
"""


@pytest.mark.parametrize(("said", "answer"), [("a refund", "Sorry|a refund!|"), ("hi", "|hi!|hi"), ("no", None)])
async def test_a_step_runs_when_its_author_says(said: str, answer: str | None) -> None:
    events = await run(WHEN, said)
    steps = find_steps(events)
    done = [steps[name] == "done" for name in ("Sorry", "Both", "Short")]
    assert done == [said == "a refund", said != "no", said == "hi"]
    assert (find_end(events).results["ChatOutput"].text if answer else find_end(events).results) == (answer or {})


def test_what_a_step_runs_with_is_told_among_what_it_takes() -> None:
    flow = wired(WHEN)
    assert flow.flow.warnings == ()
    (step,) = write_steps([ComponentFinished("Sorry", "Prompt", 0, "", status="skipped")], flow)
    assert [(taken["field"], taken["text"]) for taken in step["takes"]] == [("step.when", "${Gate.true_result}")]
    assert flow.components["Sorry"].model_extra == {}


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("refund", "`step.when` of `Sorry` is one reference, `${Route.other}`, or a join of optional ones."),
        ("${Gate}", "`Gate` gives one of its outputs: say which"),
        ("${Sorry?}", "`Sorry` refers to itself."),
    ],
)
def test_a_when_that_cannot_be_is_told_at_its_place(when: str, says: str) -> None:
    (said,) = mistakes(WHEN.replace('Sorry", step: {when: "${Gate.true_result}"', f'Sorry", step: {{when: "{when}"'))
    assert said.startswith("talk.yaml:6:")
    assert says in said


ALWAYS = ROUTER.replace("${Gate.false_result}", "hello")
NEVER = ROUTER.replace("${Refund?}${Wrapped?}", "${Refund}${Wrapped}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ROUTER, None),
        (ALWAYS, "talk.yaml:8:58: warning: `Wrapped` runs always, since it refers to nothing that may be skipped"),
        (NEVER, "talk.yaml:8:3: warning: `ChatOutput` never runs: it needs `${Gate.false_result}` and `${Gate.true"),
        (ROUTER.replace("${Wrapped?}", "${Gate.false_result?}"), None),
        (ALWAYS.replace('hello"', 'hello", step: {when: "${Gate.false_result}"}'), None),
        (ROUTER.replace("${Refund?}${Wrapped?}", "${Refund?} ${Wrapped?}"), None),
    ],
)
def test_branches_that_are_likely_a_mistake_are_warnings(text: str, says: str | None) -> None:
    found = [str(warning) for warning in wired(text).flow.warnings]
    assert len(found) == (says is not None), found
    assert all(warning.startswith(str(says)) for warning in found), found


pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")

Components = dict[str, dict[str, Any]]


class Speaker(Meeting):
    """Says what it is asked letter by letter, after as many turns of the loop as its model's name says."""

    async def complete(self, call: ModelCall) -> Completion:
        return await Completion.read(self.stream(call))

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        for _ in range(int(call.model)):
            await asyncio.sleep(0)
        for letter in call.messages[-1].text:
            yield letter
            await asyncio.sleep(0)
        yield Completion(call.messages[-1].text, call.model)


@st.composite
def graphs(draw: st.DrawFn) -> Components:
    """Routers, prompts and models that refer to earlier ones, some of them optionally, and an output for each."""
    made: Components = {}
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(["ConditionalRouter", "Prompt", "LanguageModel"]))
        sources = draw(st.lists(st.sampled_from([*made]), max_size=3)) if made else []
        said = "".join(_refer(made, source, draw) for source in sources) or "x"
        name = f"C{number}"
        match kind:
            case "ConditionalRouter":
                wanted = draw(st.sampled_from(["x", "y"]))
                made[name] = {"type": kind, "input_text": said, "operator": "contains", "match_text": wanted}
            case "Prompt":
                made[name] = {"type": kind, "template": "{v}", "v": said}
            case _:
                made[name] = {"type": kind, "model": str(draw(st.integers(0, 3))), "input_value": said}
    outputs = {
        f"Out{number}": {"type": "ChatOutput", "input_value": _refer(made, source, draw)}
        for number, source in enumerate(made)
    }
    joined = "".join(_refer(made, source, draw, is_optional=True) for source in draw(st.permutations([*made])))
    return made | outputs | {"Join": {"type": "ChatOutput", "input_value": joined}}


def _refer(made: Components, name: str, draw: st.DrawFn, *, is_optional: bool | None = None) -> str:
    port = f".{draw(st.sampled_from(['true', 'false']))}_result" if made[name]["type"] == "ConditionalRouter" else ""
    mark = draw(st.booleans()) if is_optional is None else is_optional
    return f"${{{name}{port}{'?' if mark else ''}}}"


def expect(components: Components) -> dict[str, dict[str, str] | None]:
    """What each component gives by port, None where it is skipped: the rule of the language, by itself."""
    given: dict[str, dict[str, str] | None] = {}
    for name, fields in components.items():
        text = next(fields[key] for key in ("input_text", "v", "input_value") if key in fields)
        references = [part.split("}")[0] for part in text.split("${")[1:]]
        found = []
        for reference in references:
            source, _, port = reference.removesuffix("?").partition(".")
            values = given[source]
            found.append(None if values is None else values.get(port or "out"))
        is_optional = [reference.endswith("?") for reference in references]
        must = any(value is None and not mark for value, mark in zip(found, is_optional, strict=True))
        if must or (references and all(is_optional) and all(value is None for value in found)):
            given[name] = None
            continue
        said = "".join(value or "" for value in found) if references else text
        if fields["type"] == "ConditionalRouter":
            given[name] = {f"{str(fields['match_text'] in said).lower()}_result": said}
        else:
            given[name] = {"out": said}
    return given


def run_graph(components: Components) -> list[RunEvent]:
    text = yaml.safe_dump({"components": components}, sort_keys=False)
    flow = wire(parse_flow(text, "graph.yaml"))
    events: list[RunEvent] = []
    request = RunRequest(input_value="", stream=True)
    asyncio.run(read_into(events, run_flow(flow, request, history=nothing_said, models=Speaker(0))))
    return events


@settings(max_examples=150, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_a_component_runs_exactly_when_its_rule_says_so_in_any_order_of_the_file(
    components: Components, chance: random.Random
) -> None:
    expected = expect(components)
    shuffled = list(components.items())
    chance.shuffle(shuffled)
    for made in (components, dict(shuffled)):
        *events, end = run_graph(made)
        assert isinstance(end, RunFinished)
        steps = {event.component_id: event.status for event in events if isinstance(event, ComponentFinished)}
        assert steps == {name: "skipped" if values is None else "done" for name, values in expected.items()}
        outputs = {name: expected[name] for name, fields in components.items() if fields["type"] == "ChatOutput"}
        said = {name: "".join(values.values()) for name, values in outputs.items() if values is not None}
        assert {name: result.text for name, result in end.results.items()} == said
        streamed: dict[str, str] = {}
        for event in events:
            if isinstance(event, Token):
                streamed[event.component_id] = streamed.get(event.component_id, "") + event.text
        for name, text in streamed.items():
            assert said[name].startswith(text)
        for name in said:
            source = components.get(components[name]["input_value"].strip("${}?"), {})
            assert streamed.get(name) == said[name] or source.get("type") != "LanguageModel"
