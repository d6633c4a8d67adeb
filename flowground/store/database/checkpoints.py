"""The thread that moves SQLite's log into its file, empties it, and writes the file anew after an erasure."""

import time
from threading import Event

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from flowground.store.database.connections import DatabaseFile
from flowground.store.database.jobs import join_threads, start_thread

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
