"""The thread that moves SQLite's log into its file, and empties it."""

import sqlite3
import time
from threading import Event

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from flowground.store.database.connections import DatabaseFile
from flowground.store.database.threads import join_threads, start_thread
from flowground.store.database.vacuum import Vacuum

_PAUSE_SECONDS = 0.25
"""Between two moves of SQLite's log."""
_EMPTY_MS = 100
"""How long emptying the log waits for those who read it; others cannot write meanwhile."""
_AGAIN_SECONDS = 5.0
"""Between two tries to empty it, where something long is reading."""
_EMPTY_TRIES = 10
"""At the end."""


class Checkpoints:
    """Moves SQLite's write-ahead log into the database file, off the writer's path.

    SQLite would do it inside every thousandth page's commit: 10 ms in which every writer waits, the whole tail of a
    busy server's latency. A passive checkpoint disturbs neither writers nor readers. Under endless load it never quite
    catches up; then the writer's own limit (`connections._WAL_PAGES`) does the short rest. What is left at the end is
    done by whoever opens the database next.

    Moving leaves the log's own pages as they are, until they are written over: on a quiet server, for days. After
    something was erased the log is therefore cut to nothing, which makes writers wait for as long as its last pages
    take; and at the start, for what a killed process left.
    """

    def __init__(self, engine: Engine, file: DatabaseFile) -> None:
        self._engine = engine
        self._vacuum = Vacuum(file.path)
        self._written = time.monotonic()
        self.committed = Event()
        """To be set when something was committed."""
        self._erased = Event()
        self._closed = Event()
        self._thread = start_thread(self._work, name="store-checkpoints")

    def note_erasure(self, *, has_copies: bool = True) -> None:
        """What was committed so far deleted what nobody shall find in the log, nor copies of it in the file."""
        if has_copies:
            self._vacuum.note()
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
                again = _AGAIN_SECONDS if self._erased.is_set() or self._vacuum.is_wanted else None
            for _ in range(_EMPTY_TRIES):
                if not (self._erased.is_set() or self._vacuum.is_wanted):
                    break
                self._move(connection, is_last=True)

    def _move(self, connection: Connection, *, is_last: bool = False) -> None:
        """Moves what the log holds; after an erasure empties it, and sees to what else that left."""
        try:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
            if self._erased.is_set():
                self._empty(connection)
            if self._vacuum.is_due(written=self._written, is_last=is_last):
                self._vacuum.run(connection.connection.driver_connection)
                self._empty(connection)
        except (SQLAlchemyError, sqlite3.Error, OSError):  # busy or out of space: the next one, or the writer's own
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
