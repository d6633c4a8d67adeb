"""What a meter knows of before, when it looks again, and what it forgets; by a clock that is handed in. What other
processes' runs used of a minute or day is read when it is asked for, and again after a minute."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.core.caller import Caller, Owner
from flowground.core.messages import Usage
from flowground.runs.limits import RunLimits, Tally
from flowground.runs.meter import Limit, RunUsage, StoredBytes
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunCounts, RunRecord
from tests.counted import MIA, NOON, Clock, begin, call, limits, visitor
from tests.store_writes import message

BYTES = Limit("person", "stored_bytes", 100, "limits.person.stored_bytes")


async def keep(store: Store, owner: str, size: int) -> None:
    """Another process stores so many bytes."""
    await store.write(turns.begin_turn, flow_id="talk", owner=owner, session_id="s", message=message("x" * size))


async def read(meter: StoredBytes, key: str, store: Store) -> float:
    await meter.read(key, store)
    return meter.look(key).used


async def test_stored_bytes_are_those_of_a_member_and_their_programs(store: Store) -> None:
    programs = str(Owner("programs", "mia"))
    for owner, size in {str(MIA.owner): 10, programs: 20, "member:max": 40, str(visitor().owner): 5}.items():
        await keep(store, owner, size)
    meter = StoredBytes(BYTES, Clock().monotonic)
    assert meter.look(str(MIA.owner)).used == 0
    assert await read(meter, str(MIA.owner), store) == 30
    assert await read(meter, str(visitor().owner), store) == 5


async def test_what_is_left_is_told_from_what_was_stored_before(store: Store) -> None:
    """By a process that has let nothing in yet."""
    await keep(store, str(MIA.owner), 30)
    await add(store, -20)
    first = limits(store, Clock(), person={"stored_bytes": 100}, flow={"runs_per_minute": 2})
    await begin(first, MIA)
    fresh = limits(store, Clock(), person={"stored_bytes": 100}, flow={"runs_per_minute": 2})
    [held, of_flow] = await fresh.look(MIA, ["talk"])
    assert (held.used, held.left, held.flow_id) == (30, 70, None)
    assert (of_flow.limit.of, of_flow.flow_id, of_flow.used) == ("flow", "talk", 1)
    [_, of_flow] = await first.look(MIA, ["talk"])
    assert of_flow.used == 2


def test_a_run_costs_what_its_models_read_and_write(store: Store) -> None:
    models = {"server": {"input": 2, "output": 10}, "server:small": {"input": 1}}
    settings = Settings.model_validate({"prices": {"models": models}, "default_model": "server:x"})
    counted = RunLimits(settings, store)
    used = [(None, Usage(1_000_000, 500_000)), ("server:small", Usage(3_000_000, 1)), ("other:y", Usage(9, 9))]
    assert counted.sum_cost(used) == pytest.approx(2 + 5 + 3)


async def test_a_free_model_uses_no_money_and_tokens_no_runs_of_a_minute(store: Store) -> None:
    bounds = {"person": {"money_per_day": 1, "tokens_per_day": 5}}
    settings = Settings.model_validate({"limits": bounds, "prices": {"models": {"paid": {"input": 1}}}})
    counted = RunLimits(settings, store, clock=Clock().monotonic, now=lambda: NOON)
    token = Caller("token", "t", "member")
    assert await call(counted, token) is None
    run = counted.open(token)
    await run.read("talk")
    run.count_run("talk")
    assert run.end([("free", Usage(2, 1))], size=9).cost == 0
    used = {found.limit.what: found.used for found in await counted.look(token)}
    assert used == {"tokens_per_day": 3, "money_per_day": 0}


def test_a_run_is_counted_by_whom_and_whence_a_limit_counts_it(store: Store) -> None:
    by_minute = limits(store, Clock(), runs_per_minute=3, public={"address_runs_per_minute": 3})
    assert by_minute.open(MIA).counts == RunCounts("member:mia", None)
    visiting = by_minute.open(visitor(), came_from="203.0.113.9").counts
    assert (visiting.counted_as, visiting.came_from is None) == (str(visitor().owner), False)
    at_once = limits(store, Clock(), page_runs_per_minute=0, person={"runs_at_once": 3})
    assert at_once.open(MIA, at_page=True).counts == RunCounts()
    assert limits(store, Clock(), page_runs_per_minute=0).open(MIA, at_page=True).counts == RunCounts()


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
    tally.end(KEY, RunUsage(tokens=7, money=1, size=1))
    tally.undo(KEY, None)
    assert (tally.look(KEY).used, tally.look(KEY).resets_in) == (140, 12 * 3_600 - 120)
