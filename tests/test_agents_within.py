"""What an agent does, as events, and models that go too far: how deep they call each other, how much is told."""

import dataclasses
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from flowground.caller import RunRequest
from flowground.errors import RunOverBudget
from flowground.events import ModelThought, RunFinished, ThinkingBegan, Token, ToolCalled, ToolReturned
from flowground.messages import Reasoning, ToolCall, Usage
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runner import run_flow
from flowground.settings import Limits
from tests.calling import Calling, find_answer, run, use, wired
from tests.flow_runs import nothing_said, read_into

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
    assert told == ["It failed: Agents call each other 8 deep at most: Top" + " → One → Two" * 4 + "."]
    assert len(models.asked) == 16
    assert isinstance(events[-1], RunFinished)


async def test_no_more_is_told_of_a_call_than_there_is_room_for() -> None:
    long = "x" * 100_000
    events = await run(Calling([ToolCall(long, "Note", {"text": long})], "Done."))
    (told,) = (event for event in events if isinstance(event, ToolReturned))
    assert len(json.dumps(dataclasses.asdict(told))) < 20_000


async def test_every_call_has_an_end_also_where_the_run_ends_first() -> None:
    models = Calling([use("Note", text="a"), use("Note", text="b")], [use("Note", text="c")])
    request, limits, noted = RunRequest("hi", stream=True), Limits(run_steps=4), list[Any]()
    run = run_flow(wired(), request, history=nothing_said, models=models, limits=limits, note=noted.append)
    with pytest.raises(RunOverBudget):
        await read_into([], run)
    calls = [event for event in noted if isinstance(event, ToolCalled)]
    ends = [event for event in noted if isinstance(event, ToolReturned)]
    assert [event.number for event in calls] == [event.called.number for event in ends] == [1, 2, 3]
    assert [event.status for event in ends] == ["done", "done", "failed"]
    assert "4 steps" in ends[-1].text


async def test_thoughts_have_a_beginning_and_an_end_before_what_follows_them() -> None:
    class Thinks(Calling):
        async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
            self.asked.append(call)
            yield Reasoning("So ")
            yield Reasoning("be it.")
            if len(self.asked) > 1:
                yield "Done."
                yield Completion("Done.", "m", None, "stop")
            else:
                yield Completion("", "m", None, "tool_calls", (use("Calculator", expression="1+1"),))

    events = await run(Thinks())
    acts = (ToolCalled, ToolReturned, ThinkingBegan, ModelThought, Token)
    acted = [type(event) for event in events if isinstance(event, acts)]
    assert acted == [*(ThinkingBegan, ModelThought, ToolCalled, ToolReturned), *(ThinkingBegan, ModelThought, Token)]
    assert [event.text for event in events if isinstance(event, ModelThought)] == ["So be it."] * 2
    assert find_answer(events) == "Done."
