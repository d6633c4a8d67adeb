"""The two databases behind one door: how connections to SQLite and PostgreSQL are opened.

Writers and readers get engines of their own, because they begin differently: a writer takes SQLite's lock at once
(BEGIN IMMEDIATE), a reader never holds a transaction open, so each read sees what was committed last.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from flowground.errors import ConfigError, StoreUnavailable

SECONDS = 15.0
"""How long anybody waits for the database, where the settings say nothing else."""
_OWN_SHARE = 0.9
"""The database's own limits end a little earlier than the waiting: it knows what was done and what was not."""
_CONNECT_SECONDS = 5
WAL_PAGES = 8_000
"""Length of SQLite's log (4 KiB pages) at which a commit moves it itself; `checkpoints` normally comes first."""


@dataclass(frozen=True, slots=True)
class Database:
    """Engines that keep no connections: each thread of the store holds its own."""

    writer: Engine
    reader: Engine
    file: "File | None"
    """SQLite's."""

    @classmethod
    def at(cls, url: str, *, seconds: float = SECONDS) -> "Database":
        """`seconds` is how long one statement or lock may take.

        Raises ConfigError when the URL names nothing usable; connects to nothing yet.
        """
        parsed = _parse(url)
        own = int(seconds * _OWN_SHARE * 1000)
        if parsed.get_backend_name() == "sqlite":
            file = _prepare_file(parsed)
            return cls(_sqlite(parsed, busy_ms=own, reads=False), _sqlite(parsed, busy_ms=own, reads=True), file)
        return cls(_postgres(parsed, own_ms=own, reads=False), _postgres(parsed, own_ms=own, reads=True), None)

    def check(self) -> None:
        """Connects once. Raises ConfigError, without the password, when nothing usable answers."""
        try:
            self.writer.connect().close()
        except SQLAlchemyError as error:
            shown = self.writer.url.render_as_string(hide_password=True)
            raise ConfigError(f"database: cannot open {shown}: {getattr(error, 'orig', error)}") from None


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


@dataclass(frozen=True, slots=True)
class File:
    """SQLite's file as it was opened. Who writes into a file that was deleted or replaced writes into nothing."""

    path: Path
    identity: tuple[int, int]
    """Device and inode."""

    @property
    def stands(self) -> bool:
        """Whether this very file still is at its path."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity

    def require_place(self) -> None:
        """Raises StoreUnavailable when another file, or none, stands where this one stood."""
        if not self.stands:
            raise StoreUnavailable(
                "The database file was moved, replaced or deleted while the app was running.",
                code="store_moved",
                hint="Put it back, or restart the app.",
            )


def _prepare_file(url: URL) -> File:
    """Folder and file, the file readable by its owner only: it holds conversations."""
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        found = os.fstat(opened)
        os.close(opened)
    except OSError as error:
        raise ConfigError(f"database: cannot open {file}: {error.strerror}") from None
    return File(file, (found.st_dev, found.st_ino))


def _sqlite(url: URL, *, busy_ms: int, reads: bool) -> Engine:
    # isolation_level None: the driver begins nothing by itself, so that we say BEGIN IMMEDIATE.
    engine = create_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})

    @event.listens_for(engine, "do_connect")
    def _(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> None:
        # mode=rw: a file that has gone is an error, not the beginning of an empty one.
        arguments[0] = f"file:{quote(os.path.abspath(str(url.database)))}?mode=rw"
        named["uri"] = True

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        for pragma in (
            f"busy_timeout = {busy_ms}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {WAL_PAGES}",
            "foreign_keys = ON",
            f"query_only = {int(reads)}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    if not reads:

        @event.listens_for(engine, "begin")
        def _(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres(url: URL, *, own_ms: int, reads: bool) -> Engine:
    given = url.query.get("options", "")
    options = [f"-c statement_timeout={own_ms}", f"-c lock_timeout={int(own_ms * _OWN_SHARE)}"]
    options.append(given if isinstance(given, str) else " ".join(given))  # what the URL says wins
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
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of a broken connection, which it raises as well
    try:
        level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if reads else {}
        return create_engine(url, poolclass=NullPool, connect_args=arguments, **level)
    except ModuleNotFoundError:
        raise ConfigError(
            "database: PostgreSQL needs a driver that is not installed", hint="pip install 'psycopg[binary]~=3.3.0'"
        ) from None
