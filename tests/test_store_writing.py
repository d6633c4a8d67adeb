"""The batching writer and the readers: order, failures, cancellation, several loops, the end."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from flowground.core.errors import ConfigError, InvalidRequest
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.sql import mark_job
from tests.store_jobs import Hold, write_together
from tests.store_writes import HERE, message, note, noted
from tests.stored import list_entries
from tests.stored_chats import list_texts

pytestmark = pytest.mark.anyio


async def test_a_failing_write_is_tried_once_and_takes_back_its_own_work_and_nobody_elses(store: Store) -> None:
    calls: list[str] = []

    def note_and_count(connection: Connection, subject: str) -> str:
        calls.append(subject)
        note(connection, subject)
        if subject.endswith("3"):
            raise LookupError if subject == "3" else InvalidRequest("No.")
        return subject

    writes = (store.write(note_and_count, str(number)) for number in range(100))
    results = await asyncio.gather(*writes, return_exceptions=True)
    wanted = [LookupError, *[str] * 9, InvalidRequest, *[str] * 9]
    assert [type(result) for result in results[3:23]] == wanted
    assert calls == [str(number) for number in range(100)]
    with pytest.raises(LookupError):
        await store.write(note_and_count, "3")
    assert calls[100:] == ["3"]
    assert await noted(store) == [str(number) for number in range(100) if number % 10 != 3]


async def test_what_fails_among_turns_of_one_round_trip_takes_back_its_own_statements(store: Store) -> None:
    @mark_job(landed=turns.has_begun)
    def begin_and_fail(connection: Connection, **begun: Any) -> None:
        turns.begin_turn(connection, **begun)
        raise LookupError("b")

    jobs = zip((turns.begin_turn, begin_and_fail, turns.begin_turn), "abc", strict=True)
    writes = [store.write(job, **HERE, message=message(said)) for job, said in jobs]
    assert await write_together(store, *writes) == [None, "LookupError('b')", None]
    assert await list_texts(store) == ["a", "c"]


async def test_a_read_that_nobody_waits_for_any_more_is_not_done(store: Store) -> None:
    holds, holding, done = [Hold(), Hold(), Hold()], [], list[str]()

    def read(_: Connection, name: str) -> None:
        done.append(name)

    for hold in holds:  # one after the other, so that each holds a thread of its own
        holding.append(asyncio.create_task(store.read(hold)))
        assert await asyncio.to_thread(hold.begun.wait, 20)
    left, waits = [asyncio.create_task(store.read(read, name)) for name in ("left", "waits")]
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    for hold in holds:
        hold.may_end.set()
    await asyncio.gather(waits, *holding)
    assert done == ["waits"]


async def test_a_cancelled_caller_breaks_no_batch_and_its_write_is_done(store: Store) -> None:
    tasks = [asyncio.create_task(store.write(note, str(number))) for number in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [str(number) for number in range(1, 100, 2)]
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    await store.write(note, "last")
    assert await noted(store) == [*(str(number) for number in range(100)), "last"]


async def test_a_read_cannot_write_and_fails_alone(store: Store) -> None:
    reads = (store.read(note, "x") if n == 3 else store.read(list_entries) for n in range(9))
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert [result for n, result in enumerate(results) if n != 3] == [[]] * 8
    assert re.search("read-?only", str(results[3]))
    assert await noted(store) == []


def test_several_loops_may_use_one_store(store: Store) -> None:
    async def write(name: str) -> None:
        await asyncio.gather(*(store.write(note, f"{name}{number}") for number in range(100)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: asyncio.run(write(name)), "abcd"))
    assert len(asyncio.run(noted(store))) == 400


async def test_closing_finishes_what_waits(url: str) -> None:
    store = Store.open(url)
    tasks = [asyncio.create_task(store.write(note, str(number))) for number in range(500)]
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    assert await asyncio.gather(*tasks) == [str(number) for number in range(500)]
    with pytest.raises(RuntimeError, match="the store is closed"):
        await store.write(note, "late")
    store.close()  # twice is fine
    again = Store.open(url)
    assert len(await noted(again)) == 500
    again.close()


WRONG = [
    *(("nonsense", "must look like"), ("mysql://x", "mysql is not supported"), ("sqlite:///:memory:", "needs a file")),
    *(("sqlite:////proc/nowhere/a.db", "cannot open"), ("postgresql://a:hidden@127.0.0.1:1/b", "cannot open")),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_an_unusable_database_is_a_config_error_without_its_password(wrong: str, said: str) -> None:
    if wrong.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="needs psycopg, the driver of PostgreSQL")
    with pytest.raises(ConfigError, match=said) as raised:
        Store.open(wrong)
    assert "hidden" not in str(raised.value)


async def test_a_new_database_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for times in (1, 1):
        Store.open(url).close()
        assert caplog.text.count("A new database was made") == times


def test_the_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/new/folder/a.db").close()
    assert (tmp_path / "new/folder/a.db").stat().st_mode & 0o077 == 0
