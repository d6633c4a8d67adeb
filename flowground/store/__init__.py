"""What outlives a request: the only room that knows SQL.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(conversations.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(conversations.list_sessions, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and give frozen values.
"""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from flowground.store.database import Database
from flowground.store.jobs import Job
from flowground.store.migrations import migrate
from flowground.store.readers import Readers
from flowground.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """One database. Usable from any event loop and from several at once."""

    def __init__(self, database: Database) -> None:
        self._writer = Writer(database.writer)
        self._readers = Readers(database.reader)

    @classmethod
    def open(cls, url: str) -> "Store":
        """Opens and migrates; makes SQLite's folder and file. Blocks for as long as that takes.

        `url` is `sqlite:///FILE` or `postgresql://…`. Raises ConfigError.
        """
        database = Database.at(url)
        database.check()
        migrate(database.writer)
        return cls(database)

    async def write(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, once it is committed: what this returned for survives the process's death.

        Jobs that wait together share one transaction; if it fails, each is repeated in its own. A caller that is
        cancelled does not undo the job.
        """
        waiting = Job(job, args, kwargs, loop=asyncio.get_running_loop())
        self._writer.put(waiting)
        result: T = await waiting.future
        return result

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, as of everything committed before the call. A job that writes fails."""
        waiting = Job(job, args, kwargs, loop=asyncio.get_running_loop())
        self._readers.put(waiting)
        result: T = await waiting.future
        return result

    def close(self) -> None:
        """Finishes what waits and disconnects. Blocks; call it from a thread when a loop must go on."""
        self._writer.close()
        self._readers.close()
