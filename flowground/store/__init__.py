"""What outlives a request: the only room that knows SQL.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(conversations.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(conversations.list_sessions, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and give frozen values.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from flowground.store import tokens
from flowground.store.checkpoints import Checkpoints
from flowground.store.database import Database
from flowground.store.jobs import Job
from flowground.store.migrations import migrate
from flowground.store.readers import Readers
from flowground.store.token_uses import TokenUses
from flowground.store.tokens import Token, Use
from flowground.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """One database. Usable from any event loop and from several at once."""

    def __init__(self, database: Database) -> None:
        sqlite = database.writer.dialect.name == "sqlite"
        self._checkpoints = Checkpoints(database.reader) if sqlite else None
        self._writer = Writer(database.writer, written=self._checkpoints.written if self._checkpoints else _nothing)
        self._readers = Readers(database.reader)
        self._uses = TokenUses(self._count_uses)

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
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.put(Job(job, args, kwargs, future=future))
        return await future

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, as of everything committed before the call. A job that writes fails."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._readers.put(Job(job, args, kwargs, future=future))
        return await future

    async def ping(self) -> None:
        """Returns once the database has answered a question."""
        await self.read(_answer)

    async def use_token(self, secret: str) -> Token | None:
        """The token in force with this secret, one use counted; None when unknown, expired or revoked."""
        token = await self.read(tokens.find, secret=secret)
        if token is not None:
            self._uses.note(token.id)
        return token

    def close(self) -> None:
        """Finishes what waits and disconnects. Blocks; call it from a thread when a loop must go on."""
        self._uses.flush()
        self._writer.close()
        self._readers.close()
        if self._checkpoints:
            self._checkpoints.close()

    def _count_uses(self, uses: Mapping[str, Use]) -> None:
        with suppress(RuntimeError):  # the store is closed: a timer came late
            self._writer.put(Job(tokens.count_uses, (), {"uses": uses}, future=None))


def _answer(connection: Connection) -> None:
    connection.execute(select(1))


def _nothing() -> None:
    """PostgreSQL moves its log by itself."""
