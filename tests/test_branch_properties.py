"""Properties of branches: a component runs exactly when its rule says so, a join says what its branches say, in order,
and the order of a file changes nothing."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import yaml

from flowground.core.caller import RunRequest
from flowground.core.events import ComponentFinished, RunEvent, RunFinished, Token
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runs.runner import run_flow
from tests.flow_runs import nothing_said, read_into
from tests.meeting import Meeting

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given, settings
from hypothesis import strategies as st

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


def run(components: Components) -> list[RunEvent]:
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
        *events, end = run(made)
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
