"""Visitors' conversations end by number and by age, in small steps; nobody else's do."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from flowground.forgetting import VISITORS, Forgetting
from flowground.messages import MessageRole
from flowground.settings import PublicSettings, RetentionSettings
from flowground.store import Store
from flowground.store.runs import turns, visitors
from flowground.store.runs.records import StoredMessage
from tests.stored import list_sessions

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
VISITOR = f"visitor:{'a' * 32}"


def forgetting(
    store: Store, *, conversations: int = 0, days: int = 0, retention: RetentionSettings | None = None, **pauses: float
) -> Forgetting:
    public = PublicSettings(conversations=conversations, days=days)
    return Forgetting(store, retention or RetentionSettings(), public, now=NOW.timestamp, **{"rest": 0.0} | pauses)


async def say(
    store: Store, session: str, *, at: datetime = NOW, owner: str = VISITOR, flow_id: str = "talk", messages: int = 1
) -> None:
    for number in range(messages):
        role: MessageRole = "assistant" if number % 2 else "user"
        message = StoredMessage(str(uuid.uuid4()), role, f"{session} {number}", "complete", at)
        place: dict[str, Any] = {"flow_id": flow_id, "owner": owner, "session_id": session}
        await store.write(turns.begin_turn, message=message, **place)


async def kept(store: Store, *, owner: str = VISITOR, flow_id: str = "talk") -> set[str]:
    found = await store.read(list_sessions, flow_id=flow_id, owner=owner, limit=1000)
    return {info.session_id for info in found}


async def until_kept(store: Store, sessions: set[str]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await kept(store) == sessions:
                return
            await asyncio.sleep(0.01)


async def count(store: Store, table: str) -> int:
    def job(connection: Connection) -> int:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    return await store.read(job)


async def test_the_oldest_of_a_flow_go_first_and_members_keep_theirs(store: Store) -> None:
    others = ("member:mia", "local:owner", "token:t", "member:visitor:")
    for hour in range(50):
        at = NOW - timedelta(hours=hour)
        await say(store, f"s{hour}", at=at, owner=f"visitor:{hour % 7}")
        for owner in others:
            await say(store, f"s{hour}", at=at, owner=owner)
    await say(store, "alone", at=NOW - timedelta(days=900), flow_id="another")
    assert await forgetting(store, conversations=3).forget() == {VISITORS: 47}
    left: set[str] = set()
    for number in range(7):
        left |= await kept(store, owner=f"visitor:{number}")
    assert left == {"s0", "s1", "s2"}
    assert await kept(store, flow_id="another") == {"alone"}
    assert {len(await kept(store, owner=owner)) for owner in others} == {50}
    assert await count(store, "messages") == 50 * len(others) + 4
    assert await forgetting(store, conversations=3).forget() == {}


async def test_age_counts_from_the_last_message(store: Store) -> None:
    await say(store, "old", at=NOW - timedelta(days=31))
    await say(store, "used", at=NOW - timedelta(days=31))
    await say(store, "used", at=NOW - timedelta(days=29))
    await say(store, "old", at=NOW - timedelta(days=400), owner="member:mia")
    assert await forgetting(store, days=30, conversations=2).forget() == {VISITORS: 1}
    assert await kept(store) == {"used"}
    assert await kept(store, owner="member:mia") == {"old"}


async def test_zero_keeps_everything(store: Store) -> None:
    await say(store, "old", at=NOW - timedelta(days=4000))
    assert await forgetting(store).forget() == {}
    assert await kept(store) == {"old"}


async def test_no_look_finds_more_than_was_asked_for(store: Store) -> None:
    for flow_id in ("talk", "echo"):
        for hour in range(3):
            await say(store, f"s{hour}", at=NOW - timedelta(hours=hour), flow_id=flow_id)

    async def count_found(**which: Any) -> int:
        return len(await store.read(visitors.find_surplus, **which))

    assert await count_found(keep=1, before=0, limit=20) == 4
    assert await count_found(keep=1, before=0, limit=3) == 3
    assert await count_found(keep=3, before=0, limit=20) == 0
    assert await count_found(keep=0, before=NOW.timestamp(), limit=20) == 4
    assert await count_found(keep=0, before=NOW.timestamp(), limit=3) == 3


async def test_no_step_deletes_more_than_fifty_messages(store: Store) -> None:
    await say(store, "long", messages=230)
    (surplus,) = await store.read(visitors.find_surplus, keep=0, before=NOW.timestamp() + 1, limit=20)
    left = [230]
    while not await store.write(visitors.erase_surplus, surplus=surplus):
        left.append(await count(store, "messages"))
    steps = [before - after for before, after in pairwise(left)]
    assert len(steps) >= 4
    assert all(0 < step <= 50 for step in steps)
    assert (await count(store, "messages"), await count(store, "sessions")) == (0, 0)


async def test_who_goes_on_meanwhile_keeps_the_conversation(store: Store) -> None:
    await say(store, "mine", messages=120)
    (surplus,) = await store.read(visitors.find_surplus, keep=0, before=NOW.timestamp() + 1, limit=20)
    assert not await store.write(visitors.erase_surplus, surplus=surplus)
    await say(store, "mine", at=NOW + timedelta(seconds=5))
    assert await store.write(visitors.erase_surplus, surplus=surplus)
    assert await kept(store) == {"mine"}
    assert 71 <= await count(store, "messages") < 121  # a step ends early where the machine is slow


async def test_it_looks_when_a_visitor_spoke_and_by_itself(store: Store) -> None:
    for spoken in (True, False):
        for number in range(5):
            await say(store, f"s{number}", at=NOW - timedelta(hours=number))
        task = forgetting(store, conversations=2, at_least=0.02, at_most=0.02 if not spoken else 3600)
        task.start()
        if spoken:
            task.look_soon(VISITORS)
        await until_kept(store, {"s0", "s1"})
        await task.close()


async def test_a_look_that_failed_is_followed_by_another(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def run(connection: Connection, *, statement: str) -> None:
        connection.exec_driver_sql(statement)

    await say(store, "one")
    await say(store, "two", at=NOW - timedelta(hours=1))
    await store.write(run, statement="ALTER TABLE sessions RENAME TO away")
    task = forgetting(store, conversations=1, at_least=0.01, at_most=0.01)
    task.start()
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.01)
            if "could not be deleted" in caplog.text:
                break
    assert {record.message.count("\n") for record in caplog.records} == {0}
    await store.write(run, statement="ALTER TABLE away RENAME TO sessions")
    await until_kept(store, {"one"})
    await task.close()


async def test_among_many_members_conversations_visitors_are_found_by_an_index(store: Store) -> None:
    def job(connection: Connection) -> list[str]:
        asked: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        visitors.find_surplus(connection, keep=1, before=NOW.timestamp(), limit=20)
        assert len(asked) == 3
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")  # a small table would be read whole
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        return [
            " ".join(map(str, connection.exec_driver_sql(f"{explain} {statement}", values)))
            for statement, values in asked[:3]
        ]

    await say(store, "one")
    await say(store, "two")
    assert [plan.count("sessions_of_visitors") for plan in await store.read(job)] == [1, 1, 1]


async def test_a_pause_lies_between_two_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read, is_over = store.read, asyncio.Event()

    async def watch(job: Any, *args: Any, **options: Any) -> Any:
        found = await read(job, *args, **options)
        if job is visitors.find_surplus and not found:
            is_over.set()
        return found

    monkeypatch.setattr(store, "read", watch)
    await say(store, "before", at=NOW - timedelta(hours=3))
    await say(store, "long before", at=NOW - timedelta(hours=4))
    task = forgetting(store, conversations=1, at_least=3600, at_most=3600)
    task.start()
    task.look_soon(VISITORS)
    await asyncio.wait_for(is_over.wait(), 30)
    assert await kept(store) == {"before"}
    await say(store, "one")
    await say(store, "two", at=NOW - timedelta(hours=1))
    task.look_soon(VISITORS)
    await asyncio.sleep(0.3)
    assert await kept(store) == {"one", "two", "before"}
    await task.close()
