"""Who may start a run now, by a clock that is handed in."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import RunLimitReached
from flowground.runs.limits import Allowance, Tally
from flowground.runs.meter import Limit
from flowground.store import Store, publications
from flowground.store.publications import Sharing
from flowground.store.runs import transcripts, turns
from flowground.store.runs.records import RunCounts, RunRecord
from tests.counted import MIA, NOON, Clock, begin, call, limits, refusal, visitor
from tests.running import chat_flow, running, start_turn, watch
from tests.stored import list_runs


def tally(clock: Clock, *, most: int = 20_000) -> Tally:
    limit = Limit("person", "runs_per_minute", 1, "limits.runs_per_minute")
    return Tally(limit, "runs", clock.monotonic, clock.wall, most=most)


def test_a_minute_ends_and_who_is_idle_is_forgotten() -> None:
    clock = Clock()
    minutes = tally(clock)
    for number in range(1000):
        clock.passed = number / 100
        assert minutes.look(f"t{number}").left == 1
        minutes.count(f"t{number}", None)
    full = minutes.look("t999")
    assert (full.left, full.resets_in) == (0, 60)
    clock.passed = 65.0
    assert minutes.look("t0").left == 1
    minutes.count("t0", None)
    assert len(minutes) == 500
    clock.passed = 1000.0
    minutes.count("t1", None)
    assert len(minutes) == 1
    few = tally(Clock(), most=2_000)
    for number in range(3_000):  # the first of more than may be remembered is forgotten too
        few.count(str(number), None)
    assert (len(few), few.look("2999").left, few.look("999").left) == (2_000, 0, 1)


async def test_a_person_at_the_pages_meets_sixty_a_minute(store: Store) -> None:
    clock = Clock()
    counted = limits(store, clock)
    for _ in range(60):
        clock.passed += 0.5
        await begin(counted, MIA)
    refused = await refusal(counted, MIA)
    assert (refused.code, refused.retry_after) == ("rate_limited", 31)
    await begin(counted, Caller("member", "max", "member"))
    clock.passed += 31
    await begin(counted, MIA)


async def test_nobody_meets_a_limit_of_zero_and_programs_and_the_owner_none_unless_it_was_set(store: Store) -> None:
    token, one_a_minute = Caller("token", "t1", "member"), limits(store, Clock(), page_runs_per_minute=1)
    unlimited, zero = limits(store, Clock()), limits(store, Clock(), page_runs_per_minute=0)
    for _ in range(200):
        assert await call(one_a_minute, token) is None
        await begin(unlimited, LOCAL_OWNER)
        await begin(zero, MIA)
        await begin(zero, visitor(), came_from="")
    counted = limits(store, Clock(), runs_per_minute=1)
    await begin(counted, LOCAL_OWNER)
    await refusal(counted, LOCAL_OWNER)


async def test_one_setting_limits_tokens_people_and_visitors(store: Store) -> None:
    counted = limits(store, Clock(), runs_per_minute=2, public={"runs_per_minute": 10})
    token = Caller("token", "t1", "member")
    assert await call(counted, token) == Allowance(2, 1, 60)
    for caller in (MIA, visitor()):
        await begin(counted, caller)
        await begin(counted, caller)
        await refusal(counted, caller)
    assert await call(counted, token) == Allowance(2, 0, 60)
    with pytest.raises(RunLimitReached):
        await call(counted, token)


async def test_what_is_refused_is_not_counted(store: Store) -> None:
    """Who waits as long as they were told is let in, however often they tried meanwhile; nobody pays for them."""
    clock = Clock()
    counted = limits(store, clock, public={"runs_per_minute": 1, "address_runs_per_minute": 3, "runs_per_day": 3})
    await begin(counted, visitor())
    for _ in range(50):
        await refusal(counted, visitor())
    await begin(counted, visitor(1))
    clock.passed = 60
    await begin(counted, visitor())
    assert (await refusal(counted, visitor(2))).code == "daily_limit_reached"


async def test_a_flow_has_a_day_that_all_its_visitors_share(store: Store) -> None:
    clock = Clock()
    counted = limits(store, clock, public={"runs_per_day": 3})
    for number in range(3):
        await begin(counted, visitor(number), came_from=f"203.0.113.{number}")
    refused = await refusal(counted, visitor(7))
    assert refused.message == ("This flow has reached its daily limit; it answers again at 00:00 UTC, in 12 h.")
    assert (refused.code, refused.retry_after) == ("daily_limit_reached", 12 * 3600)
    await begin(counted, visitor(7), "another")
    await begin(counted, MIA)
    clock.passed = 12 * 3600 - 90
    assert "in 2 min." in (await refusal(counted, visitor())).message
    clock.passed = 12 * 3600
    await begin(counted, visitor())


async def test_a_crowd_at_the_first_moment_does_not_pass_the_day(store: Store) -> None:
    counted = limits(store, Clock(), public={"runs_per_day": 3})
    ends = await asyncio.gather(*(begin(counted, visitor(n)) for n in range(20)), return_exceptions=True)
    assert [type(end) for end in ends].count(RunLimitReached) == 17


async def let_in(runtime: Runtime, number: int = 0) -> Caller:
    await runtime.store.write(publications.change, flow_id="talk", sharing=Sharing(True, "public"), by="tests")
    found = await runtime.access.admit_visitor(f"browser {number}", "talk")
    assert found is not None
    return found


def said(session: str = "s") -> RunRequest:
    return RunRequest(input_value="hello", session_id=session, stream=True)


@pytest.mark.parametrize("model", ["scripted:fail", "scripted:breaks", "scripted:silent"])
async def test_a_failed_or_stopped_run_counts(tmp_path: Path, model: str) -> None:
    config = {"sharing": {"allow_public": True, "public": {"runs_per_day": 1}}}
    async with running(tmp_path, {"talk": chat_flow(model)}, config=config) as runtime:
        caller = await let_in(runtime)
        turn = await start_turn(runtime, caller, "talk", said())
        if model == "scripted:silent":
            await anext(watch(turn))
            turn.stop()
        await asyncio.wait([turn.task])
        with pytest.raises(RunLimitReached) as caught:
            await start_turn(runtime, await let_in(runtime, 2), "talk", said())
        assert caught.value.code == "daily_limit_reached"
        stored = await runtime.store.read(list_runs, flow_id="talk")
        assert [run.status for run in stored] == ["stopped" if model == "scripted:silent" else "failed"]


async def test_a_visitor_has_one_running_turn_and_members_as_many_as_conversations(tmp_path: Path) -> None:
    flows = {"talk": chat_flow("scripted:silent"), "other": chat_flow("scripted:silent")}
    config = {"sharing": {"allow_public": True}}
    async with running(tmp_path, flows, config=config) as runtime:
        caller = await let_in(runtime)
        starting = [start_turn(runtime, caller, "talk", said(f"s{n}")) for n in range(5)]
        ends = await asyncio.gather(*starting, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, RunLimitReached)]
        assert [(error.code, error.retry_after) for error in refused] == [("turn_running", None)] * 4
        await start_turn(runtime, await let_in(runtime, 2), "talk", said("s"))
        (turn,) = (end for end in ends if not isinstance(end, BaseException))
        turn.stop()
        await asyncio.wait([turn.task])
        await start_turn(runtime, caller, "talk", said("after"))
        for session in ("a", "b"):
            await start_turn(runtime, LOCAL_OWNER, "talk", said(session))


async def test_who_gets_another_name_takes_what_they_used_with_them(store: Store) -> None:
    """A visitor whose browser has another cookie."""
    old, new = visitor(1), visitor(2)
    for number in range(3):
        moment = datetime.fromtimestamp(NOON - 10 - number, UTC)
        run = RunRecord(f"r{number}", "talk", "v", str(old.owner), "s", "complete", moment, 0.1)
        here: dict[str, Any] = {"flow_id": "talk", "owner": str(old.owner), "session_id": "s"}
        counted = replace(run, counts=RunCounts(str(old.owner)))
        await store.write(turns.finish_turn, **here, answers=[], run=counted)
    await store.write(transcripts.hand_over, old=str(old.owner), new=str(new.owner), by="tests")
    counted_runs = limits(store, Clock(), public={"runs_per_minute": 3})
    await begin(counted_runs, old)
    assert (await refusal(counted_runs, new)).code == "rate_limited"


MODELS = {"talk": "echo", "other": "json", "free": "fail"}


async def test_what_a_run_costs_is_kept_where_prices_are_given(tmp_path: Path) -> None:
    prices = {"models": {"scripted:echo": {"input": 1_000_000, "output": 10_000_000}, "scripted": {"input": 5}}}
    flows = {name: chat_flow(f"scripted:{model}") for name, model in MODELS.items()}
    async with running(tmp_path, flows, config={"prices": prices}) as runtime:
        for flow in flows:
            turn = await start_turn(runtime, LOCAL_OWNER, flow, said())
            await asyncio.wait([turn.task])
        costs = [(await runtime.store.read(list_runs, flow_id=flow))[0].counts.cost for flow in flows]
        # "hello" is one token read, "You said: hello" three written; of the other model only what it reads costs.
        assert costs == [pytest.approx(31.0), pytest.approx(5e-6), 0.0]
