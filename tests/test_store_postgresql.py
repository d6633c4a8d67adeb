"""PostgreSQL that hangs, is cut off or loses an answer: every wait ends, and what was told is true."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from flowground.store import Store
from flowground.store.runs import turns
from tests.database_line import DatabaseLine
from tests.run_rows import eventually
from tests.store_databases import SERVER, empty_database
from tests.store_writes import HERE, message, note, noted, open_store, outcome, ran
from tests.stored import list_entries, list_messages, list_runs
from tests.stored_chats import find_sessions, list_texts

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not SERVER, reason="TEST_DATABASE_URL names no PostgreSQL")]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[DatabaseLine]:
    with empty_database("postgresql", tmp_path) as url, DatabaseLine(url) as line:
        yield line
        line.cut()
        _terminate_all(line)


def wait_for_ever(connection: Connection) -> None:
    connection.execute(text("SELECT pg_sleep(3600)"))


async def write_until_it_works(store: Store) -> None:
    async def works() -> bool:
        return await outcome(store.write(note, "after")) == "done"

    await eventually(works)


async def test_postgresql_that_hangs_ends_every_wait_is_used_again_and_keeps_no_process(line: DatabaseLine) -> None:
    store = Store.open(line.url, seconds=1)
    await store.write(note, "before")
    line.hang()
    calls = [store.read(list_entries), store.write(note, "a"), store.write(note, "b"), store.require_ready()]
    read, *written, ready = await asyncio.gather(*(outcome(call) for call in calls))
    assert read == ready == "store_unavailable"
    assert set(written) <= {"unknown_outcome", "store_busy"}
    line.go_on()
    await write_until_it_works(store)
    await store.require_ready()
    assert set(await noted(store)) - {"a", "b"} == {"before", "after"}
    line.hang()
    assert await outcome(store.read(list_entries)) == "store_unavailable"
    async with asyncio.timeout(60):
        await asyncio.to_thread(store.close)


async def test_a_statement_that_never_ends_is_ended(line: DatabaseLine) -> None:
    with open_store(line.url) as store:
        codes = await asyncio.gather(*(outcome(store.read(wait_for_ever)) for _ in range(3)))
        assert len(codes) == 3
        assert set(codes) <= {"store_busy", "store_unavailable"}
        assert await outcome(store.write(wait_for_ever)) in ("store_busy", "unknown_outcome")
        await write_until_it_works(store)
        assert await noted(store) == ["after"]


async def take(store: Store, said: str, *, between: Callable[[], object] = list) -> None:
    """A question and its answer."""
    run = ran()
    await store.write(turns.begin_turn, **HERE, message=message(said))
    await asyncio.to_thread(between)
    await store.write(turns.finish_turn, **HERE, answers=[message(f"re:{said}", "assistant", run.id)], run=run)


async def test_connections_that_were_ended_while_idle_cost_nobody_anything(line: DatabaseLine) -> None:
    def cut() -> None:
        line.cut()
        time.sleep(0.05)

    with open_store(line.url, seconds=15) as store:
        for number in range(6):
            await asyncio.to_thread(cut)
            await take(store, str(number), between=cut)
        assert await list_texts(store) == [text for number in range(6) for text in (str(number), f"re:{number}")]


async def test_connections_ended_under_load_lose_and_double_nothing(line: DatabaseLine) -> None:
    async def client(store: Store, name: int) -> None:
        for number in range(40):
            await take(store, f"{name}-{number}")

    is_over = asyncio.Event()

    async def harm() -> None:
        while not is_over.is_set():
            await asyncio.sleep(0.3)
            await asyncio.to_thread(_terminate_all, line)

    with open_store(line.url, seconds=15) as store:
        harming = asyncio.create_task(harm())
        await asyncio.gather(*(client(store, name) for name in range(6)))
        is_over.set()
        await harming  # a thread would go on ending connections
        stored = [item.text for item in await store.read(list_messages, **HERE, limit=10_000)]
        asked = [f"{name}-{number}" for name in range(6) for number in range(40)]
        assert sorted(stored) == sorted([*asked, *(f"re:{said}" for said in asked)])
        assert [session.messages for session in await find_sessions(store)] == [480]
        assert len(await store.read(list_runs, flow_id="echo", limit=1_000)) == 240


async def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_done_twice(line: DatabaseLine) -> None:
    with open_store(line.url, seconds=15) as store:
        line.lose_next_commit()
        await take(store, "q", between=line.lose_next_commit)
        line.lose_next_commit()
        assert await outcome(store.write(note, "whatever")) == "unknown_outcome"  # nothing tells whether it landed
        assert await list_texts(store) == ["q", "re:q"]
        assert [session.messages for session in await find_sessions(store)] == [2]
        assert await noted(store) == ["whatever"]


def _terminate_all(line: DatabaseLine) -> None:
    engine = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
    with engine.begin() as connection:
        connection.execute(ended, {"name": line.name})
