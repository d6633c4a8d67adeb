"""Moves SQLite's write-ahead log into the database file, off the writer's path.

SQLite would do it inside every thousandth page's commit: 10 ms in which every writer waits, the whole tail of a busy
server's latency. A passive checkpoint disturbs neither writers nor readers. Under endless load it never quite catches
up; then the writer's own limit (`database.WAL_PAGES`) does the short rest.
"""

from threading import Event, Thread

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flowground.store.database.connections import join_while_it_works

_PAUSE_SECONDS = 0.25


class Checkpoints:
    """A thread that follows the writer. What it leaves undone is done by whoever opens the database next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written = Event()
        self._closed = Event()
        self._thread = Thread(target=self._work, name="store-checkpoints", daemon=True)
        self._thread.start()

    def written(self) -> None:
        """Something was committed."""
        self._written.set()

    def close(self) -> None:
        self._closed.set()
        self._written.set()
        join_while_it_works([self._thread], lambda: 0)

    def _work(self) -> None:
        with self._engine.connect() as connection:
            while not self._closed.wait(_PAUSE_SECONDS):
                self._written.wait()
                self._written.clear()
                try:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
                except SQLAlchemyError:  # busy or out of space: the next one, or the writer's own
                    continue
