"""The writer, with SQLite: what is written together, what fails with whom, what breaks, hangs and is given up.

No clock decides here: jobs begin and end when the test says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count, groupby
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flowground.core.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.connections import Database
from flowground.store.runs import turns
from flowground.store.sql import mark_job
from flowground.store.writer import Job, Writer
from tests.store_jobs import Endless, Hold, answer, breaking, job, losing_the_commit, open_database, write_together
from tests.store_writes import HERE, message, note, noted, open_store
from tests.stored import list_entries
from tests.stored_chats import find_sessions, list_texts
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{file}", seconds=20) as store:
        yield store


@pytest.fixture
def database(file: Path) -> Database:
    return open_database(file)


def note_one_way(connection: Connection, subject: str) -> str:
    """Another function than `note`, to be marked."""
    return note(connection, subject)


def failing(times: int) -> Callable[[Connection, str], str]:
    """A job that fails in its first calls, after it noted something."""
    calls = count(1)

    def fail(connection: Connection, subject: str) -> str:
        note(connection, subject)
        if next(calls) <= times:
            raise LookupError(subject)
        return subject

    return fail


async def test_what_waits_is_committed_together_and_no_more_than_256_at_once(store: Store) -> None:
    def find_transaction(_: Connection) -> float | None:
        return store._writer._connection.began

    found = await write_together(store, *(store.write(find_transaction) for _ in range(600)))
    assert [len(list(alike)) for _, alike in groupby(found)] == [256, 256, 88]


@pytest.mark.parametrize("lands", [None, lambda *_: False])
async def test_a_one_way_write_that_fails_fails_alone(store: Store, lands: Callable[..., bool] | None) -> None:
    mark = mark_job(landed=lands)
    jobs = [note, mark(note_one_way), mark(failing(9)), mark(note_one_way), note]
    found = await write_together(store, *(store.write(job, name) for job, name in zip(jobs, "abxcd", strict=True)))
    assert found == ["a", "b", "LookupError('x')", "c", "d"]
    assert await noted(store) == ["a", "b", "c", "d"]
    with pytest.raises(LookupError):
        await store.write(mark(failing(9)), "x")
    assert await noted(store) == ["a", "b", "c", "d"]


async def test_an_outage_in_a_batch_is_everybodys(store: Store) -> None:
    def fall_out(connection: Connection) -> None:
        note(connection, "not kept")
        raise StoreUnavailable("Out.")

    writes = store.write(note, "a"), store.write(fall_out), store.write(note, "b")
    assert await write_together(store, *writes) == ["store_unavailable"] * 3
    assert await noted(store) == []
    assert store._writer.outage.reason == "StoreUnavailable: Out."
    await store.write(note, "after")
    assert store._writer.outage.reason is None


async def test_a_disk_that_cannot_be_written_is_an_outage_and_its_connection_is_replaced(store: Store) -> None:
    def shut(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        note(connection, "not kept")

    for _ in range(2):
        assert await write_together(store, store.write(shut)) == ["store_unavailable"]
        together = store.write(note, "not kept"), store.write(shut), store.write(note, "nor this")
        assert await write_together(store, *together) == ["store_unavailable"] * 3
        one_way, after = store.write(mark_job()(failing(9)), "x"), store.write(note, "nor this")
        found = await write_together(store, one_way, store.write(shut), after)
        assert found == ["LookupError('x')", "store_unavailable", "store_unavailable"]
    assert await store.write(note, "kept") == "kept"
    assert await noted(store) == ["kept"]


async def test_what_was_stored_already_is_not_stored_again(store: Store) -> None:
    asked = message("q")
    writes = [store.write(turns.begin_turn, **HERE, message=asked) for _ in range(2)]
    assert await write_together(store, *writes) == [None, None]
    await store.write(turns.begin_turn, **HERE, message=asked)
    assert [session.messages for session in await find_sessions(store)] == [1]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_connection_that_breaks_twice_costs_nobody_anything_and_thrice_all(store: Store, times: int) -> None:
    assert times == 3 or await store.write(breaking(times)) == times + 1
    writes = store.write(note, "a"), store.write(breaking(times)), store.write(note, "b")
    is_done = times < 3
    assert await write_together(store, *writes) == (["a", times + 1, "b"] if is_done else ["store_unavailable"] * 3)
    assert await store.write(note, "after") == "after"
    assert await noted(store) == [*(["a", "b"] if is_done else []), "after"]


@pytest.mark.parametrize("lands", [True, False])
async def test_who_can_tell_whether_a_lost_commit_landed_loses_nothing(store: Store, lands: bool) -> None:
    """Nor is it done twice. Nobody knows of the others' writes."""
    first, last = (store.write(turns.begin_turn, **HERE, message=message(said)) for said in "qr")
    lost, other = store.write(losing_the_commit(lands=lands)), store.write(note, "x")
    found = await write_together(store, first, lost, other, last)
    assert found == [None, "unknown_outcome", "unknown_outcome", None]
    assert await list_texts(store) == ["q", "r"]
    assert await noted(store) == (["loses", "x"] if lands else [])


