"""What an agent does, as events: each call and each thought has a number, a beginning and an end."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from flowground.caller import RunRequest
from flowground.errors import RunOverBudget
from flowground.events import (
    ModelThought,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
)
from flowground.messages import Reasoning
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runner import run_flow
from flowground.settings import Limits
from tests.calling import Calling, find_answer, run, use, wired
from tests.flow_runs import nothing_said, read_into

pytestmark = pytest.mark.anyio


async def test_every_call_has_an_end_also_where_the_run_ends_first() -> None:
    events: list[Any] = []
    models = Calling(*[[use("Note", text=str(number))] for number in range(9)])
    limits = Limits(run_steps=4)
    noted: list[Any] = []
    run = run_flow(
        wired(), RunRequest("hi", stream=True), history=nothing_said, models=models, limits=limits, note=noted.append
    )
    with pytest.raises(RunOverBudget):
        await read_into(events, run)
    calls = [event for event in noted if isinstance(event, ToolCalled)]
    ends = [event for event in noted if isinstance(event, ToolReturned)]
    assert [event.number for event in calls] == [event.called.number for event in ends] == [1, 2, 3]
    assert [event.status for event in ends] == ["done", "done", "failed"]
    assert "4 steps" in ends[-1].text


async def test_calls_have_numbers_of_their_own_whatever_the_model_calls_them() -> None:
    models = Calling([use("Note", text="a"), use("Note", text="b")], [use("Note", text="c")], "Well.")
    events = await run(models)
    assert [event.number for event in events if isinstance(event, ToolCalled)] == [1, 2, 3]
    assert [event.called.number for event in events if isinstance(event, ToolReturned)] == [1, 2, 3]


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
    acted = [
        event for event in events if isinstance(event, ToolCalled | ToolReturned | ThinkingBegan | ModelThought | Token)
    ]
    assert [type(event) for event in acted] == [
        *(ThinkingBegan, ModelThought, ToolCalled, ToolReturned),
        *(ThinkingBegan, ModelThought, Token),
    ]
    assert [event.text for event in events if isinstance(event, ModelThought)] == ["So be it."] * 2
    assert find_answer(events) == "Done."
