"""Processes that run turns, told alive from dead by a lock that each holds as long as it lives: no clock, no heartbeat.

On SQLite it is a lock on a file beside the database; on PostgreSQL a session's advisory lock, on a connection of its
own. A stopped process and a machine that slept still hold theirs.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from flowground.errors import ConfigError, StoreUnavailable
from flowground.file_lock import try_lock
from flowground.store.database.connections import Database

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


class ProcessLock(Protocol):
    """This process among those that share the database. All of it blocks for as long as the database takes."""

    id: str
    """Names the process in the rows of the runs that it holds."""
    confirm_seconds: float
    """Seconds that a lock must stay free before its process counts as dead: PostgreSQL's is free for a moment when its
    connection breaks."""

    def take(self) -> None:
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

    def take(self) -> None:
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

    def take(self) -> None:
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
