"""Jobs of the store that begin, end and break when a test says so; an empty SQLite database to do them on."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import InterfaceError

from flowground.core.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.connections import Database
from flowground.store.schema import migrate
from flowground.store.writer import Job
from tests.store_writes import note
from tests.stored import list_entries

ENDLESS = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")


class Hold:
    """A job that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, _: Connection) -> str:
        self.begun.set()
        assert self.may_end.wait(60)
        return "held"


class Endless:
    """A job that never ends by itself."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.begun.set()
        connection.execute(ENDLESS).all()


def breaking(times: int) -> Callable[[Connection], int]:
    """A job in whose first calls the connection breaks; how often it was called."""
    calls = count(1)

    def break_it(connection: Connection) -> int:
        call = next(calls)
        if call <= times:
            connection.invalidate()
            raise InterfaceError("cut", None, Exception("the line broke"))
        list_entries(connection)
        return call

    return break_it


def job(function: Callable[..., Any], *args: Any) -> Job:
    return Job(function, args, {}, future=asyncio.get_running_loop().create_future())


async def answer(waiting: Job) -> Any:
    assert waiting.future is not None
    return await asyncio.wait_for(waiting.future, 60)


def losing_the_commit(*, lands: bool, and_then: Callable[[], object] = list) -> Callable[[Connection], str]:
    """A job in whose transaction's commit the connection breaks, before the database has it or after."""

    def lose(connection: Connection) -> str:
        @event.listens_for(connection, "commit")
        def _(committed: Connection) -> None:
            if lands:
                committed.exec_driver_sql("COMMIT")
            committed.connection.driver_connection.close()  # type: ignore[union-attr]  # it has one here
            and_then()

        return note(connection, "loses")

    return lose


async def write_together(store: Store, *writes: Coroutine[Any, Any, object]) -> list[Any]:
    """Results and errors of writes that the writer finds waiting all at once."""
    hold = Hold()
    holding = asyncio.create_task(store.write(hold))
    await asyncio.to_thread(hold.begun.wait, 20)
    waiting = [asyncio.create_task(write) for write in writes]
    await asyncio.sleep(0)  # each has put its job
    hold.may_end.set()
    await holding
    return [tell(result) for result in await asyncio.gather(*waiting, return_exceptions=True)]


def tell(result: Any) -> Any:
    """What a write gave, the code of an outage, or another error as text."""
    if isinstance(result, StoreUnavailable):
        return result.code
    return repr(result) if isinstance(result, Exception) else result


def open_database(file: Path) -> Database:
    database = Database.open(f"sqlite:///{file}")
    migrate(database.writer)
    return database
