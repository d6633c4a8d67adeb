"""Copies that SQLite leaves of rows go with a VACUUM, at a moment that suits those who write."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from flowground.store import Store
from tests.canary import WORD
from tests.waiting import eventually

pytestmark = pytest.mark.anyio
_COLUMNS = "owner TEXT, flow_id TEXT, name TEXT, body TEXT, changed_at DOUBLE"


def open_raw(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"CREATE TABLE IF NOT EXISTS notes ({_COLUMNS}, PRIMARY KEY (owner, flow_id, name))")
    return connection


def churn(connection: Any, seed: int) -> None:
    """Notes of two people come and change in random order; then one of the two has none any more."""
    drawn = random.Random(seed)
    for _ in range(300):
        owner, word = drawn.choice([(f"member:{WORD}", WORD), ("member:bob", "another")])
        name = f"{word} {drawn.random()}"
        row = owner, "talk", name, name * drawn.randrange(30), 1.0
        connection.execute("INSERT INTO notes VALUES (?, ?, ?, ?, ?)", row)
    connection.execute("DELETE FROM notes WHERE owner = ?", (f"member:{WORD}",))


def read_rows(connection: sqlite3.Connection) -> list[Any]:
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return connection.execute("SELECT * FROM notes ORDER BY name").fetchall()


def count_words(file: Path) -> int:
    return sum(part.read_bytes().count(WORD.encode()) for part in file.parent.iterdir() if part.is_file())


@pytest.fixture
def leftover(tmp_path: Path) -> Iterator[Path]:
    """A database in which copies were left of rows that are deleted and overwritten."""
    for seed in range(20):
        file = tmp_path / f"{seed}" / "test.db"
        Store.open(f"sqlite:///{file}").close()
        connection = open_raw(file)
        churn(connection, seed)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        if count_words(file):
            yield file
            return
    pytest.skip("this SQLite leaves no copies")


async def test_copies_go_after_an_erasure_and_rows_stay(leftover: Path) -> None:
    store, raw = Store.open(f"sqlite:///{leftover}"), open_raw(leftover)
    before = read_rows(raw)
    assert len(before) > 100
    await asyncio.sleep(0.6)
    assert count_words(leftover)  # a start empties the log, and does not write the file anew
    store.empty_log()
    eventually(lambda: not count_words(leftover))
    assert read_rows(raw) == before
    store.close()
    raw.close()


async def test_who_has_such_a_page_in_memory_does_not_write_it_back(leftover: Path) -> None:
    """A writer that knows the pages from before, in this process and in another one."""

    def touch(connection: Connection, number: int) -> None:
        connection.exec_driver_sql("SELECT sum(length(body)), max(name) FROM notes").all()
        for row in range(20):
            new = "INSERT INTO notes VALUES ('member:bob', 'talk', ?, ?, 1.0)"
            connection.exec_driver_sql(new, (f"another {number} {row}", "x" * 20 * row))

    store, raw = Store.open(f"sqlite:///{leftover}"), open_raw(leftover)
    before = len(read_rows(raw))
    await store.write(touch, 0)
    touch_raw = "UPDATE notes SET body = body || ? WHERE owner = 'member:bob'"
    raw.execute(touch_raw, ("y",))
    assert count_words(leftover)
    store.empty_log()
    eventually(lambda: not count_words(leftover))
    for number in range(1, 10):
        await store.write(touch, number)
        raw.execute(touch_raw, ("z" * number * 10,))
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert count_words(leftover) == 0
    assert len(read_rows(raw)) == before + 200
    store.close()
    raw.close()


async def test_nothing_is_lost_while_others_write_all_the_time(tmp_path: Path) -> None:
    file = tmp_path / "data" / "test.db"
    store, raw = Store.open(f"sqlite:///{file}"), open_raw(file)

    def add(connection: Connection, number: int) -> None:
        for row in range(5):
            values = (f"{number} {row}", "x" * ((number * 7919 + row * 31) % 3000))
            connection.exec_driver_sql("INSERT INTO notes VALUES ('member:bob', 'talk', ?, ?, 1.0)", values)
        longer = "UPDATE notes SET body = body || 'y' WHERE name LIKE ?"
        connection.exec_driver_sql(longer, (f"{number // 2} %",))
        if number % 3 == 0:
            connection.exec_driver_sql("DELETE FROM notes WHERE name = ?", (f"{number // 3} 1",))

    for number in range(400):
        await store.write(add, number)
        if number % 10 == 0:
            store.empty_log()
            await asyncio.sleep(0.02)
    gone = len({number // 3 for number in range(0, 400, 3)})
    rows = read_rows(raw)
    assert len(rows) == 400 * 5 - gone
    sizes = {name: len(body) for _, _, name, body, _ in rows}
    for number in range(200, 400):
        for row in range(5):
            if (name := f"{number} {row}") in sizes:
                assert sizes[name] == (number * 7919 + row * 31) % 3000
    store.close()
    raw.close()
