"""The writer, with SQLite: what is given up, what hangs, and who is told.

No clock decides here: jobs begin and end when the test says so.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from flowground.errors import StoreUnavailable
from flowground.store.database import connections
from flowground.store.database.connections import Database
from flowground.store.database.jobs import Job
from flowground.store.database.writer import Writer
from flowground.store.sql import mark_one_way
from tests.store_jobs import Endless, Hold, answer, job, open_database
from tests.store_writes import note
from tests.stored import list_entries
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def database(file: Path) -> Database:
    return open_database(file)


def note_one_way(connection: Connection, subject: str) -> str:
    """Another function than `note`, to be marked."""
    return note(connection, subject)


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    async with open_writer(database, seconds=3600) as writer:
        yield writer


@asynccontextmanager
async def open_writer(database: Database, *, seconds: float) -> AsyncIterator[Writer]:
    writer = Writer(database.writer, database.file, seconds=seconds, after_commit=lambda: None)
    try:
        yield writer
    finally:
        await asyncio.to_thread(writer.close)


async def test_a_write_that_was_given_up_before_it_began_is_never_done(writer: Writer, database: Database) -> None:
    hold = Hold()
    writer.put(job(hold))
    await asyncio.to_thread(hold.begun.wait, 60)
    given_up, other = job(note, "given up"), job(note, "other")
    writer.put(given_up)
    writer.put(other)
    assert writer.give_up(given_up).code == "store_busy"
    assert writer.outage.reason == "no answer within 3600 s"
    hold.may_end.set()
    assert await answer(other) == "other"
    assert [entry.subject for entry in read(database)] == ["other"]


async def test_a_write_that_has_begun_or_stays_is_done_whoever_gives_it_up(writer: Writer, database: Database) -> None:
    hold = Hold()
    begun, staying = job(hold), job(mark_one_way(stays=True)(note_one_way), "stays")
    writer.put(begun)
    await asyncio.to_thread(hold.begun.wait, 60)
    writer.put(staying)
    assert [writer.give_up(begun).code, writer.give_up(staying).code] == ["unknown_outcome", "unknown_outcome"]
    hold.may_end.set()
    assert [await answer(begun), await answer(staying)] == ["held", "stays"]
    assert [entry.subject for entry in read(database)] == ["stays"]


def read(database: Database) -> list[Any]:
    with database.reader.connect() as connection:
        return list_entries(connection)


async def test_while_one_write_hangs_others_are_refused_at_once(database: Database) -> None:
    async with open_writer(database, seconds=0.01) as writer:
        hold = Hold()
        writer.put(held := job(hold))
        await asyncio.to_thread(hold.begun.wait, 60)
        await asyncio.sleep(0.1)
        assert writer.give_up(held).code == "unknown_outcome"
        with pytest.raises(StoreUnavailable):
            writer.put(job(note, "refused"))
        hold.may_end.set()
        eventually(lambda: writer._connection.began is None)
        writer.put(after := job(note, "after"))
        assert await answer(after) == "after"


async def test_more_than_4096_writes_do_not_wait(writer: Writer) -> None:
    hold = Hold()
    writer.put(job(hold))
    await asyncio.to_thread(hold.begun.wait, 60)
    waiting = Job(lambda _: None, (), {}, future=None)
    for _ in range(4096):
        writer.put(waiting)
    with pytest.raises(StoreUnavailable):
        writer.put(waiting)
    hold.may_end.set()


async def test_a_write_hangs_once_it_takes_half_as_long_again_as_anybody_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_writer(database, seconds=100) as writer:
        hold, passed = Hold(), [0]
        monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
        writer.put(held := job(hold))
        await asyncio.to_thread(hold.begun.wait, 60)
        passed[0] = 130
        assert writer.give_up(held).code == "unknown_outcome"
        writer.put(job(note, "waits"))
        passed[0] = 170
        with pytest.raises(StoreUnavailable):
            writer.put(job(note, "refused"))
        hold.may_end.set()


async def test_a_write_that_nobody_gave_up_does_not_hang_however_late_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stood still: its clock went on, and nothing else."""
    async with open_writer(database, seconds=100) as writer:
        hold, passed = Hold(), [0]
        monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
        writer.put(job(hold))
        await asyncio.to_thread(hold.begun.wait, 60)
        passed[0] = 3600
        writer.put(after := job(note, "after"))
        hold.may_end.set()
        assert await answer(after) == "after"


@pytest.mark.parametrize("door", ["give_up", "put"])
async def test_a_statement_of_a_write_that_never_ends_is_cut(database: Database, door: str) -> None:
    async with open_writer(database, seconds=0.01) as writer:
        endless = Endless()
        writer.put(running := job(endless))
        await asyncio.to_thread(endless.begun.wait, 60)
        assert running.future is not None
        assert writer.give_up(running).code == "unknown_outcome"
        while not running.future.done():
            await asyncio.sleep(0.05)
            if door == "give_up":
                assert writer.give_up(running).code == "unknown_outcome"
            else:
                with suppress(StoreUnavailable):
                    writer.put(job(note, "refused"))
        with pytest.raises(StoreUnavailable):
            await running.future
        writer.put(after := job(note, "after"))
        assert await answer(after) == "after"


async def test_after_each_commit_somebody_is_told(database: Database) -> None:
    told: list[int] = []
    writer = Writer(database.writer, database.file, seconds=20, after_commit=lambda: told.append(len(read(database))))
    for subject in ("a", "b"):
        writer.put(written := job(note, subject))
        await answer(written)
        eventually(lambda: len(told) == (1 if written.result == "a" else 2))
    await asyncio.to_thread(writer.close)
    assert told == [1, 2]
