"""How a flow was used, on both databases: by days, people, programs and failures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.caller import LOCAL_OWNER, Caller
from flowground.messages import Usage
from flowground.store import Store
from flowground.store.runs import turns, usage
from flowground.store.runs.records import RunRecord
from flowground.store.runs.usage import FailureCount, FlowUsage, UsedDay

pytestmark = pytest.mark.anyio
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


async def add(store: Store, at: datetime, **facts: Any) -> None:
    """A run that began then."""
    given: dict[str, Any] = {"flow_id": "f", "owner": "member:ada", "status": "complete", "usage": Usage(10, 1)} | facts
    number = f"{at.timestamp()}{given}"
    run = RunRecord(number, given.pop("flow_id"), "v", given.pop("owner"), "s", given.pop("status"), at, 1.0, **given)
    place: dict[str, Any] = {"flow_id": run.flow_id, "owner": run.owner, "session_id": "s"}
    await store.write(turns.finish_turn, **place, answers=[], run=run)


async def sum_up(store: Store, **more: Any) -> FlowUsage:
    return await store.read(usage.sum_usage, flow_id="f", since=BEGIN, days=3, **more)


async def test_a_flow_that_nobody_ran_has_empty_days(store: Store) -> None:
    assert await sum_up(store) == FlowUsage(days=(UsedDay(), UsedDay(), UsedDay()))


async def test_runs_are_summed_by_day_person_and_failure(store: Store) -> None:
    await add(store, BEGIN + HOUR, usage=None)
    await add(store, BEGIN + 2 * HOUR, owner="visitor:1", status="failed", error_code="model_busy")
    await add(store, BEGIN + 2 * DAY, owner="member:bob", token="t1")
    await add(store, BEGIN + 2 * DAY + HOUR, owner="member:bob", status="failed", error_code="model_busy")
    await add(store, BEGIN + 3 * DAY - HOUR, status="interrupted", error_code="server_stopped")
    await add(store, BEGIN + 2 * DAY, status="running")
    await add(store, BEGIN - HOUR)
    await add(store, BEGIN + 3 * DAY)
    await add(store, BEGIN, flow_id="other")
    found = await sum_up(store)
    assert found == FlowUsage(
        runs=5,
        failed=3,
        people=2,
        visitors=1,
        by_programs=1,
        input_tokens=40,
        output_tokens=4,
        days=(UsedDay(2, 1), UsedDay(), UsedDay(3, 2)),
        failures=(
            FailureCount("model_busy", 2, BEGIN + 2 * DAY + HOUR),
            FailureCount("server_stopped", 1, BEGIN + 3 * DAY - HOUR),
        ),
    )


async def test_of_many_the_newest_are_counted_and_that_is_said(store: Store) -> None:
    for hour in range(4):
        await add(store, BEGIN + hour * DAY / 2)
    found = await sum_up(store, most=2)
    assert found.is_cut
    assert (found.runs, found.days) == (2, (UsedDay(), UsedDay(2), UsedDay()))


async def test_a_person_is_one_with_chats_tokens_and_tries(store: Store) -> None:
    owners = [
        LOCAL_OWNER,
        LOCAL_OWNER.try_api("answers", "opened"),
        member := Caller("member", "ada", "member"),
        member.try_api("answers", "opened"),
        Caller("token", "t1", "member", person="ada"),
        Caller("token", "t2", "admin"),
    ]
    for number, caller in enumerate(owners):
        await add(store, BEGIN + number * HOUR, owner=str(caller.owner))
    found = await sum_up(store)
    assert (found.runs, found.people) == (6, 2)
