"""A database that is locked, cut, away or does not answer: every wait ends, and what was told is true."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from flowground.errors import ConfigError, InvalidRequest, StoreUnavailable
from flowground.store import Store, audit
from flowground.store.database.threads import MOST_WRITES
from flowground.store.runs import conversations
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.database_line import DatabaseLine
from tests.store_databases import SERVER, empty_database
from tests.stored import list_entries, list_runs

pytestmark = pytest.mark.anyio
needs_postgresql = pytest.mark.skipif(not SERVER, reason="TEST_DATABASE_URL names no PostgreSQL")
HERE: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": "s"}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[DatabaseLine]:
    with empty_database("postgresql", tmp_path) as url, DatabaseLine(url) as line:
        yield line
        line.cut()
        _terminate_all(line)


@contextmanager
def opened(url: str, *, seconds: float = 1) -> Iterator[Store]:
    store = Store.open(url, seconds=seconds)
    try:
        yield store
    finally:
        store.close()


def note(connection: Connection, subject: str) -> str:
    audit.record(connection, actor="test", action="noted", subject=subject)
    return subject


def wait_for_ever(connection: Connection) -> None:
    connection.execute(text("SELECT pg_sleep(3600)"))


async def noted(store: Store) -> list[str]:
    return [entry.subject for entry in reversed(await store.read(list_entries, limit=10_000))]


def message(said: str, role: Any = "user", run_id: str | None = None) -> StoredMessage:
    return StoredMessage(str(uuid4()), role, said, "complete", datetime.now(UTC), run_id=run_id)


def ran() -> RunRecord:
    return RunRecord(str(uuid4()), "echo", "v", "member:ada", "s", "complete", datetime.now(UTC), 0.1)


async def outcome(write: Any) -> str:
    """`done`, or the code of what was raised."""
    try:
        async with asyncio.timeout(30):
            await write
    except StoreUnavailable as error:
        return error.code
    return "done"


async def write_until_it_works(store: Store) -> None:
    async with asyncio.timeout(60):
        for _ in range(1_000):
            if await outcome(store.write(note, "after")) == "done":
                return
            await asyncio.sleep(0.1)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another process holds what every write of `note` needs."""
    if url.startswith("sqlite"):
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        yield


async def test_a_locked_database_fails_all_that_wait_as_one_and_does_nothing_of_it(url: str) -> None:
    with opened(url) as store:
        with locked(url):
            codes = await asyncio.gather(*(outcome(store.write(note, str(number))) for number in range(50)))
        assert set(codes) == {"store_busy"}
        assert await store.write(note, "after") == "after"
        assert await noted(store) == ["after"]


async def test_a_lock_that_is_given_back_in_time_costs_nobody_anything(url: str) -> None:
    with opened(url, seconds=20) as store:
        with locked(url):
            writes = [asyncio.create_task(store.write(note, str(number))) for number in range(50)]
            await asyncio.sleep(1)
        assert await asyncio.gather(*writes) == [str(number) for number in range(50)]


