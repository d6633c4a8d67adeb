"""Runs counted by a clock that is handed in."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from flowground.core.caller import Caller
from flowground.core.errors import RunLimitReached
from flowground.runs.limits import Allowance, RunLimits
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunRecord

NOON = datetime(2026, 12, 3, 12, tzinfo=UTC).timestamp()

MIA = Caller("member", "mia", "member")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        return NOON + self.passed


def limits(store: Store, clock: Clock, *, public: dict[str, int] | None = None, **limit: Any) -> RunLimits:
    every = {"runs_per_day": 0, "runs_per_minute": 0, "address_runs_per_minute": 0}
    settings = Settings.model_validate({"limits": limit, "sharing": {"public": every | (public or {})}})
    return RunLimits(settings, store, now=clock.wall)


def visitor(number: int = 0) -> Caller:
    return Caller("visitor", f"{number:032x}", "member", is_proven=False)


async def begin(limits: RunLimits, caller: Caller, flow_id: str = "talk", came_from: str = "203.0.113.9") -> None:
    """What a page's message asks."""
    if run := limits.open(caller, at_page=True, came_from=came_from):
        await run.read()
        await run.read(flow_id)
        run.count_request()
        run.count_request(is_for_flow=True)
        run.check_run()
        if counted := run.begin():
            at, owner = datetime.fromtimestamp(NOON, UTC), str(caller.owner)
            record = RunRecord(str(uuid4()), flow_id, "v", owner, "s", "running", at, 0.0, counts=run.counts)
            await limits.store.write(turns.begin_counted, begin=turns.begin_run, counted=counted, run=record)


async def call(limits: RunLimits, token: Caller) -> Allowance | None:
    """What a program's request asks before its flow is known; what is left of its minute then."""
    if run := limits.open(token):
        await run.read()
        run.count_request()
    return run.allowance if run else None


async def refusal(limits: RunLimits, caller: Caller, **more: Any) -> RunLimitReached:
    with pytest.raises(RunLimitReached) as caught:
        await begin(limits, caller, **more)
    return caught.value
