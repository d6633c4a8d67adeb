"""What outlives a request: the only room that knows SQL.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(turns.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(session_lists.list_page, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and give frozen values.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from flowground.errors import ConfigError, StoreUnavailable
from flowground.store.database.checkpoints import Checkpoints
from flowground.store.database.connections import SECONDS, Database
from flowground.store.database.jobs import Job
from flowground.store.database.outage import describe, explain, say_silent
from flowground.store.database.process_locks import make_process_lock
from flowground.store.database.readers import Readers
from flowground.store.database.writer import Writer
from flowground.store.migrations import migrate, write_and_delete
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenUses, Use

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)
_READY_SECONDS = 3.0
"""Longest answer to "is it ready?"."""
_ENDING_SECONDS = 3.0
"""Longest wait while the process ends."""
_STILL_SECONDS = 0.5
"""A timer that comes so late tells that the process stood still: it was stopped, or its computer slept."""
_PROBE_EVERY = 5.0
"""Seconds between two writes that only try whether writing works again."""


class Store:
    """One database. Usable from any event loop and from several at once.

    Every wait has an end: after `seconds` (`limits.store_seconds`) StoreUnavailable is raised, and at once where too
    much waits already. Time in which the process stood still does not count.
    """

    def __init__(self, database: Database, *, seconds: float) -> None:
        self.seconds = seconds
        """How long anybody waits."""
        self._file = database.file
        self.process = make_process_lock(database)
        """This process, once it was taken, among those that run turns."""
        self._checkpoints = Checkpoints(database.reader, database.file) if database.file else None
        self._writer = Writer(
            database.writer,
            database.file,
            seconds=seconds,
            after_commit=self._checkpoints.committed.set if self._checkpoints else lambda: None,
        )
        self._readers = Readers(database.reader, database.file, seconds=seconds)
        if self._checkpoints:
            self._checkpoints.note_erasure(has_copies=False)  # of a process that was killed before its log was empty
        self._uses = TokenUses(self._count_uses)
        self._probed = -_PROBE_EVERY
        self.on_rights_change: Callable[[], None] = lambda: None
        """Is called, on the loop of who asked for it, after a job here that `sql.mark_rights_change` marks."""
        self.on_erasure: Callable[[], None] = lambda: None
        """Is called likewise after `erase`."""

    @classmethod
    def open(cls, url: str, *, seconds: float = SECONDS, is_lasting: bool = True) -> "Store":
        """Opens and migrates; makes SQLite's folder and file. Blocks for as long as that takes.

        `url` is `sqlite:///FILE` or `postgresql://…`. The log tells of a new one that `is_lasting`. Raises ConfigError.
        """
        database = Database.open(url, seconds=seconds)
        try:
            if migrate(database.writer) and is_lasting:
                _log.warning("A new database was made: %s", database.writer.url.render_as_string(hide_password=True))
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
        result = await self._wait(self._writer, job, args, kwargs)
        if getattr(job, "changes_rights", False):
            self.on_rights_change()
        return result

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, as of everything committed before the call. A job that writes fails.

        Raises StoreUnavailable.
        """
        return await self._wait(self._readers, job, args, kwargs)

    async def erase(self, step: Callable[Concatenate[Connection, P], bool], *args: P.args, **kwargs: P.kwargs) -> None:
        """Repeats a job that deletes a small step, until it says that there is no more to do.

        Other writes come in between. Raises StoreUnavailable.
        """
        try:
            while not await self.write(step, *args, **kwargs):
                pass
        finally:
            self.empty_log()
            self.on_erasure()

    def empty_log(self) -> None:
        """Soon SQLite's log holds nothing any more of what was deleted until now; its file holds none from the start.

        On PostgreSQL that is the operator's.
        """
        if self._checkpoints:
            self._checkpoints.note_erasure()

    async def _wait(
        self, threads: Writer | Readers, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """Has the threads do the job; its result, or its error, within `seconds`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = Job(function, args, kwargs, future=future)
        wait = _Wait(threads, job, loop, seconds=self.seconds)
        try:
            threads.put(job)
            return await future
        finally:
            wait.end.cancel()

    async def require_ready(self) -> None:
        """Returns once the database has answered a question, and can be written as far as is known.

        Takes 3 s at most. Nothing is written while the last write went well; after one that failed, a row is written
        and deleted, every 5 s at most. Raises StoreUnavailable.
        """
        try:
            async with asyncio.timeout(min(_READY_SECONDS, self.seconds)):
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
            raise StoreUnavailable("The database cannot be written at the moment.")

    def hurry(self) -> None:
        """From now on every new wait ends after 3 s: the process ends."""
        self.seconds = min(_ENDING_SECONDS, self.seconds)

    async def use_token(self, secret: str, *, counts_use: bool = True) -> StoredToken | None:
        """The token in force with this secret, one use counted; None when unknown, expired or revoked."""
        token = await self.read(tokens.find, secret=secret)
        if token is not None and counts_use:
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


class _Wait:
    """The end of a wait for a job. A process that stood still meanwhile waits once more: its threads did nothing."""

    __slots__ = ("_job", "_loop", "_seconds", "_threads", "end")

    def __init__(self, threads: Writer | Readers, job: Job, loop: asyncio.AbstractEventLoop, *, seconds: float) -> None:
        self._threads, self._job, self._loop, self._seconds = threads, job, loop, seconds
        self.end = loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self._loop.time() - self.end.when() > _STILL_SECONDS:
            self.end = self._loop.call_later(self._seconds, self._give_up)
        elif self._job.future is not None and not self._job.future.done():
            self._job.future.set_exception(self._threads.give_up(self._job))
