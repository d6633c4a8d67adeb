"""The database: everything that outlives a request.

    store = Store.open("sqlite:///data/flowground.db")
    await store.write(turns.begin_turn, flow_id="echo", owner="member:ada", session_id="s", message=message)
    await store.read(session_lists.list_page, flow_id="echo", owner="member:ada")

Jobs are the plain functions of this package's modules; they take a connection and return frozen values. Besides `Store`
this module has the locks by which processes find out which of them died, and the thread that moves SQLite's log into
its file.
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
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from flowground.core.errors import ConfigError, StoreUnavailable
from flowground.core.processes import try_lock
from flowground.store.connections import SECONDS, Database, DatabaseFile
from flowground.store.outage import describe, explain, unavailable_error
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenUses
from flowground.store.schema import migrate, write_and_delete
from flowground.store.sql import CHANNEL, find_driver
from flowground.store.writer import Job, Readers, Writer, join_threads, start_thread

P = ParamSpec("P")
T = TypeVar("T")
_LOCKED = text("""
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
"""The keys of all advisory locks that are held in this database."""
_SESSION = (
    "idle_session_timeout = 0",
    "tcp_keepalives_idle = 15",
    "tcp_keepalives_interval = 5",
    "tcp_keepalives_count = 3",
)
"""Settings by which PostgreSQL keeps an idle session, and soon notices that its computer is gone."""
_PAUSE_SECONDS = 0.25
"""Pause between two moves of SQLite's log."""
_EMPTY_MS = 100
"""Longest wait of emptying the log for its readers; nobody can write meanwhile."""
_AGAIN_SECONDS = 5.0
"""Pause between two tries to empty the log, where somebody reads it for long."""
_EMPTY_TRIES = 10
"""Tries to empty the log when the store closes."""
_SMALL, _LARGE = 32_000_000, 300_000_000
"""Sizes in bytes: a smaller file than the first is rewritten at once, within a second; a larger one than the second is
left to the operator."""
_QUIET_SECONDS = 10.0
"""Time without a write before a file that is not small is rewritten."""
_VACUUM_SHARE = 50
"""Rewriting the file takes at most one fiftieth of the time."""
_AFTER_FAILURE_SECONDS = 60.0
_log = logging.getLogger(__name__)
_READY_SECONDS = 3.0
"""Longest wait for the answer to "is it ready?"."""
_ENDING_SECONDS = 3.0
"""Longest wait for a job while the process ends."""
_STILL_SECONDS = 0.5
"""A timer that is late by more shows that the process stood still: it was stopped, or its computer slept."""
_PROBE_EVERY = 5.0
"""Seconds between two writes that only test whether writing works again."""


