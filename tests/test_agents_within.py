"""Agents whose models go too far: how deep agents call each other, and how much is told of a call."""

import dataclasses
import json
from collections.abc import AsyncGenerator

import pytest

from flowground.events import RunFinished, ToolReturned
from flowground.messages import ToolCall, Usage
from flowground.providers.base import Completion, ModelCall, Piece
from tests.calling import Calling, run, use

pytestmark = pytest.mark.anyio


class CallingOn(Calling):
    """Calls the first of its tools each time, and counts how often it is asked."""

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        self.asked.append(call)
        calls = (use(call.tools[0].name, input_value="go on"),) if call.tool_choice != "none" else ()
        yield Completion("" if calls else "Enough.", "m", Usage(1, 2), "tool_calls" if calls else "stop", calls)


async def test_agents_that_call_each_other_end_at_the_eighth() -> None:
    text = """
components:
  ChatInput: {type: ChatInput}
  Top: {type: Agent, model: m, input_value: "${ChatInput}", tools: [One], max_iterations: 2}
  One: {type: Agent, model: m, tools: [Two], max_iterations: 2}
  Two: {type: Agent, model: m, tools: [One], max_iterations: 2}
  ChatOutput: {type: ChatOutput, input_value: "${Top}"}
"""
    models = CallingOn()
    events = await run(models, text)
    told = [event.text for event in events if isinstance(event, ToolReturned) and event.status == "failed"]
    assert told == [
        "It failed: Agents call each other 8 deep at most: Top → One → Two → One → Two → One → Two → One → Two."
    ]
    assert len(models.asked) == 16
    assert isinstance(events[-1], RunFinished)


async def test_no_more_is_told_of_a_call_than_there_is_room_for() -> None:
    long = "x" * 100_000
    events = await run(Calling([ToolCall(long, "Note", {"text": long})], "Done."))
    (told,) = (event for event in events if isinstance(event, ToolReturned))
    assert len(json.dumps(dataclasses.asdict(told))) < 20_000
