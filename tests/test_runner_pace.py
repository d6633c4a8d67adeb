"""A run goes on only as far as its reader may follow: 256 events ahead, and again once half of them are read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import RunTimeout
from flowground.core.events import ComponentFinished, RunEvent, ToolCalled
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runs.runner import run_flow
from flowground.runs.scope import Approvals
from flowground.settings.limits import Limits
from tests.flow_runs import nothing_said, read_into
from tests.meeting import Meeting
from tests.running import chat_flow

CHAT = wire(parse_flow(chat_flow("scripted:echo"), "echo.yaml"))


def start(models: Meeting, limits: Limits | None = None) -> AsyncGenerator[RunEvent, None]:
    request = RunRequest(input_value="x", stream=True)
    return run_flow(CHAT, request, history=nothing_said, models=models, limits=limits or Limits())


class Counting(Meeting):
    """A provider with a long answer that counts what was taken of it."""

    def __init__(self, pieces: int) -> None:
        super().__init__(0)
        self.pieces = pieces
        self.taken = 0

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        for _ in range(self.pieces):
            self.taken += 1
            yield "word "
        yield Completion("word " * self.pieces, call.model)


async def test_a_reader_who_never_comes_back_holds_no_model_for_ever() -> None:
    events: list[RunEvent] = []
    models = Counting(20_000)
    run = start(models, Limits(run_seconds=1))
    events.append(await anext(run))
    await asyncio.sleep(1.1)
    with pytest.raises(RunTimeout):
        await read_into(events, run)
    assert models.taken < 300
    assert any(isinstance(event, ComponentFinished) for event in events)


async def let_it_run() -> None:
    """The model never waits for anything but its reader: a few turns of the loop take it as far as it may go."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_256_events_are_kept_for_a_reader_and_the_model_goes_on_once_half_of_them_are_read() -> None:
    """Three of the 256 say how components begin and end, the others are pieces of the model's answer."""
    models = Counting(20_000)
    async with aclosing(start(models)) as run:
        for _ in range(127):
            await anext(run)
        await let_it_run()
        assert models.taken == 253
        await anext(run)
        await let_it_run()
        assert models.taken == 253 + 128


async def test_a_runs_time_goes_on_once_nothing_waits_for_a_person() -> None:
    approvals, tasks = Approvals(60, {}), list[Any]()
    async with asyncio.timeout(60) as clock, asyncio.TaskGroup() as asking:
        end = clock.when() or 0
        for number in (1, 2):
            called = ToolCalled("Agent", "id", "Tool", "tool", {}, 0, number)
            waits: Any = approvals.begin(called, {}, flow="f", sends=None, is_always_asked=False)
            tasks.append(asking.create_task(approvals.wait(waits, flow="f", clock=clock)))
            await asyncio.sleep(0)
        for waits, task in zip(approvals.list_waiting(), tasks, strict=True):
            assert clock.when() is None
            approvals.decide(waits.called.number, waits.digest, "once")
            await task
        assert end < (clock.when() or 0) < end + 30
