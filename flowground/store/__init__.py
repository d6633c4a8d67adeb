"""What outlives a request: the only room that knows SQL.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(turns.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(conversations.list_sessions, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and give frozen values.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from flowground.errors import ConfigError, StoreUnavailable
from flowground.store.database.connections import SECONDS, Database
from flowground.store.database.jobs import Job
from flowground.store.database.outage import describe, explain, say_silent
from flowground.store.database.process_locks import make_process_lock
from flowground.store.database.threads import Checkpoints, Readers, Writer
from flowground.store.migrations import migrate, write_and_delete
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenUses, Use

P = ParamSpec("P")
T = TypeVar("T")
_READY_SECONDS = 3.0
"""Longest answer to "is it ready?"."""
_ENDING_SECONDS = 3.0
"""Longest wait while the process ends."""
_PROBE_EVERY = 5.0
"""Seconds between two writes that only try whether writing works again."""


class Store:
    """One database. Usable from any event loop and from several at once.

    Every wait has an end: after `seconds` (`limits.store_seconds`) StoreUnavailable is raised, and at once where too
    much waits already.
    """

    def __init__(self, database: Database, *, seconds: float) -> None:
        self._seconds = seconds
        self._file = database.file
        self.process = make_process_lock(database)
        """This process, once it was taken, among those that run turns."""
        self._checkpoints = Checkpoints(database.reader) if database.file else None
        self._writer = Writer(
            database.writer,
            database.file,
            seconds=seconds,
            after_commit=self._checkpoints.note_commit if self._checkpoints else lambda: None,
        )
        self._readers = Readers(database.reader, database.file, seconds=seconds)
        self._uses = TokenUses(self._count_uses)
        self._probed = -_PROBE_EVERY

    @classmethod
    def open(cls, url: str, *, seconds: float = SECONDS) -> "Store":
        """Opens and migrates; makes SQLite's folder and file. Blocks for as long as that takes.

        `url` is `sqlite:///FILE` or `postgresql://…`. Raises ConfigError.
        """
        database = Database.make(url, seconds=seconds)
        database.check()
        try:
            migrate(database.writer)
        except Exception as error:
            if explain(error, is_writing=True):
                raise ConfigError(f"database: cannot be used: {describe(error)}") from None
            raise
        return cls(database, seconds=seconds)

    async def write(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, once it is committed: what this returned for survives the process's death.

        Jobs that wait together share one transaction; if it fails by a job's fault, the others are done without it. A
        caller that is cancelled does not undo the job. Raises StoreUnavailable; with the code `unknown_outcome` the
        job may be done all the same.
        """
        return await self._wait(self._writer, job, args, kwargs)

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, as of everything committed before the call. A job that writes fails.

        Raises StoreUnavailable.
        """
        return await self._wait(self._readers, job, args, kwargs)

    async def _wait(
        self, threads: Writer | Readers, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """Has the threads do the job; its result, or its error, within `seconds`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = Job(function, args, kwargs, future=future)
        end = loop.call_later(self._seconds, _end_wait, threads, job)
        try:
            threads.put(job)
            return await future
        finally:
            end.cancel()

    async def require_ready(self) -> None:
        """Returns once the database has answered a question, and can be written as far as is known.

        Takes 3 s at most. Nothing is written while the last write went well; after one that failed, a row is written
        and deleted, every 5 s at most. Raises StoreUnavailable.
        """
        try:
            async with asyncio.timeout(min(_READY_SECONDS, self._seconds)):
                await self.read(self._look)
                if self._writer.outage.reason is not None:
                    await self._try_to_write()
        except TimeoutError:
            raise say_silent() from None
        except StoreUnavailable:
            if self._file:
                self._file.require_place()  # the better reason, where it is one
            raise

    def _look(self, connection: Connection) -> None:
        if self._file:
            self._file.require_place()
        connection.execute(select(1))

    async def _try_to_write(self) -> None:
        now = time.monotonic()
        if now - self._probed >= _PROBE_EVERY:
            self._probed = now
            await self.write(write_and_delete)
        elif self._writer.outage.reason is not None:
            raise StoreUnavailable("The database cannot be written just now.")

    def hurry(self) -> None:
        """From now on every new wait ends after 3 s: the process ends."""
        self._seconds = min(_ENDING_SECONDS, self._seconds)

    async def use_token(self, secret: str) -> StoredToken | None:
        """The token in force with this secret, one use counted; None when unknown, expired or revoked."""
        token = await self.read(tokens.find, secret=secret)
        if token is not None:
            self._uses.note(token.id)
        return token

    def close(self) -> None:
        """Finishes what waits and disconnects. Blocks; call it from a thread when a loop must go on.

        A database that does not answer any more is left after some seconds.
        """
        self._uses.flush()
        self._writer.close()
        self._readers.close()
        if self._checkpoints:
            self._checkpoints.close()
        self.process.release()

    def _count_uses(self, uses: Mapping[str, Use]) -> None:
        with suppress(RuntimeError, StoreUnavailable):  # closed (a timer came late), or too much waits
            self._writer.put(Job(tokens.count_uses, (), {"uses": uses}, future=None))


def _end_wait(threads: Writer | Readers, job: Job) -> None:
    if job.future is not None and not job.future.done():
        job.future.set_exception(threads.give_up(job))
