"""The writer, with SQLite: what is written together, what fails with whom, and what breaks.

No clock decides here: jobs begin and end when the test says so.
"""

from collections.abc import Callable, Iterator
from itertools import count, groupby
from pathlib import Path

import pytest
from sqlalchemy import Connection, RootTransaction

from flowground.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.database.connections import Database
from flowground.store.runs import turns
from flowground.store.sql import mark_one_way
from tests.store_jobs import breaking, losing_the_commit, open_database, write_together
from tests.store_writes import HERE, OWNED, message, note, noted, open_store
from tests.stored import list_messages, list_sessions

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


async def asked(store: Store) -> list[str]:
    return [said.text for said in await store.read(list_messages, **HERE)]


def find_transaction(connection: Connection) -> RootTransaction | None:
    return connection.get_transaction()


async def test_what_waits_is_committed_together_and_no_more_than_256_at_once(store: Store) -> None:
    found = await write_together(store, *(store.write(find_transaction) for _ in range(600)))
    assert [len(list(alike)) for _, alike in groupby(found, key=id)] == [256, 256, 88]


@pytest.mark.parametrize("lands", [None, lambda *_: False])
async def test_a_one_way_write_that_fails_fails_alone(store: Store, lands: Callable[..., bool] | None) -> None:
    mark = mark_one_way(landed=lands)
    jobs = [note, mark(note_one_way), mark(failing(9)), mark(note_one_way), note]
    found = await write_together(store, *(store.write(job, name) for job, name in zip(jobs, "abxcd", strict=True)))
    assert found == ["a", "b", "LookupError('x')", "c", "d"]
    assert await noted(store) == ["a", "b", "c", "d"]
    with pytest.raises(LookupError):
        await store.write(mark(failing(9)), "x")
    assert await noted(store) == ["a", "b", "c", "d"]


async def test_one_of_two_writes_that_fails_does_not_have_the_other_done_twice(store: Store) -> None:
    done: list[str] = []

    def do(connection: Connection, subject: str) -> str:
        done.append(subject)
        return failing(9)(connection, subject) if subject == "b" else note(connection, subject)

    assert await write_together(store, store.write(do, "a"), store.write(do, "b")) == ["a", "LookupError('b')"]
    assert done == ["a", "b"]
    assert await noted(store) == ["a"]


async def test_a_write_that_succeeds_when_its_batch_is_repeated_is_told_so(store: Store) -> None:
    found = await write_together(store, store.write(failing(1), "a"), store.write(mark_one_way()(failing(9)), "b"))
    assert found == ["a", "LookupError('b')"]
    assert await noted(store) == ["a"]


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


async def test_an_outage_among_writes_that_are_done_one_by_one_is_that_of_the_rest(store: Store, file: Path) -> None:
    def move(connection: Connection) -> None:
        note(connection, "not kept")
        file.rename(file.with_name("away"))

    one_way = store.write(mark_one_way()(failing(9)), "x")
    found = await write_together(store, one_way, store.write(note, "a"), store.write(move), store.write(note, "b"))
    assert found == ["LookupError('x')", "a", "store_moved", "store_moved"]
    file.with_name("away").rename(file)
    assert await noted(store) == ["a"]


async def test_a_disk_that_cannot_be_written_is_an_outage_and_its_connection_is_replaced(store: Store) -> None:
    def shut(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        note(connection, "not kept")

    for _ in range(2):
        assert await write_together(store, store.write(shut)) == ["store_unavailable"]
        together = store.write(note, "not kept"), store.write(shut), store.write(note, "nor this")
        assert await write_together(store, *together) == ["store_unavailable"] * 3
        one_way, after = store.write(mark_one_way()(failing(9)), "x"), store.write(note, "nor this")
        assert await write_together(store, one_way, store.write(shut), after) == [
            *("LookupError('x')", "store_unavailable", "store_unavailable")
        ]
    assert await store.write(note, "kept") == "kept"
    assert await noted(store) == ["kept"]


async def test_what_was_stored_already_is_not_stored_again(store: Store) -> None:
    asked = message("q")
    writes = [store.write(turns.begin_turn, **HERE, message=asked) for _ in range(2)]
    assert await write_together(store, *writes) == [None, None]
    await store.write(turns.begin_turn, **HERE, message=asked)
    [session] = await store.read(list_sessions, **OWNED)
    assert session.messages == 1


@pytest.mark.parametrize("times", [1, 2])
async def test_a_connection_that_breaks_twice_costs_nobody_anything(store: Store, times: int) -> None:
    assert await store.write(breaking(times)) == times + 1
    writes = store.write(note, "a"), store.write(breaking(times)), store.write(note, "b")
    assert await write_together(store, *writes) == ["a", times + 1, "b"]
    assert await noted(store) == ["a", "b"]


async def test_a_connection_that_breaks_three_times_ends_all_that_is_written_together(store: Store) -> None:
    writes = store.write(note, "a"), store.write(breaking(3)), store.write(note, "b")
    assert await write_together(store, *writes) == ["store_unavailable"] * 3
    assert await store.write(note, "after") == "after"
    assert await noted(store) == ["after"]


@pytest.mark.parametrize("lands", [True, False])
async def test_who_can_tell_whether_a_lost_commit_landed_loses_nothing(store: Store, lands: bool) -> None:
    """Nor is it done twice. Nobody knows of the others' writes."""
    found = await write_together(
        store,
        store.write(turns.begin_turn, **HERE, message=message("q")),
        store.write(losing_the_commit(lands=lands)),
        store.write(note, "x"),
        store.write(turns.begin_turn, **HERE, message=message("r")),
    )
    assert found == [None, "unknown_outcome", "unknown_outcome", None]
    assert await asked(store) == ["q", "r"]
    assert await noted(store) == (["loses", "x"] if lands else [])


async def test_nobody_is_told_that_nothing_was_stored_when_a_commit_may_have_landed(store: Store, file: Path) -> None:
    moving = losing_the_commit(lands=True, and_then=lambda: file.rename(file.with_name("away")))
    begin = store.write(turns.begin_turn, **HERE, message=message("q"))
    assert await write_together(store, begin, store.write(moving)) == ["unknown_outcome", "unknown_outcome"]
    file.with_name("away").rename(file)
    assert await asked(store) == ["q"]
