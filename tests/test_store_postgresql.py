"""PostgreSQL that hangs, is cut off or loses an answer: every wait ends, and what was told is true."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from flowground.store import Store
from flowground.store.runs import turns
from tests.database_line import DatabaseLine
from tests.store_databases import SERVER, empty_database
from tests.store_writes import HERE, OWNED, message, note, noted, open_store, outcome, ran
from tests.stored import list_entries, list_messages, list_runs, list_sessions

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
    async with asyncio.timeout(60):
        for _ in range(1_000):
            if await outcome(store.write(note, "after")) == "done":
                return
            await asyncio.sleep(0.1)


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


async def test_postgresql_that_hung_is_used_again_by_itself(line: DatabaseLine) -> None:
    with open_store(line.url) as store:
        await store.write(note, "before")
        line.hang()
        await asyncio.gather(*(outcome(store.read(list_entries)) for _ in range(9)))
        assert await outcome(store.write(note, "unknown")) == "unknown_outcome"
        line.go_on()
        await write_until_it_works(store)
        await store.require_ready()
        assert set(await noted(store)) - {"unknown"} == {"before", "after"}


async def test_a_statement_that_never_ends_is_ended(line: DatabaseLine) -> None:
    with open_store(line.url) as store:
        codes = await asyncio.gather(*(outcome(store.read(wait_for_ever)) for _ in range(3)))
        assert len(codes) == 3
        assert set(codes) <= {"store_busy", "store_unavailable"}
        assert await outcome(store.write(wait_for_ever)) in ("store_busy", "unknown_outcome")
        await write_until_it_works(store)
        assert await noted(store) == ["after"]


async def test_connections_that_were_ended_while_idle_cost_nobody_anything(line: DatabaseLine) -> None:
    with open_store(line.url, seconds=15) as store:
        for number in range(6):
            line.cut()
            await asyncio.sleep(0.05)
            question, run = message(str(number)), ran()
            await store.write(turns.begin_turn, **HERE, message=question)
            line.cut()
            await asyncio.sleep(0.05)
            answer = message(f"re:{number}", "assistant", run.id)
            await store.write(turns.finish_turn, **HERE, answers=[answer], run=run)
        said = [item.text for item in await store.read(list_messages, **HERE)]
        assert said == [text for number in range(6) for text in (str(number), f"re:{number}")]


async def test_connections_ended_under_load_lose_and_double_nothing(line: DatabaseLine) -> None:
    asked: list[str] = []

    async def client(store: Store, name: int) -> None:
        for number in range(40):
            run, said = ran(), f"{name}-{number}"
            await store.write(turns.begin_turn, **HERE, message=message(said))
            answers = [message(f"re:{said}", "assistant", run.id)]
            await store.write(turns.finish_turn, **HERE, answers=answers, run=run)
            asked.extend((said, f"re:{said}"))

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
        assert len(asked) == 480
        assert sorted(stored) == sorted(asked)
        assert [session.messages for session in await store.read(list_sessions, **OWNED)] == [480]
        assert len(await store.read(list_runs, flow_id="echo", limit=1_000)) == 240


async def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_done_twice(line: DatabaseLine) -> None:
    with open_store(line.url, seconds=15) as store:
        question, run = message("q"), ran()
        line.lose_next_commit()
        await store.write(turns.begin_turn, **HERE, message=question)
        line.lose_next_commit()
        await store.write(turns.finish_turn, **HERE, answers=[message("a", "assistant")], run=run)
        line.lose_next_commit()
        assert await outcome(store.write(note, "whatever")) == "unknown_outcome"  # nothing tells whether it landed
        assert [said.text for said in await store.read(list_messages, **HERE)] == ["q", "a"]
        assert [session.messages for session in await store.read(list_sessions, **OWNED)] == [2]
        assert await noted(store) == ["whatever"]


def _terminate_all(line: DatabaseLine) -> None:
    engine = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
    with engine.begin() as connection:
        connection.execute(ended, {"name": line.name})
