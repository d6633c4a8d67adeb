"""Brings a database to the tables of `tables`, under a lock: a new one is made, one from before 0.1.0 converted.

From here on tables are only added to, so that the release before may serve beside this one: each addition is a function
at the end of `ADDITIONS`, never changed, and recorded in the transaction that ran it. Replicas may start at the same
time.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from flowground.core.errors import ConfigError
from flowground.store import tables
from flowground.store.conversion import convert

Migration = Callable[[Connection], None]
BASELINE = "baseline"
"""What `migrations` has of a database of this schema; earlier releases refuse it. Releases before 0.1.0 wrote m001 to
m048 into both tables."""


def a001_exclusive(connection: Connection) -> None:
    """One answer at a time is a column, which pages fill."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN exclusive TEXT")
    connection.exec_driver_sql(
        "CREATE UNIQUE INDEX runs_exclusive ON runs (exclusive) WHERE exclusive IS NOT NULL AND status = 'running'"
    )


ADDITIONS: tuple[Migration, ...] = (a001_exclusive,)
_LOCK = 0x666C6F77
"""The name of PostgreSQL's advisory lock: any number that every Flowground agrees on."""


def migrate(engine: Engine, additions: Sequence[Migration] = ADDITIONS) -> bool:
    """Brings the database up to date, completely or not at all; returns whether it is new.

    Raises ConfigError when a newer Flowground wrote what this one cannot work with. Additions of a newer one are left
    alone.
    """
    with engine.begin() as connection:  # on SQLite this is BEGIN IMMEDIATE: the lock
        if connection.dialect.name == "postgresql":
            # Another replica may be migrating for long; only locks of tables that are in use end as always.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
        done, added = _read_names(connection, "migrations"), _read_names(connection, "additions")
        if unknown := sorted(name for name in done - {BASELINE} if not name.startswith("m0")):
            raise ConfigError(
                f"database: written by a newer version of Flowground ({unknown[-1]})",
                hint="Update Flowground, or name another database.",
            )
        if BASELINE not in done:
            if done:
                convert(connection)
                for table in ("migrations", "additions"):
                    connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            else:
                tables.metadata.create_all(connection, checkfirst=False)
            added = {step.__name__ for step in additions}
            _record(connection, "migrations", [BASELINE])
            _record(connection, "additions", added)
        for step in additions:
            if step.__name__ not in added:
                step(connection)
                _record(connection, "additions", [step.__name__])
    return not done


def _read_names(connection: Connection, table: str) -> set[str]:
    """The names recorded in this table, which is created where it is missing."""
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, applied_at DOUBLE PRECISION NOT NULL)"
    )
    return {name for (name,) in connection.exec_driver_sql(f"SELECT name FROM {table}")}  # noqa: S608 - names of ours


def _record(connection: Connection, table: str, names: Iterable[str]) -> None:
    for name in names:
        connection.execute(text(f"INSERT INTO {table} VALUES (:name, :at)"), {"name": name, "at": time.time()})  # noqa: S608 - names of ours


def write_and_delete(connection: Connection) -> None:
    """Tests that the database can be written, and leaves nothing behind."""
    name = f"probe {uuid4()}"
    _record(connection, "migrations", [name])
    connection.execute(text("DELETE FROM migrations WHERE name = :name"), {"name": name})