async def test_nobody_is_told_that_nothing_was_stored_when_a_commit_may_have_landed(store: Store, file: Path) -> None:
    moving = losing_the_commit(lands=True, and_then=lambda: file.rename(file.with_name("away")))
    begin = store.write(turns.begin_turn, **HERE, message=message("q"))
    assert await write_together(store, begin, store.write(moving)) == ["unknown_outcome", "unknown_outcome"]
    file.with_name("away").rename(file)
    assert await list_texts(store) == ["q"]


# What is given up, what hangs, and who is told


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    async with open_writer(database, seconds=3600) as writer:
        yield writer


@asynccontextmanager
async def open_writer(
    database: Database, *, seconds: float, after_commit: Callable[[], None] = lambda: None
) -> AsyncIterator[Writer]:
    writer = Writer(database.writer, database.file, seconds=seconds, after_commit=after_commit)
    try:
        yield writer
    finally:
        await asyncio.to_thread(writer.close)


async def keep_busy(writer: Writer, work: Hold | Endless) -> Job:
    """It has begun, and holds the writer."""
    writer.put(held := job(work))
    assert await asyncio.to_thread(work.begun.wait, 60)
    return held


def read(database: Database) -> list[str]:
    with database.reader.connect() as connection:
        return [entry.subject for entry in list_entries(connection)]


async def test_a_write_that_was_given_up_before_it_began_is_never_done(writer: Writer, database: Database) -> None:
    await keep_busy(writer, hold := Hold())
    given_up, other = job(note, "given up"), job(note, "other")
    writer.put(given_up)
    writer.put(other)
    assert writer.give_up(given_up).code == "store_busy"
    assert writer.outage.reason == "no answer within 3600 s"
    hold.may_end.set()
    assert await answer(other) == "other"
    assert read(database) == ["other"]


async def test_a_write_that_has_begun_or_stays_is_done_whoever_gives_it_up(writer: Writer, database: Database) -> None:
    begun = await keep_busy(writer, hold := Hold())
    writer.put(staying := job(mark_job(stays=True)(note_one_way), "stays"))
    assert [writer.give_up(begun).code, writer.give_up(staying).code] == ["unknown_outcome", "unknown_outcome"]
    hold.may_end.set()
    assert [await answer(begun), await answer(staying)] == ["held", "stays"]
    assert read(database) == ["stays"]


async def test_while_one_write_hangs_others_are_refused_at_once(database: Database) -> None:
    async with open_writer(database, seconds=0.01) as writer:
        held = await keep_busy(writer, hold := Hold())
        await asyncio.sleep(0.1)
        assert writer.give_up(held).code == "unknown_outcome"
        with pytest.raises(StoreUnavailable):
            writer.put(job(note, "refused"))
        hold.may_end.set()
        eventually(lambda: writer._connection.began is None)
        writer.put(after := job(note, "after"))
        assert await answer(after) == "after"


async def test_more_than_4096_writes_do_not_wait(writer: Writer) -> None:
    await keep_busy(writer, hold := Hold())
    waiting = Job(lambda _: None, (), {}, future=None)
    for _ in range(4096):
        writer.put(waiting)
    with pytest.raises(StoreUnavailable):
        writer.put(waiting)
    hold.may_end.set()


@pytest.mark.parametrize("at", ["give_up", "put"])
async def test_a_statement_of_a_write_that_never_ends_is_cut(database: Database, at: str) -> None:
    async with open_writer(database, seconds=0.01) as writer:
        running = await keep_busy(writer, Endless())
        assert running.future is not None
        assert writer.give_up(running).code == "unknown_outcome"
        while not running.future.done():
            await asyncio.sleep(0.05)
            if at == "give_up":
                assert writer.give_up(running).code == "unknown_outcome"
            else:
                with suppress(StoreUnavailable):
                    writer.put(job(note, "refused"))
        with pytest.raises(StoreUnavailable):
            await running.future
        writer.put(after := job(note, "after"))
        assert await answer(after) == "after"
