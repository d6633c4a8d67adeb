"""A database that is locked, a file that was moved, a writer that is killed: waits end, and what was told is true."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from flowground.core.errors import ConfigError
from flowground.store import Store
from flowground.store.writer import MOST_WRITES
from tests.store_jobs import Hold
from tests.store_writes import HERE, note, noted, open_store, outcome
from tests.stored import list_messages

pytestmark = pytest.mark.anyio


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


def long_enough(url: str) -> float:
    """Seconds of a wait that PostgreSQL ends itself, also on a busy machine: it gives up a lock after four fifths."""
    return 1 if url.startswith("sqlite") else 4


async def test_a_locked_database_fails_all_that_wait_as_one_and_does_nothing_of_it(url: str) -> None:
    with open_store(url, seconds=long_enough(url)) as store:
        with locked(url):
            codes = await asyncio.gather(*(outcome(store.write(note, str(number))) for number in range(50)))
        assert set(codes) == {"store_busy"}
        assert await store.write(note, "after") == "after"
        assert await noted(store) == ["after"]


async def test_a_process_that_stood_still_gives_nobody_up(url: str) -> None:
    """It was stopped, or its computer slept: nobody waited meanwhile, and the database did nothing wrong."""
    with open_store(url, seconds=1) as store:
        holds = [Hold(), Hold()]
        waiting = [asyncio.create_task(store.write(holds[0])), asyncio.create_task(store.read(holds[1]))]
        for hold in holds:
            await asyncio.to_thread(hold.begun.wait, 60)
        time.sleep(2.5)  # noqa: ASYNC251 - the loop stands still
        after = asyncio.create_task(store.write(note, "after"))
        await asyncio.sleep(0.1)
        for hold in holds:
            hold.may_end.set()
        assert await asyncio.gather(*waiting, after) == ["held", "held", "after"]


async def test_a_locked_database_lets_the_process_end(url: str) -> None:
    store = Store.open(url, seconds=300)
    with locked(url):
        write = asyncio.create_task(store.write(note, "x"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(60):
            await asyncio.to_thread(store.close)
        write.cancel()


async def test_what_waits_without_end_is_refused_at_once(url: str) -> None:
    with open_store(url, seconds=5) as store:  # longer than it takes to ask so often
        with locked(url):
            waiting = [asyncio.create_task(outcome(store.write(note, "x"))) for _ in range(MOST_WRITES + 300)]
            refused = await asyncio.wait_for(outcome(store.write(note, "one more")), 30)
            codes = await asyncio.gather(*waiting)
        assert refused == "store_unavailable"
        # PostgreSQL waits for the lock inside the transaction: at the end of the waiting it may still be given.
        unknown = {"unknown_outcome"} if url.startswith("postgresql") else set()
        assert set(codes) - unknown == {"store_busy", "store_unavailable"}
        assert await noted(store) == []


async def test_an_outage_is_logged_at_its_begin_and_end(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Readiness knows both."""
    with open_store(url, seconds=long_enough(url)) as store:
        await store.require_ready()
        with locked(url):
            await asyncio.gather(*(outcome(store.write(note, "x")) for _ in range(20)))
            if url.startswith("sqlite"):
                assert await outcome(store.require_ready()) != "done"
        store._probed = 0.0  # the next look may try again
        await store.require_ready()
        assert await noted(store) == []
    said = [record for record in caplog.records if record.levelno > logging.WARNING or "again" in record.message]
    assert len(said) == 2
    assert "the database cannot be written" in said[0].message
    assert "the database can be written again" in said[1].message
    assert not any(record.exc_info for record in caplog.records)


def test_a_database_that_is_locked_at_the_start_is_said_in_a_sentence(url: str) -> None:
    Store.open(url).close()
    if url.startswith("sqlite"):  # PostgreSQL's migrations lock nothing that is in use when there are none to run
        with locked(url), pytest.raises(ConfigError, match="database is locked"):
            Store.open(url, seconds=1)


async def test_a_database_file_that_was_deleted_acknowledges_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever meets it, one story is told: a connection that is open, and one that is made anew."""
    with open_store(f"sqlite:///{tmp_path}/a.db") as store:
        await store.write(note, "kept")
        (tmp_path / "a.db").rename(tmp_path / "away")
        for _ in range(3):
            for job in (store.write(note, "lost"), noted(store), store.require_ready()):
                assert await outcome(job) == "store_moved"
        assert not (tmp_path / "a.db").exists()
        said = [record.message for record in caplog.records if "cannot be" in record.message]
        assert said
        assert [line for line in said if "was moved" not in line or f"({tmp_path}/a.db)" not in line] == []
        (tmp_path / "a.db").write_bytes(b"another file")
        assert await outcome(noted(store)) == "store_moved"
        (tmp_path / "away").replace(tmp_path / "a.db")
        assert await store.write(note, "back") == "back"
        assert await noted(store) == ["kept", "back"]


# Two processes use one database


async def read_ids(url: str) -> set[str]:
    with open_store(url, seconds=60) as store:
        reads = (store.read(list_messages, **HERE | {"session_id": f"s{n}"}, limit=100_000) for n in range(16))
        return {message.id for messages in await asyncio.gather(*reads) for message in messages}


def written_until_killed(url: str, *, lines: int) -> set[str]:
    """Ids a writing process printed as acknowledged before it was killed."""
    command = [sys.executable, "-m", "tests.store_writer_process", url]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    return {line.strip() for line in said if line.endswith("\n")}  # the last line may be torn


async def test_every_acknowledged_message_survives_kill_9_ten_times_under_load(url: str) -> None:
    acknowledged: set[str] = set()
    for kill in range(10):
        acknowledged |= written_until_killed(url, lines=150 + 37 * kill)  # in another place of a batch each time
        assert acknowledged <= await read_ids(url)
    assert len(acknowledged) > 2_000
