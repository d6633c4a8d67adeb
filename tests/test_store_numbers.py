"""The numbers beside an endpoint, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from flowground.store import Store, tables
from flowground.store.runs import numbers, turns
from flowground.store.runs.numbers import RunNumbers
from flowground.store.runs.records import MessageState, RunRecord

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


async def add(
    store: Store,
    seconds: float,
    *,
    flow: str = "f",
    status: MessageState = "complete",
    ago: timedelta = timedelta(0),
    code: str = "",
) -> None:
    number = f"{flow}{seconds}{status}{ago}{code}"
    run = RunRecord(number, flow, "v", "member:ada", "s", status, NOW - ago, seconds, error_code=code or None)
    here: dict[str, Any] = {"flow_id": flow, "owner": "member:ada", "session_id": "s"}
    await store.write(turns.finish_turn, **here, answers=[], run=run)


async def of_the_day(store: Store) -> RunNumbers:
    return await store.read(numbers.sum_up, flow_id="f", since=NOW - DAY)


async def test_without_a_run_there_is_nothing_to_say(store: Store) -> None:
    assert await of_the_day(store) == RunNumbers(0, 0, None, None, None, None)


async def test_the_runs_of_the_day_are_counted_and_measured(store: Store) -> None:
    for hundredth in range(1, 101):
        await add(store, hundredth / 100)
    await add(store, 60, status="failed", code="model_busy", ago=timedelta(hours=2))
    await add(store, 50, status="failed", code="model_timeout", ago=timedelta(hours=1))
    await add(store, 99, status="stopped")
    await add(store, 77, ago=2 * DAY)
    await add(store, 77, flow="other")
    found = await of_the_day(store)
    assert found == RunNumbers(103, 2 / 103, 0.5, 0.95, "model_timeout", NOW - timedelta(hours=1))


async def test_one_run_is_every_percentile(store: Store) -> None:
    await add(store, 0.25)
    assert await of_the_day(store) == RunNumbers(1, 0, 0.25, 0.25, None, None)


async def test_only_failures_take_no_time(store: Store) -> None:
    await add(store, 1, status="failed")
    found = await of_the_day(store)
    assert (found.runs, found.p50, found.error_rate, found.last_failure_at) == (1, None, 1, NOW)


async def test_a_run_of_the_first_moment_counts_and_none_before(store: Store) -> None:
    await add(store, 1, ago=DAY)
    await add(store, 2, ago=DAY + timedelta(microseconds=1000))
    assert await of_the_day(store) == RunNumbers(1, 0, 1, 1, None, None)


async def test_of_more_than_ten_thousand_runs_the_newest_are_measured_and_all_are_counted(store: Store) -> None:
    def add_many(connection: Connection) -> None:
        row = {"flow_id": "f", "flow_version": "v", "owner": "member:ada", "session_id": "s", "streamed": False}
        rows = [
            row | {"id": f"{n}", "status": "complete", "started_at": NOW.timestamp() - n, "seconds": n}
            for n in range(1, 10_001)
        ]
        rows[-1]["status"] = "failed"
        connection.execute(insert(tables.runs), rows)

    await store.write(add_many)
    await add(store, 99_999, status="failed", code="model_busy", ago=timedelta(seconds=10_001))
    found = await of_the_day(store)
    assert (found.runs, found.p50, found.p95) == (10_001, 5_000, 9_500)
    assert (found.error_rate, found.last_failure_at) == (1 / 10_000, NOW - timedelta(seconds=10_000))


async def test_people_are_counted_once_and_besides_the_one_who_asks(store: Store) -> None:
    for seconds in (1, 2):
        await add(store, seconds)
    await add(store, 3, ago=2 * DAY)
    asked: dict[str, Any] = {"flow_id": "f", "since": NOW - DAY}
    assert await store.read(numbers.count_people, **asked, besides="member:ben") == 1
    assert await store.read(numbers.count_people, **asked, besides="member:ada") == 0
