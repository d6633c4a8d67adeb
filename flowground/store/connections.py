"""Connections to SQLite and PostgreSQL: opening them, holding one in a thread, and cutting it from another thread.

Writers and readers have separate engines, because they begin differently: a writer takes SQLite's lock at once (BEGIN
IMMEDIATE); a reader never holds a transaction open, so each read sees the last commit.
"""

import logging
import os
import socket
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from flowground.core.errors import ConfigError, InvalidRequest, StoreUnavailable
from flowground.core.words import fold
from flowground.store import tables
from flowground.store.sql import find_driver

SECONDS = 15.0
"""The longest wait for the database, where the settings have no other."""
_log = logging.getLogger(__name__)
_OWN_SHARE = 0.9
"""The database's own timeouts are a little shorter than our wait: the database knows what was done and what was not."""
_OVERDUE_SHARE = 0.8
"""A call is cut after this share of `seconds`: its caller began to wait a little before the call began."""
_CONNECT_SECONDS = 5
_WAL_PAGES = 8_000
"""Length of SQLite's log (4 KiB pages) at which a commit moves it itself; `Checkpoints` normally comes first."""
_WRITER_CACHE, _READER_CACHE = 2_000, 512
"""Kilobytes of SQLite's file that a connection caches. Each commit empties a reader's cache: a large one costs memory
and helps little."""
_FULL = (
    "The disk is full: what is stored can be read, and nothing can be stored until there is room. No other process can "
    "open the database until this one ends."
)
_STILL_MS = 15_000
"""How long a process that stands still in a transaction may keep what it locked from all others."""
_OPTIONS: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
"""Options of every engine. An error's text has the statement without its values: what people wrote stays out of the
log."""
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """SQLite's file as it was opened. Writes into a file that was deleted or replaced since are lost."""

    path: Path
    identity: tuple[int, int]
    """Device and inode."""

    def require_place(self) -> None:
        """Raises StoreUnavailable when the path leads to another file, or to none."""
        try:
            found = os.stat(self.path)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self.identity:
            raise StoreUnavailable(
                "The database file was moved, replaced or deleted while the app was running.",
                code="store_moved",
                hint="Put it back, or restart the app.",
            )


