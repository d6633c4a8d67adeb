"""The threads that read and that move SQLite's log; how threads end. No clock decides here."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from flowground.core.errors import StoreUnavailable
from flowground.store import Checkpoints, Store
from flowground.store.connections import Database
from flowground.store.writer import Job, Readers
from tests.store_jobs import Endless, Hold, answer, breaking, job, open_database
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "a.db")


@asynccontextmanager
async def hold_readers(readers: Readers) -> AsyncIterator[None]:
    """All three threads are at work while this is open."""
    holds = [Hold() for _ in range(3)]
    for hold in holds:  # one after the other, so that each holds a thread of its own
        readers.put(job(hold))
        assert await asyncio.to_thread(hold.begun.wait, 60)
    try:
        yield
    finally:
        for hold in holds:
            hold.may_end.set()


@asynccontextmanager
async def open_readers(database: Database, *, seconds: float = 3600, threads: int = 3) -> AsyncIterator[Readers]:
    readers = Readers(database.reader, database.file, seconds=seconds, threads=threads)
    try:
        yield readers
    finally:
        await asyncio.to_thread(readers.close)


async def test_three_threads_read_and_more_than_8192_reads_do_not_wait(database: Database) -> None:
    async with open_readers(database) as readers:
        async with hold_readers(readers):
            waiting = Job(lambda _: None, (), {}, future=None)
            for _ in range(8192):
                readers.put(waiting)
            with pytest.raises(StoreUnavailable, match="does not answer"):
                readers.put(waiting)
            assert waiting.result is None
        readers_last = job(lambda _: "read")
        eventually(lambda: not readers._jobs.is_full)
        readers.put(readers_last)
        assert await answer(readers_last) == "read"


async def test_a_connection_that_breaks_under_a_read_is_replaced_once(store: Store) -> None:
    assert await store.read(breaking(1)) == 2
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await store.read(breaking(2))
    assert await store.read(breaking(0)) == 1


async def test_a_read_that_never_ends_is_cut_when_it_is_given_up(database: Database) -> None:
    async with open_readers(database, seconds=0.01) as readers:
        endless = Endless()
        readers.put(running := job(endless))
        await asyncio.to_thread(endless.begun.wait, 60)
        assert running.future is not None
        while not running.future.done():
            await asyncio.sleep(0.05)
            assert readers.give_up(running).code == "store_unavailable"
        with pytest.raises(StoreUnavailable):
            await running.future
        assert readers.outage.reason is not None
        readers.put(after := job(lambda _: "after"))
        assert await answer(after) == "after"
        assert readers.outage.reason is None


async def test_the_end_waits_for_reads_that_are_under_way_and_closes_their_connections(database: Database) -> None:
    readers = Readers(database.reader, database.file, seconds=3600)
    drivers = []
    async with hold_readers(readers):
        readers.put(last := job(lambda connection: drivers.append(connection.connection.driver_connection)))
        closing = asyncio.create_task(asyncio.to_thread(readers.close))
        await asyncio.sleep(0.1)
        assert not closing.done()
    await closing
    await answer(last)
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        drivers[0].total_changes  # noqa: B018 - it raises


async def test_sqlites_log_is_moved_after_each_commit(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Also where a move failed; the end waits for none."""
    assert database.file is not None
    moves = note_moves(database, fail=1)
    checkpoints = Checkpoints(database.reader, database.file)
    await asyncio.sleep(0.6)  # two pauses, and some
    assert moves == []
    checkpoints.committed.set()
    eventually(lambda: len(moves) == 1)
    checkpoints.committed.set()
    eventually(lambda: len(moves) == 2)
    await asyncio.sleep(0.6)
    assert moves == ["PRAGMA wal_checkpoint(PASSIVE)"] * 2
    await asyncio.to_thread(checkpoints.close)
    assert "does not let go" not in caplog.text


def note_moves(database: Database, *, fail: int) -> list[str]:
    """How the reader's connections are told to move the log; the first ones fail."""
    moves: list[str] = []

    @event.listens_for(database.reader, "before_cursor_execute")
    def _(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "wal_checkpoint" not in statement:
            return
        moves.append(statement)
        if len(moves) <= fail:
            raise OperationalError(statement, None, Exception("busy"))

    return moves


def test_no_thread_of_the_store_keeps_the_process(store: Store) -> None:
    names = {thread.name: thread.daemon for thread in threading.enumerate() if thread.name.startswith("store-")}
    assert names.keys() >= {"store-writer", "store-reader-0", "store-reader-1", "store-reader-2"}
    assert set(names.values()) == {True}
