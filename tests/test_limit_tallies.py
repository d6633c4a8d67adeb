"""What other processes' runs used of a minute or day: read when it is asked for, and again after a minute."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.limits.meter import Spent
from flowground.limits.table import Limit
from flowground.limits.tally import Tally
from flowground.messages import Usage
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunCounts, RunRecord
from tests.counted import MIA, NOON, Clock, limits

pytestmark = pytest.mark.anyio
KEY = "member:mia"


async def add(store: Store, at: float, *, tokens: int = 1, holder: str = "another process") -> None:
    """A run of KEY's that began so many seconds after noon."""
    moment = datetime.fromtimestamp(NOON + at, UTC)
    here: dict[str, Any] = {"flow_id": "talk", "owner": KEY, "session_id": "s"}
    run = RunRecord(
        str(uuid.uuid4()), "talk", "v", KEY, "s", "complete", moment, 0.1,
        usage=Usage(tokens, 0), holder=holder, counts=RunCounts(KEY),
    )  # fmt: skip
    await store.write(turns.finish_turn, **here, answers=[], run=run)


def minutes(clock: Clock) -> Tally:
    return Tally(Limit("person", "runs_per_minute", 9, "x"), "runs", clock.monotonic, clock.wall)


def days(clock: Clock) -> Tally:
    return Tally(Limit("person", "tokens_per_day", 1_000, "x"), "tokens", clock.monotonic, clock.wall, longest=600)


@pytest.mark.parametrize(("at", "resets_in"), [(-20, 40), (-60, 1), (30, 60)])
async def test_a_minute_began_with_the_first_run_of_another_process(store: Store, at: float, resets_in: int) -> None:
    await add(store, at)
    await add(store, -61)
    tally = minutes(Clock())
    await tally.read(KEY, store)
    found = tally.look(KEY)
    assert (found.used, found.resets_in) == (1, resets_in)


async def test_a_day_is_read_again_after_a_minute(store: Store) -> None:
    clock = Clock()
    tally = days(clock)
    await tally.read(KEY, store)
    await add(store, 10, tokens=5)
    clock.passed = 59.5
    await tally.read(KEY, store)
    assert tally.look(KEY).used == 0
    clock.passed = 60
    await tally.read(KEY, store)
    assert tally.look(KEY).used == 5


async def test_a_day_has_what_ended_once_and_what_may_go_on_anew(store: Store) -> None:
    """A run of eleven minutes ago may still be written: it is a minute late at most after the longest of ten."""
    clock = Clock()
    for at, tokens in ((-3_600, 1), (-10, 2)):
        await add(store, at, tokens=tokens)
        await add(store, at, tokens=10 * tokens, holder=store.process.id)
    tally = days(clock)
    await tally.read(KEY, store)
    assert tally.look(KEY).used == 33
    await add(store, -650, tokens=100)
    await add(store, -670, tokens=1_000)
    for clock.passed in (60, 120):
        await tally.read(KEY, store)
        assert tally.look(KEY).used == 133
    tally.count(KEY, None)
    tally.end(KEY, Spent(tokens=7, money=1, size=1))
    tally.take_back(KEY, None)
    assert tally.look(KEY).used == 140
    assert tally.look(KEY).resets_in == 12 * 3_600 - 120


async def test_what_is_left_of_a_flow_is_told_before_anything_was_let_in(store: Store) -> None:
    await add(store, -20)
    counted = limits(store, Clock(), page_runs_per_minute=0, flow={"runs_per_minute": 4})
    [found] = await counted.look(MIA, ["talk"])
    assert (found.flow_id, found.used, found.left) == ("talk", 1, 3)


def test_what_is_taken_back_was_never_counted() -> None:
    tally = minutes(Clock())
    tally.take_back(KEY, None)
    tally.count(KEY, None)
    for _ in range(2):
        tally.take_back(KEY, None)
        assert tally.look(KEY).used == 0
