"""What outlives a request: the only room that knows SQL.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(turns.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(session_lists.list_page, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and give frozen values.

Processes that run turns, told alive from dead by a lock that each holds as long as it lives: no clock, no heartbeat.

On SQLite it is a lock on a file beside the database; on PostgreSQL a session's advisory lock, on a connection of its
own. A stopped process and a machine that slept still hold theirs.

The thread that moves SQLite's log into its file, empties it, and writes the file anew after an erasure.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from flowground.core.errors import ConfigError, StoreUnavailable
from flowground.core.processes import try_lock
from flowground.store.connections import SECONDS, Database, DatabaseFile
from flowground.store.migrations import migrate, write_and_delete
from flowground.store.outage import describe, explain, unavailable_error
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenUses, Use
from flowground.store.writer import Job, Readers, Writer, join_threads, start_thread

P = ParamSpec("P")
T = TypeVar("T")
_LOCKED = text("""
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
_SESSION = (
    "idle_session_timeout = 0",
    "tcp_keepalives_idle = 15",
    "tcp_keepalives_interval = 5",
    "tcp_keepalives_count = 3",
)
"""So that the server ends no idle session, and notices soon that its computer is gone."""
_PAUSE_SECONDS = 0.25
"""Between two moves of SQLite's log."""
_EMPTY_MS = 100
"""How long emptying the log waits for those who read it; others cannot write meanwhile."""
_AGAIN_SECONDS = 5.0
"""Between two tries to empty it, where something long is reading."""
_EMPTY_TRIES = 10
"""At the end."""
_SMALL, _LARGE = 32_000_000, 300_000_000
"""Bytes of a file that is written anew at once, in a second at most; and from which that is the operator's."""
_QUIET_SECONDS = 10.0
"""Without a write, before a file that is not small is written anew."""
_VACUUM_SHARE = 50
"""Writing the file anew takes a fiftieth of the time at most."""
_AFTER_FAILURE_SECONDS = 60.0
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
                await self.read(self._ask)
                if self._writer.outage.reason is not None:
                    await self._try_to_write()
        except TimeoutError:
            raise unavailable_error() from None
        except StoreUnavailable:
            if self._file:
                self._file.require_place()  # the better reason, where it is one
            raise

    def _ask(self, connection: Connection) -> None:
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

    def shorten_waits(self) -> None:
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


class ProcessLock(Protocol):
    """This process among those that share the database. All of it blocks for as long as the database takes."""

    id: str
    """Names the process in the rows of the runs that it holds."""
    confirm_seconds: float
    """Seconds that a lock must stay free before its process counts as dead: PostgreSQL's is free for a moment when its
    connection breaks."""

    def acquire(self) -> None:
        """Takes the lock. Raises ConfigError where the database cannot hold one for a session."""

    def find_dead(self, holders: Collection[str]) -> list[str]:
        """Which of these processes hold no lock any more. Raises StoreUnavailable."""

    def find_descriptor(self) -> int | None:
        """The descriptor that becomes readable when the lock is lost; None where that cannot happen."""

    def release(self) -> None:
        """Gives it back: the process has no runs any more."""


class FileLock:
    """A locked file in the folder `processes` beside SQLite's file."""

    confirm_seconds = 0.0

    def __init__(self, folder: Path) -> None:
        self.id = str(uuid4())
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while self._descriptor is None:
                self._descriptor = self._make_file()
            for file in self._folder.iterdir():
                self._is_dead(file)  # removes what killed processes left
        except OSError as error:
            raise ConfigError(f"database: cannot lock a file in {self._folder}: {error.strerror}") from None

    def find_dead(self, holders: Collection[str]) -> list[str]:
        return [holder for holder in holders if holder != self.id and self._is_dead(self._folder / Path(holder).name)]

    def find_descriptor(self) -> None:
        return None

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with suppress(OSError):
                (self._folder / self.id).unlink(missing_ok=True)

    def _make_file(self) -> int | None:
        """The locked file's descriptor; None where another process took it for a dead one's before it was locked."""
        file = self._folder / self.id
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try_lock(descriptor)
            if os.stat(file).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
        return None

    def _is_dead(self, file: Path) -> bool:
        """Removes a dead one's file. One that cannot be opened is taken for a living one's."""
        if file.name == self.id:
            return False
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            try_lock(descriptor)
        except OSError:
            return False
        else:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)


