"""Brings a database up to date: runs the migrations that it has not seen, in order.

Each is recorded in the transaction that ran it. The whole runs under a lock, so that replicas may start at once.

The release before may serve beside this one, and one may go back to it: migrations only add what it need not know.
They are recorded in a table of their own, since that release refuses a database with a migration it does not know.
"""

import logging
import time
from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from flowground.errors import ConfigError
from flowground.store.migrations.additions import ADDITIONS
from flowground.store.migrations.steps import MIGRATIONS, Migration

_log = logging.getLogger(__name__)
_LOCK = 0x666C6F77
"""Any number that every Flowground agrees on: the name of PostgreSQL's advisory lock."""
_RECORD = text("INSERT INTO migrations VALUES (:name, :at)")
_RECORD_ADDITION = text("INSERT INTO additions VALUES (:name, :at)")


def migrate(
    engine: Engine, migrations: Sequence[Migration] = MIGRATIONS, additions: Sequence[Migration] = ADDITIONS
) -> bool:
    """Brings the database up to date, all of it or nothing; whether it is a new one.

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
        unknown = sorted(done - {migration.__name__ for migration in migrations})
        if unknown:
            raise ConfigError(
                f"database: written by a newer version of Flowground ({unknown[-1]})",
                hint="Update Flowground, or name another database.",
            )
        for steps, seen, record in ((migrations, done, _RECORD), (additions, added, _RECORD_ADDITION)):
            for migration in steps:
                if migration.__name__ not in seen:
                    migration(connection)
                    connection.execute(record, {"name": migration.__name__, "at": time.time()})
    return not done


def _read_names(connection: Connection, table: str) -> set[str]:
    """What is recorded in this table, which is made where there is none."""
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, applied_at DOUBLE PRECISION NOT NULL)"
    )
    return {name for (name,) in connection.exec_driver_sql(f"SELECT name FROM {table}")}  # noqa: S608 - names of ours


def write_and_delete(connection: Connection) -> None:
    """Proves that the database can be written, and leaves nothing."""
    name = f"probe {uuid4()}"
    connection.execute(_RECORD, {"name": name, "at": time.time()})
    connection.execute(text("DELETE FROM migrations WHERE name = :name"), {"name": name})