async def test_a_locked_database_lets_the_process_end(url: str) -> None:
    store = Store.open(url, seconds=300)
    with locked(url):
        write = asyncio.create_task(store.write(note, "x"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(60):
            await asyncio.to_thread(store.close)
        write.cancel()


async def test_what_waits_without_end_is_refused_at_once(url: str) -> None:
    with opened(url) as store:
        with locked(url):
            waiting = [asyncio.create_task(outcome(store.write(note, "x"))) for _ in range(MOST_WRITES + 300)]
            refused = await asyncio.wait_for(outcome(store.write(note, "one more")), 30)
            codes = await asyncio.gather(*waiting)
        assert refused == "store_unavailable"
        # PostgreSQL waits for the lock inside the transaction: at the end of the waiting it may still be given.
        unknown = {"unknown_outcome"} if url.startswith("postgresql") else set()
        assert set(codes) - unknown == {"store_busy", "store_unavailable"}
        assert await noted(store) == []


async def test_a_refusal_inside_a_job_takes_back_its_own_work_and_nobody_elses(store: Store) -> None:
    calls: list[str] = []

    def note_and_count(connection: Connection, subject: str) -> str:
        calls.append(subject)
        note(connection, subject)
        if subject == "3":
            raise InvalidRequest("No.")
        return subject

    writes = (store.write(note_and_count, str(number)) for number in range(100))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results].count(InvalidRequest) == 1
    assert isinstance(results[3], InvalidRequest)
    assert calls == [str(number) for number in range(100)]  # each once, the refused one too
    assert await noted(store) == [str(number) for number in range(100) if number != 3]


async def test_an_outage_is_a_line_in_the_log_at_its_begin_and_end(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(url) as store:
        with locked(url):
            await asyncio.gather(*(outcome(store.write(note, "x")) for _ in range(20)))
        await store.write(note, "after")
    said = [record for record in caplog.records if record.levelno > logging.WARNING or "again" in record.message]
    assert len(said) == 2
    assert "the database cannot be written" in said[0].message
    assert "the database can be written again" in said[1].message
    assert not any(record.exc_info for record in caplog.records)


async def test_readiness_knows_that_writing_failed_and_that_it_works_again(url: str) -> None:
    with opened(url) as store:
        await store.require_ready()
        with locked(url):
            await outcome(store.write(note, "x"))
        if url.startswith("sqlite"):
            with locked(url):
                assert await outcome(store.require_ready()) != "done"
            store._probed = 0.0  # the next look may try again
        await store.require_ready()
        assert await noted(store) == []


def test_a_database_that_is_locked_at_the_start_is_said_in_a_sentence(url: str) -> None:
    Store.open(url).close()
    if url.startswith("sqlite"):  # PostgreSQL's migrations lock nothing that is in use when there are none to run
        with locked(url), pytest.raises(ConfigError, match="database is locked"):
            Store.open(url, seconds=1)


async def test_a_run_that_has_its_end_keeps_it(store: Store) -> None:
    run, answer = ran(), message("good", "assistant")
    await store.write(conversations.begin_turn, **HERE, message=message("q"))
    for late in (answer, message("The database did not answer.", "assistant")):
        await store.write(conversations.finish_turn, **HERE, answers=[late], run=run)
    assert [said.text for said in await store.read(conversations.list_messages, **HERE)] == ["q", "good"]
    assert [session.messages for session in await store.read(conversations.list_sessions, **_owner())] == [2]


def _owner() -> dict[str, Any]:
    return {"flow_id": "echo", "owner": "member:ada"}


async def test_a_database_file_that_was_deleted_acknowledges_nothing(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/a.db") as store:
        await store.write(note, "kept")
        (tmp_path / "a.db").rename(tmp_path / "away")
        assert await outcome(store.write(note, "lost")) == "store_moved"
        assert await outcome(store.require_ready()) == "store_moved"
        assert not (tmp_path / "a.db").exists()
        (tmp_path / "away").rename(tmp_path / "a.db")
        assert await store.write(note, "back") == "back"
        assert await noted(store) == ["kept", "back"]


async def test_a_database_file_that_was_moved_tells_one_story(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever meets it: a connection that is open, and one that is made anew."""
    with opened(f"sqlite:///{tmp_path}/a.db") as store:
        await store.write(note, "kept")
        (tmp_path / "a.db").rename(tmp_path / "away")
        for _ in range(3):
            assert await outcome(store.write(note, "lost")) == "store_moved"
            assert await outcome(noted(store)) == "store_moved"
            assert await outcome(store.require_ready()) == "store_moved"
        said = [record.message for record in caplog.records if "cannot be" in record.message]
        assert said
        assert [line for line in said if "was moved" not in line or f"({tmp_path}/a.db)" not in line] == []
        (tmp_path / "a.db").write_bytes(b"another file")
        assert await outcome(noted(store)) == "store_moved"
        (tmp_path / "away").replace(tmp_path / "a.db")
        assert await store.write(note, "back") == "back"
        assert await noted(store) == ["kept", "back"]


async def test_a_new_database_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for times in (1, 1):
        Store.open(url).close()
        assert caplog.text.count("a new database was made") == times


@needs_postgresql
async def test_postgresql_that_hangs_ends_every_wait_and_the_process(line: DatabaseLine) -> None:
    store = Store.open(line.url, seconds=1)
    await store.write(note, "before")
    line.hang()
    calls = [store.read(list_entries), store.write(note, "a"), store.write(note, "b"), store.require_ready()]
    codes = await asyncio.gather(*(outcome(call) for call in calls))
    assert codes[0] == codes[3] == "store_unavailable"
    assert set(codes[1:3]) <= {"unknown_outcome", "store_busy"}
    async with asyncio.timeout(60):
        await asyncio.to_thread(store.close)


@needs_postgresql
async def test_postgresql_that_hung_is_used_again_by_itself(line: DatabaseLine) -> None:
    with opened(line.url) as store:
        await store.write(note, "before")
        line.hang()
        await asyncio.gather(*(outcome(store.read(list_entries)) for _ in range(9)))
        assert await outcome(store.write(note, "unknown")) == "unknown_outcome"
        line.go_on()
        await write_until_it_works(store)
        await store.require_ready()
        assert set(await noted(store)) - {"unknown"} == {"before", "after"}


@needs_postgresql
async def test_a_statement_that_never_ends_is_ended(line: DatabaseLine) -> None:
    with opened(line.url) as store:
        codes = await asyncio.gather(*(outcome(store.read(wait_for_ever)) for _ in range(3)))
        assert len(codes) == 3
        assert set(codes) <= {"store_busy", "store_unavailable"}
        assert await outcome(store.write(wait_for_ever)) in ("store_busy", "unknown_outcome")
        await write_until_it_works(store)
        assert await noted(store) == ["after"]


@needs_postgresql
async def test_connections_that_were_ended_while_idle_cost_nobody_anything(line: DatabaseLine) -> None:
    with opened(line.url, seconds=15) as store:
        for number in range(6):
            line.cut()
            await asyncio.sleep(0.05)
            question, run = message(str(number)), ran()
            await store.write(conversations.begin_turn, **HERE, message=question)
            line.cut()
            await asyncio.sleep(0.05)
            answer = message(f"re:{number}", "assistant", run.id)
            await store.write(conversations.finish_turn, **HERE, answers=[answer], run=run)
        said = [item.text for item in await store.read(conversations.list_messages, **HERE)]
        assert said == [text for number in range(6) for text in (str(number), f"re:{number}")]


@needs_postgresql
async def test_connections_ended_under_load_lose_and_double_nothing(line: DatabaseLine) -> None:
    asked: list[str] = []

    async def client(store: Store, name: int) -> None:
        for number in range(40):
            run, said = ran(), f"{name}-{number}"
            await store.write(conversations.begin_turn, **HERE, message=message(said))
            answers = [message(f"re:{said}", "assistant", run.id)]
            await store.write(conversations.finish_turn, **HERE, answers=answers, run=run)
            asked.extend((said, f"re:{said}"))

    async def harm() -> None:
        while True:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(_terminate_all, line)

    with opened(line.url, seconds=15) as store:
        harming = asyncio.create_task(harm())
        await asyncio.gather(*(client(store, name) for name in range(6)))
        harming.cancel()
        await asyncio.gather(harming, return_exceptions=True)
        stored = [item.text for item in await store.read(conversations.list_messages, **HERE, limit=10_000)]
        assert len(asked) == 480
        assert sorted(stored) == sorted(asked)
        assert [session.messages for session in await store.read(conversations.list_sessions, **_owner())] == [480]
        assert len(await store.read(list_runs, flow_id="echo", limit=1_000)) == 240


@needs_postgresql
async def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_done_twice(line: DatabaseLine) -> None:
    with opened(line.url, seconds=15) as store:
        question, run = message("q"), ran()
        line.lose_next_commit()
        await store.write(conversations.begin_turn, **HERE, message=question)
        line.lose_next_commit()
        await store.write(conversations.finish_turn, **HERE, answers=[message("a", "assistant")], run=run)
        line.lose_next_commit()
        assert await outcome(store.write(note, "whatever")) == "unknown_outcome"  # nothing tells whether it landed
        assert [said.text for said in await store.read(conversations.list_messages, **HERE)] == ["q", "a"]
        assert [session.messages for session in await store.read(conversations.list_sessions, **_owner())] == [2]
        assert await noted(store) == ["whatever"]


def _terminate_all(line: DatabaseLine) -> None:
    engine = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
    with engine.begin() as connection:
        connection.execute(ended, {"name": line.name})