@dataclass(frozen=True, slots=True)
class Database:
    """Engines without connection pools: each thread of the store holds its own connection."""

    writer: Engine
    reader: Engine
    file: DatabaseFile | None
    """SQLite's file; None for PostgreSQL."""

    @classmethod
    def open(cls, url: str, *, seconds: float = SECONDS, is_alone: bool = False) -> "Database":
        """Connects once. Raises ConfigError, without the password, when the URL names nothing usable, or that does not
        answer.

        `seconds` is the longest time of one statement or lock. `is_alone`: no other process may open SQLite's file. On
        a full disk SQLite has no room for the log's index that processes share; then the file is opened for this
        process alone.
        """
        parsed = _parse(url)
        own_ms = int(seconds * _OWN_SHARE * 1000)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        file = _prepare_file(parsed) if is_sqlite else None
        make_engine = partial(_make_sqlite, is_alone=is_alone) if is_sqlite else _make_postgresql
        writer, reader = (make_engine(parsed, own_ms=own_ms, reads=reads) for reads in (False, True))
        try:
            writer.connect().close()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", error)
            if getattr(cause, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE" and not is_alone:
                _log.warning(_FULL)
                return cls.open(url, seconds=seconds, is_alone=True)
            shown = parsed.render_as_string(hide_password=True)
            raise ConfigError(f"database: cannot open {shown}: {cause}") from None
        return cls(writer, reader, file)


class ThreadConnection:
    """The connection of one thread. Other threads may only ask how long it is busy, and cut it."""

    def __init__(self, engine: Engine, *, seconds: float) -> None:
        """`seconds` is the longest wait for a call."""
        self._engine = engine
        self._seconds = seconds
        self._lock = Lock()
        self._connection: Connection | None = None
        self.driver: Any = None
        """The connection of psycopg or sqlite3; None while there is none."""
        self.began: float | None = None
        """When (monotonic) the running call began; None between two calls."""
        self._given_up: float | None = None
        """When the call began that a caller stopped waiting for."""

    def open(self) -> Connection:
        """The open connection; a new one after `close`."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self.driver = self._connection.connection.driver_connection
        return self._connection

    def close(self) -> None:
        with self._lock:  # so that `cut_if_overdue` cuts this connection
            connection, self._connection, self.driver = self._connection, None, None
            if connection is not None:
                connection.invalidate()
                connection.close()

    def is_busy(self, *, seconds: float) -> bool:
        """Whether the running call has taken longer than this."""
        began = self.began
        return began is not None and time.monotonic() - began > seconds

    def mark_given_up(self) -> None:
        """Marks the running call: a caller has waited too long for it."""
        self._given_up = self.began

    def is_stuck(self, *, seconds: float) -> bool:
        """Whether the running call has taken longer, and a caller gave up waiting for it. A clock alone is not enough,
        because the process may have stood still."""
        return self._given_up == self.began and self.is_busy(seconds=seconds)

    def cut_if_overdue(self) -> None:
        """Ends a call that has taken about the longest wait; the thread that made it gets an error."""
        with self._lock:
            if self.is_busy(seconds=_OVERDUE_SHARE * self._seconds):
                _cut(self.driver)


def _cut(driver: Any) -> None:
    """Ends the driver's running call.

    psycopg waits for its socket in a loop that ends when both sides of the socket are shut down (psycopg 3.3). SQLite
    can end a running statement, but not a wait for a lock, which has a timeout of its own.
    """
    if driver is None:
        return
    with suppress(Exception):  # the connection was closed, or broke, in between
        if hasattr(driver, "interrupt"):
            driver.interrupt()
            return
        with socket.socket(fileno=os.dup(driver.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("database: must look like sqlite:///data/flowground.db or postgresql://…") from None
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigError(f"database: {parsed.drivername} is not supported; sqlite and postgresql are")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("database: SQLite needs a file, such as sqlite:///data/flowground.db")
    return parsed


def _prepare_file(url: URL) -> DatabaseFile:
    """Makes folder and file. Only the owner can read the file: it holds conversations."""
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        found = os.fstat(opened)
        os.close(opened)
    except OSError as error:
        raise ConfigError(f"database: cannot open {file}: {error.strerror}") from None
    return DatabaseFile(file, (found.st_dev, found.st_ino))


def _make_sqlite(url: URL, *, own_ms: int, reads: bool, is_alone: bool) -> Engine:
    # isolation_level None: the driver begins no transactions, so that BEGIN IMMEDIATE can.
    engine = create_engine(url, connect_args={"isolation_level": None}, **_OPTIONS)

    @event.listens_for(engine, "do_connect")
    def _(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> None:
        # mode=rw: a missing file is an error, and no empty file is made.
        arguments[0] = f"file:{quote(os.path.abspath(str(url.database)))}?mode=rw{'&vfs=unix-excl' * is_alone}"
        named["uri"] = True

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        for pragma in (
            f"busy_timeout = {own_ms}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {_WAL_PAGES}",
            "foreign_keys = ON",
            f"cache_size = {-(_READER_CACHE if reads else _WRITER_CACHE)}",
            "secure_delete = ON",  # deleted rows are overwritten, however this SQLite was built
            f"query_only = {int(reads)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("fold", 1, lambda text: fold(text or ""), deterministic=True)

    if not reads:

        @event.listens_for(engine, "begin")
        def _(connection: Connection) -> None:
            if not find_driver(connection).in_transaction:  # the writer has begun it itself
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _make_postgresql(url: URL, *, own_ms: int, reads: bool) -> Engine:
    url_options = url.query.get("options", "")
    options = [f"-c statement_timeout={own_ms}", f"-c lock_timeout={int(own_ms * _OWN_SHARE)}"]
    options.append(f"-c idle_in_transaction_session_timeout={_STILL_MS}")
    options.append(url_options if isinstance(url_options, str) else " ".join(url_options))  # the URL's options win
    if reads:
        options.append("-c default_transaction_read_only=on")
    line: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": own_ms,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    arguments = {name: value for name, value in line.items() if name not in url.query}
    arguments["options"] = " ".join(filter(None, options))
    tables.narrow_postgresql_indexes()
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat errors that it raises
    try:
        level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if reads else {}
        return create_engine(url, connect_args=arguments, **_OPTIONS, **level)
    except ModuleNotFoundError:
        raise ConfigError(
            "database: PostgreSQL needs a driver that is not installed", hint="pip install 'psycopg[binary]~=3.3.0'"
        ) from None


def find_sqlite_file(url: str) -> Path | None:
    """SQLite's file; None for PostgreSQL, and for a database in memory."""
    name = url.removeprefix(_SQLITE)
    return Path(name) if url.startswith(_SQLITE) and name != ":memory:" else None


def copy_database(file: Path, to: Path) -> None:
    """Writes a copy that only its owner can read; writers do not wait meanwhile. Raises InvalidRequest."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        raise InvalidRequest(f"{file} cannot be copied: {error}.") from None
