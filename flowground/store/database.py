"""The two databases behind one door: how connections to SQLite and PostgreSQL are opened.

Writers and readers get engines of their own, because they begin differently: a writer takes SQLite's lock at once
(BEGIN IMMEDIATE), a reader never holds a transaction open, so each read sees what was committed last.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from flowground.errors import ConfigError

_BUSY_MS = 15_000
"""How long SQLite waits for another process (the command line beside the server) to finish writing."""
WAL_PAGES = 8_000
"""Length of SQLite's log (4 KiB pages) at which a commit moves it itself; `checkpoints` normally comes first."""


@dataclass(frozen=True, slots=True)
class Database:
    """Engines that keep no connections: each thread of the store holds its own."""

    writer: Engine
    reader: Engine

    @classmethod
    def at(cls, url: str) -> "Database":
        """Raises ConfigError when the URL names nothing usable; connects to nothing yet."""
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(parsed)
            return cls(_sqlite(parsed, reads=False), _sqlite(parsed, reads=True))
        return cls(_postgres(parsed, reads=False), _postgres(parsed, reads=True))

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


def _prepare_file(url: URL) -> None:
    """Folder and file, the file readable by its owner only: it holds conversations."""
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(f"database: cannot open {file}: {error.strerror}") from None


def _sqlite(url: URL, *, reads: bool) -> Engine:
    # isolation_level None: the driver begins nothing by itself, so that we say BEGIN IMMEDIATE.
    engine = create_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
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


def _postgres(url: URL, *, reads: bool) -> Engine:
    try:
        if not reads:
            return create_engine(url, poolclass=NullPool)
        return create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"options": _options(url, "-c default_transaction_read_only=on")},
        )
    except ModuleNotFoundError:
        raise ConfigError(
            "database: PostgreSQL needs a driver that is not installed", hint="pip install 'psycopg[binary]~=3.3.0'"
        ) from None


def _options(url: URL, more: str) -> str:
    given = url.query.get("options", "")
    return f"{given if isinstance(given, str) else ' '.join(given)} {more}".strip()
