"""The largest legal values on their way through a flow stop nobody (design: every legal request leaves the loop)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from flowground.components import COMPONENTS
from flowground.components.base import Component, Context, Output
from flowground.core.caller import RunRequest
from flowground.core.errors import FlowgroundError
from flowground.core.events import RunFinished
from flowground.core.values import LONGEST, ValueKind, measure
from flowground.flows.checks import link_flow
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.runs.runner import run_flow
from tests.flow_runs import nothing_said, read_into
from tests.flow_texts import wired
from tests.heartbeat import stays_responsive
from tests.test_structured import Answering

ROWS = [{"text": "word " * 24, "n": number} for number in range(20_000)]
TINY: list[Any] = [{"a": 1}] * 20_000
MANY: list[Any] = [{"a": 1}] * 370_000
VALUES = {
    "rows": ROWS,
    "tiny": TINY,
    "many": MANY,
    "long": [{"text": "x" * (LONGEST - 100)}],
    "deep": [{"text": [[[[[]]]]] * 200_000}],
}


class Given(Component):
    """Gives one of the values above."""

    type_name = "Given"
    title = "Given"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"records": "records"}
    given: ClassVar[list[str]] = []

    which: str = "rows"

    async def run(self, context: Context) -> Output:
        self.given.append(self.which)
        return Output({"records": VALUES[self.which]})


TYPES: dict[str, type[Component]] = {**COMPONENTS, "Given": Given}
ONE = wired("components: {In: {type: ChatInput}, Out: {type: ChatOutput, input_value: '${In}'}}")


READERS = {
    "shown": ("", "${Given}"),
    "parsed": ('Read: {type: Parser, input_data: "${Given}", template: "{n}: {text}"}', "${Read}"),
    "written": ('Read: {type: Parser, input_data: "${Given}", mode: Stringify}', "${Read}"),
    "parsed by many": (f'Read: {{type: Parser, input_data: "${{Given}}", template: "{"{none}" * 300}"}}', "${Read}"),
    "in a text": ("", "all: ${Given}"),
    "each": ('Each: {type: ForEach, data: "${Given}", flow: one, parallel: 64}', "${Each}"),
}
"""What reads the value, and what is answered."""


async def run(components: str, models: Any = None) -> RunFinished | None:
    text = f"components:\n{components}"
    flow = link_flow(wire(parse_flow(text, "large.yaml"), types=TYPES), {"one": ONE})
    events: list[Any] = []
    run = run_flow(flow, RunRequest("hi"), history=nothing_said, models=models or Answering())
    try:
        await read_into(events, run)
    except FlowgroundError:
        return None
    end: RunFinished = events[-1]
    return end


@pytest.mark.parametrize("which", VALUES)
@pytest.mark.parametrize("reader", READERS)
async def test_the_largest_records(which: str, reader: str) -> None:
    assert measure(VALUES[which]) <= LONGEST

    async def ask() -> None:
        read, out = READERS[reader]
        await run(
            f"  Given: {{type: Given, which: {which}}}\n  {read}\n  Out: {{type: ChatOutput, input_value: '{out}'}}"
        )

    Given.given.clear()
    await stays_responsive(ask)
    assert {*Given.given} == {which}


FOUND = """\
  Found:
    type: StructuredOutput
    input_value: x
    output_schema: {type: object, properties: {lines: {type: array, items: ITEMS}}}
  Out: {type: TextOutput, input_value: "${Found.lines}"}
"""


@pytest.mark.parametrize(
    ("items", "answer"),
    [("{type: object, properties: {n: {type: integer}}}", [{"n": 1}] * 20_000), ("{type: integer}", [1] * 160_000)],
)
async def test_the_longest_answer_of_a_schema(items: str, answer: list[Any]) -> None:
    written = json.dumps({"lines": answer})

    async def ask() -> None:
        assert await run(FOUND.replace("ITEMS", items), Answering(written)) is not None

    await stays_responsive(ask)