class Store:
    """One database. Usable from any event loop and from several at once.

    Every wait ends: after `seconds` (`limits.store_seconds`) StoreUnavailable is raised, and at once where too many
    jobs wait already. Time in which the process stood still does not count.
    """

    def __init__(self, database: Database, *, seconds: float) -> None:
        self.seconds = seconds
        """The longest wait for a job."""
        self._file = database.file
        folder = database.file and database.file.path.resolve().parent / "processes"
        self.process: ProcessLock = FileLock(folder) if folder else AdvisoryLock(database.reader)
        """This process's lock, by which others know it alive; acquired by processes that run turns."""
        self._checkpoints = Checkpoints(database.reader, database.file) if database.file else None
        self._writer = Writer(
            database.writer,
            database.file,
            seconds=seconds,
            after_commit=self._checkpoints.committed.set if self._checkpoints else lambda: None,
        )
        self._readers = Readers(database.reader, database.file, seconds=seconds)
        if self._checkpoints:
            self._checkpoints.note_erasure(has_copies=False)  # of a process that was killed before it emptied its log
        self._uses = TokenUses(self._count_uses)
        self._probed = -_PROBE_EVERY
        self.on_rights_change: Callable[[], None] = lambda: None
        """Called on the caller's loop after a job that `sql.mark_rights_change` marks."""
        self.on_erasure: Callable[[], None] = lambda: None
        """Called on the caller's loop after `erase`."""

    @classmethod
    def open(cls, url: str, *, seconds: float = SECONDS, is_lasting: bool = True) -> "Store":
        """Opens and migrates the database; makes SQLite's folder and file. Blocks while that takes place.

        `url` is `sqlite:///FILE` or `postgresql://…`. A new database that `is_lasting` is logged. Raises ConfigError.
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
        """The job's result, once it is committed: a result survives the process's death.

        Jobs that wait together share one transaction; if it fails because of one job, the others are done without that
        job. Cancelling the caller does not undo the job. Raises StoreUnavailable; with the code `unknown_outcome` the
        job may have been done.
        """
        result = await self._wait(self._writer, job, args, kwargs)
        if getattr(job, "changes_rights", False):
            self.on_rights_change()
        return result

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result, from everything committed before the call. A job that writes fails.

        Raises StoreUnavailable.
        """
        return await self._wait(self._readers, job, args, kwargs)

    async def erase(self, step: Callable[Concatenate[Connection, P], bool], *args: P.args, **kwargs: P.kwargs) -> None:
        """Repeats a job that deletes a small step until it returns True. Other writes come in between.

        Raises StoreUnavailable.
        """
        try:
            while not await self.write(step, *args, **kwargs):
                pass
        finally:
            self.empty_log()
            self.on_erasure()

    def empty_log(self) -> None:
        """Has SQLite's log emptied of deleted rows soon, and its file rewritten where the size allows that.

        On PostgreSQL this is the operator's task, and nothing happens.
        """
        if self._checkpoints:
            self._checkpoints.note_erasure()

    async def _wait(
        self, threads: Writer | Readers, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """The job's result or error, from these threads, within `seconds`."""
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
        """Returns once the database has answered a query and, as far as known, can be written.

        Takes 3 s at most. Nothing is written while the last write went well; after a failed one a row is written and
        deleted, every 5 s at most. Raises StoreUnavailable.
        """
        try:
            async with asyncio.timeout(min(_READY_SECONDS, self.seconds)):
                await self.read(self._ask)
                if self._writer.outage.reason is not None:
                    await self._try_to_write()
        except TimeoutError:
            raise unavailable_error() from None

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
        """Ends every new wait after 3 s, because the process ends."""
        self.seconds = min(_ENDING_SECONDS, self.seconds)

    async def use_token(self, secret: str, *, counts_use: bool = True) -> StoredToken | None:
        """The valid token with this secret, one use counted; None when it is unknown, expired or revoked."""
        token = await self.read(tokens.find, secret=secret)
        if token is not None and counts_use:
            self._uses.note(token.id)
        return token

    def close(self) -> None:
        """Finishes the waiting jobs and disconnects. Blocks: call it from a thread when a loop must go on.

        A database that no longer answers is left after some seconds.
        """
        self._uses.flush()
        self._writer.close()
        self._readers.close()
        if self._checkpoints:
            self._checkpoints.close()
        self.process.release()

    def _count_uses(self, uses: Mapping[str, int]) -> None:
        with suppress(RuntimeError, StoreUnavailable):  # the store is closed, or too many jobs wait
            self._writer.put(Job(tokens.count_uses, (), {"uses": uses}, future=None))


class _Wait:
    """The end of a wait for a job. A process that stood still waits once more, because its threads stood still too."""

    __slots__ = ("_job", "_loop", "_seconds", "_threads", "end")

    def __init__(self, threads: Writer | Readers, job: Job, loop: asyncio.AbstractEventLoop, *, seconds: float) -> None:
        self._threads, self._job, self._loop, self._seconds = threads, job, loop, seconds
        self.end = loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self._loop.time() - self.end.when() > _STILL_SECONDS:
            self.end = self._loop.call_later(self._seconds, self._give_up)
        elif self._job.future is not None and not self._job.future.done():
            self._job.future.set_exception(self._threads.give_up(self._job))


class FileLock:
    """A locked file in the folder `processes` beside SQLite's file."""

    confirm_seconds = 0.0
    """How long a lock must stay free before its process counts as dead."""
    has_notices = False
    """Whether processes tell each other of news (`sql.notify`)."""

    def __init__(self, folder: Path) -> None:
        self.id = str(uuid4())
        """The process's name in the rows of the runs that it holds."""
        self._folder = folder
        self._seen = 0
        """When files last came or went, as `may_have_died` saw it."""
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Acquires the lock. Raises ConfigError where the database cannot hold a lock for a session."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while self._descriptor is None:
                self._descriptor = self._make_file()
        except OSError as error:
            raise ConfigError(f"database: cannot lock a file in {self._folder}: {error.strerror}") from None
        self._remove_dead_files()

    def has_others(self) -> bool:
        """Whether other processes use the database, as far as is known."""
        with suppress(OSError):
            return any(file.name != self.id for file in self._folder.iterdir())
        return False

    def may_have_died(self) -> bool:
        """Whether another process uses the database, or did since the last call."""
        try:
            seen, self._seen = self._seen, self._folder.stat().st_mtime_ns
        except OSError:
            return True
        return seen != self._seen or self.has_others()

    def find_dead(self, connection: Connection, *, holders: Collection[str]) -> list[str]:  # noqa: ARG002 - files are asked
        """Those of the processes that hold no lock any more."""
        self._remove_dead_files()
        return [holder for holder in holders if holder != self.id and self._is_dead(self._folder / Path(holder).name)]

    def find_descriptor(self) -> int | None:
        """A descriptor that becomes readable when a notice came (`sql.notify`) or the lock is lost; None where neither
        can be."""
        return None

    def read_notices(self) -> list[str]:
        """The notices that came. Raises where the lock is lost."""
        return []

    def release(self) -> None:
        """Releases the lock: the process has no runs any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with suppress(OSError):
                (self._folder / self.id).unlink(missing_ok=True)

    def _make_file(self) -> int | None:
        """The locked file's descriptor; None where another process removed the file as a dead process's before it was
        locked."""
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

    def _remove_dead_files(self) -> None:
        with suppress(OSError):
            for file in self._folder.iterdir():
                self._is_dead(file)

    def _is_dead(self, file: Path) -> bool:
        """Whether no process locks the file, which is removed then. A file that cannot be opened counts as locked."""
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
    """A session's advisory lock of PostgreSQL, on a connection of its own. Its methods are those of `FileLock`."""

    confirm_seconds = 3.0
    """The lock is free for a moment when its connection breaks."""
    has_notices = True

    def __init__(self, engine: Engine) -> None:
        self.id = str(uuid4())
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def acquire(self) -> None:
        self.release()
        connection = self._engine.connect()
        for setting in _SESSION:
            with suppress(SQLAlchemyError):  # a setting that this PostgreSQL does not know
                connection.exec_driver_sql(f"SET {setting}")
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _make_key(self.id)})
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        self._connection = connection
        self._require_session()

    def has_others(self) -> bool:
        return True

    def may_have_died(self) -> bool:
        return True

    def find_dead(self, connection: Connection, *, holders: Collection[str]) -> list[str]:
        others = {*holders} - {self.id}
        locked = set(connection.scalars(_LOCKED)) if others else ()
        return [holder for holder in others if _make_key(holder) not in locked]

    def find_descriptor(self) -> int | None:
        return None if self._connection is None else int(find_driver(self._connection).fileno())

    def read_notices(self) -> list[str]:
        if self._connection is None:
            return []
        return [notice.payload for notice in find_driver(self._connection).notifies(timeout=0)]

    def release(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def _require_session(self) -> None:
        """Raises ConfigError behind a pooler that lends sessions by the transaction: other clients would get this
        lock."""
        with self._engine.connect() as other:
            key = {"key": _make_key(self.id)}
            if other.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
                other.execute(text("SELECT pg_advisory_unlock(:key)"), key)
                self.release()
                raise ConfigError(
                    "database: its pooler lends sessions by the transaction, so no process can hold a lock",
                    hint="Connect to PostgreSQL itself, or set the pooler to sessions.",
                )


ProcessLock = FileLock | AdvisoryLock
"""A lock that a process holds while it lives, among the processes that share the database: no clock, no heartbeat. A
stopped process and one whose machine slept still hold theirs. All methods block while the database takes its time."""


def _make_key(holder: str) -> int:
    """The key of an advisory lock: a signed number of 64 bits."""
    return int.from_bytes(blake2b(holder.encode(), digest_size=8).digest(), "big", signed=True)


class Checkpoints:
    """Moves SQLite's write-ahead log into the database file, in a thread of its own.

    SQLite would do this inside every thousandth page's commit: for 10 ms every writer would wait. A passive checkpoint
    disturbs neither writers nor readers. Under endless load it never quite catches up; then the writer's own limit
    (`connections._WAL_PAGES`) moves the short rest. What is left at the end is moved by the process that opens the
    database next.

    Moved pages stay in the log until they are overwritten: on a quiet server, for days. After an erasure the log is
    therefore cut to nothing, during which writers wait for its last pages; the same happens at the start, for the log
    of a killed process.

    Neither `secure_delete` nor `incremental_vacuum` overwrites all copies in the file: when a page becomes too full or
    too empty, SQLite distributes its rows among the neighbours, and old copies stay in free space. Only VACUUM, which
    rewrites the whole file while nobody can write, leaves none.
    """

    def __init__(self, engine: Engine, file: DatabaseFile) -> None:
        self._engine = engine
        self._path = file.path
        self._written = time.monotonic()
        self.committed = Event()
        """Set by the writer after a commit."""
        self._erased, self._has_copies = Event(), Event()
        self._next_vacuum = 0.0
        self._closed = Event()
        self._thread = start_thread(self._work, name="store-checkpoints")

    def note_erasure(self, *, has_copies: bool = True) -> None:
        """Marks everything committed so far as holding an erasure: the log must be emptied, and the file rewritten if
        it `has_copies`."""
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
        """Moves the log into the file; after an erasure empties the log and rewrites the file, when it is time."""
        try:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
            if self._erased.is_set():
                self._empty(connection)
            if self._has_copies.is_set() and self._may_vacuum(is_last=is_last):
                self._vacuum(connection)
                self._empty(connection)
        except (SQLAlchemyError, OSError):  # busy or out of space: the next try, or the writer, moves the log
            pass

    def _empty(self, connection: Connection) -> None:
        """Cuts the log to nothing; where somebody reads it, this remains to be done."""
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
        """Rewrites the file. Raises SQLAlchemyError: somebody writes, or the disk is full."""
        began = time.monotonic()
        self._next_vacuum = began + _AFTER_FAILURE_SECONDS
        self._has_copies.clear()  # later erasures may come too late for this VACUUM
        connection.exec_driver_sql("PRAGMA query_only = OFF").close()
        try:
            connection.exec_driver_sql("VACUUM").close()
            self._next_vacuum = time.monotonic() + _VACUUM_SHARE * (time.monotonic() - began)
        except BaseException:
            self._has_copies.set()
            raise
        finally:
            connection.exec_driver_sql("PRAGMA query_only = ON").close()