class AdvisoryLock:
    """An advisory lock of PostgreSQL."""

    confirm_seconds = 3.0

    def __init__(self, engine: Engine) -> None:
        self.id = str(uuid4())
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def acquire(self) -> None:
        self.release()
        connection = self._engine.connect()
        for setting in _SESSION:
            with suppress(SQLAlchemyError):  # one that this PostgreSQL does not know
                connection.exec_driver_sql(f"SET {setting}")
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _make_key(self.id)})
        self._connection = connection
        self._require_session()

    def find_dead(self, holders: Collection[str]) -> list[str]:
        try:
            with self._engine.connect() as connection:
                locked = set(connection.scalars(_LOCKED))
        except SQLAlchemyError:
            raise StoreUnavailable from None
        return [holder for holder in holders if holder != self.id and _make_key(holder) not in locked]

    def find_descriptor(self) -> int | None:
        if self._connection is None:
            return None
        driver: Any = self._connection.connection.driver_connection
        return int(driver.fileno())

    def release(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def _require_session(self) -> None:
        """Raises ConfigError behind a pooler that lends sessions by the transaction: others would get this lock."""
        with self._engine.connect() as other:
            key = {"key": _make_key(self.id)}
            if other.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
                other.execute(text("SELECT pg_advisory_unlock(:key)"), key)
                self.release()
                raise ConfigError(
                    "database: its pooler lends sessions by the transaction, so no process can hold a lock",
                    hint="Connect to PostgreSQL itself, or set the pooler to sessions.",
                )


def make_process_lock(database: Database) -> ProcessLock:
    """Nothing is taken yet."""
    return (
        FileLock(database.file.path.resolve().parent / "processes") if database.file else AdvisoryLock(database.reader)
    )


def _make_key(holder: str) -> int:
    """A signed number of 64 bits, as PostgreSQL's locks are named."""
    return int.from_bytes(blake2b(holder.encode(), digest_size=8).digest(), "big", signed=True)


class Checkpoints:
    """Moves SQLite's write-ahead log into the database file, off the writer's path.

    SQLite would do it inside every thousandth page's commit: 10 ms in which every writer waits, the whole tail of a
    busy server's latency. A passive checkpoint disturbs neither writers nor readers. Under endless load it never quite
    catches up; then the writer's own limit (`connections._WAL_PAGES`) does the short rest. What is left at the end is
    done by whoever opens the database next.

    Moving leaves the log's own pages as they are, until they are written over: on a quiet server, for days. After
    something was erased the log is therefore cut to nothing, which makes writers wait for as long as its last pages
    take; and at the start, for what a killed process left.

    Nor are copies in the file overwritten, by `secure_delete` or by `incremental_vacuum`: when a page becomes too full
    or too empty, SQLite sorts its rows anew among the neighbours, and what stood there stays in room that is free now.
    Only VACUUM, which writes the whole file anew while nobody can write, leaves none.
    """

    def __init__(self, engine: Engine, file: DatabaseFile) -> None:
        self._engine = engine
        self._path = file.path
        self._written = time.monotonic()
        self.committed = Event()
        """To be set when something was committed."""
        self._erased, self._has_copies = Event(), Event()
        self._next_vacuum = 0.0
        self._closed = Event()
        self._thread = start_thread(self._work, name="store-checkpoints")

    def note_erasure(self, *, has_copies: bool = True) -> None:
        """What was committed so far deleted what nobody shall find in the log, nor copies of it in the file."""
        if has_copies:
            self._has_copies.set()
        self._erased.set()
        self.committed.set()

    def close(self) -> None:
        self._closed.set()
        self.committed.set()
        join_threads([self._thread], lambda: 0)

    def _work(self) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_EMPTY_MS}").close()
            again: float | None = None
            while not self._closed.wait(_PAUSE_SECONDS):
                if self.committed.wait(again):
                    self._written = time.monotonic()
                self.committed.clear()
                self._move(connection)
                again = _AGAIN_SECONDS if self._erased.is_set() or self._has_copies.is_set() else None
            for _ in range(_EMPTY_TRIES):
                if not (self._erased.is_set() or self._has_copies.is_set()):
                    break
                self._move(connection, is_last=True)

    def _move(self, connection: Connection, *, is_last: bool = False) -> None:
        """Moves what the log holds; after an erasure empties it, and sees to what else that left."""
        try:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
            if self._erased.is_set():
                self._empty(connection)
            if self._has_copies.is_set() and self._may_vacuum(is_last=is_last):
                self._vacuum(connection)
                self._empty(connection)
        except (SQLAlchemyError, OSError):  # busy or out of space: the next one, or the writer's own
            pass

    def _empty(self, connection: Connection) -> None:
        """Cuts the log to nothing. Where somebody reads it, that is still to be done."""
        self._erased.clear()
        try:
            is_read = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()[0][0]
        except BaseException:
            self._erased.set()
            raise
        if is_read:
            self._erased.set()

    def _may_vacuum(self, *, is_last: bool) -> bool:
        now, size = time.monotonic(), self._path.stat().st_size
        if size > _LARGE:
            self._has_copies.clear()
            return False
        return (is_last or now > self._next_vacuum) and (size <= _SMALL or now - self._written > _QUIET_SECONDS)

    def _vacuum(self, connection: Connection) -> None:
        """Writes the file anew. Raises SQLAlchemyError: others write, or the disk has no room."""
        began = time.monotonic()
        self._next_vacuum = began + _AFTER_FAILURE_SECONDS
        self._has_copies.clear()  # what is erased from here on may come too late
        connection.exec_driver_sql("PRAGMA query_only = OFF").close()
        try:
            connection.exec_driver_sql("VACUUM").close()
            self._next_vacuum = time.monotonic() + _VACUUM_SHARE * (time.monotonic() - began)
        except BaseException:
            self._has_copies.set()
            raise
        finally:
            connection.exec_driver_sql("PRAGMA query_only = ON").close()
