"""How a database became what it is: functions that are only ever appended, never changed.

Each is recorded in the transaction that ran it. The whole runs under a lock, so that replicas may start at once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from flowground.errors import ConfigError
from flowground.store.database.definitions import run
from flowground.store.migrations.identity import m009_attempts_by_address, m010_config_entries
from flowground.store.migrations.messages import m007_message_errors
from flowground.store.migrations.presets import m005_presets, m006_turn_overrides
from flowground.store.migrations.sharing import m004_audiences_groups_invitations
from flowground.store.migrations.visitors import m008_visitors_conversations

_log = logging.getLogger(__name__)
Migration = Callable[[Connection], None]
MIGRATIONS: list[Migration] = []
_LOCK = 0x666C6F77
"""Any number that every Flowground agrees on: the name of PostgreSQL's advisory lock."""


def _migration(function: Migration) -> Migration:
    MIGRATIONS.append(function)
    return function


def migrate(engine: Engine, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Brings the database up to date, all of it or nothing. Raises ConfigError when a newer Flowground wrote it."""
    with engine.begin() as connection:  # on SQLite this is BEGIN IMMEDIATE: the lock
        if connection.dialect.name == "postgresql":
            # Another replica may be migrating for long; only locks of tables that are in use end as always.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at DOUBLE PRECISION NOT NULL)"
        )
        done = {name for (name,) in connection.exec_driver_sql("SELECT name FROM migrations")}
        if not done:
            _log.warning("a new database was made: %s", engine.url.render_as_string(hide_password=True))
        unknown = sorted(done - {migration.__name__ for migration in migrations})
        if unknown:
            raise ConfigError(
                f"database: written by a newer version of Flowground ({unknown[-1]})",
                hint="Update Flowground, or name another database.",
            )
        for migration in migrations:
            if migration.__name__ not in done:
                migration(connection)
                run(connection, f"INSERT INTO migrations VALUES ('{migration.__name__}', {time.time()!r})")  # noqa: S608 (both ours)


def write_and_delete(connection: Connection) -> None:
    """Proves that the database can be written, and leaves nothing."""
    name = f"probe {uuid4()}"
    connection.execute(text("INSERT INTO migrations VALUES (:name, :at)"), {"name": name, "at": time.time()})
    connection.execute(text("DELETE FROM migrations WHERE name = :name"), {"name": name})


@_migration
def m001_conversations(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE sessions (
            id TEXT NOT NULL PRIMARY KEY,
            flow_id TEXT NOT NULL,
            owner TEXT NOT NULL,
            session_id TEXT NOT NULL,
            title TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            updated_at DOUBLE PRECISION NOT NULL,
            messages INTEGER NOT NULL
        );
        CREATE INDEX sessions_recent ON sessions (owner, flow_id, updated_at);
        CREATE TABLE messages (
            position KEY_COLUMN,
            id TEXT NOT NULL,
            session TEXT NOT NULL,
            role TEXT NOT NULL,
            text TEXT NOT NULL,
            state TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            run_id TEXT,
            model TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            seconds DOUBLE PRECISION,
            trace TEXT,
            CONSTRAINT messages_id UNIQUE (id),
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX messages_in_session ON messages (session, position);
        CREATE TABLE runs (
            id TEXT NOT NULL PRIMARY KEY,
            flow_id TEXT NOT NULL,
            flow_version TEXT NOT NULL,
            owner TEXT NOT NULL,
            session_id TEXT NOT NULL,
            status TEXT NOT NULL,
            started_at DOUBLE PRECISION NOT NULL,
            seconds DOUBLE PRECISION NOT NULL,
            input_tokens INTEGER,
            output_tokens INTEGER,
            error_code TEXT,
            streamed BOOLEAN NOT NULL
        );
        CREATE INDEX runs_recent ON runs (flow_id, started_at)
        """,
    )


@_migration
def m002_members(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE members (
            name TEXT NOT NULL PRIMARY KEY,
            display_name TEXT NOT NULL,
            email TEXT,
            role TEXT NOT NULL,
            active BOOLEAN NOT NULL,
            created_at DOUBLE PRECISION NOT NULL
        );
        CREATE TABLE passwords (
            name TEXT NOT NULL PRIMARY KEY,
            hash TEXT NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL
        );
        CREATE TABLE marks (
            name TEXT NOT NULL PRIMARY KEY,
            made_at DOUBLE PRECISION NOT NULL
        );
        CREATE TABLE sign_ins (
            id TEXT NOT NULL PRIMARY KEY,
            member TEXT,
            created_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            revoked_at DOUBLE PRECISION
        );
        CREATE INDEX sign_ins_of_member ON sign_ins (member);
        CREATE TABLE tickets (
            hash TEXT NOT NULL PRIMARY KEY,
            member TEXT,
            browser TEXT NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL
        );
        CREATE TABLE attempts (
            id KEY_COLUMN,
            name TEXT NOT NULL,
            address TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL
        );
        CREATE INDEX attempts_by_name ON attempts (name, at);
        CREATE INDEX attempts_by_time ON attempts (at);
        CREATE TABLE known_addresses (
            name TEXT NOT NULL,
            address TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (name, address)
        )
        """,
    )


@_migration
def m003_tokens_publications_audit(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE tokens (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash TEXT NOT NULL,
            owner TEXT,
            flows TEXT,
            created_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION,
            revoked_at DOUBLE PRECISION,
            last_used_at DOUBLE PRECISION,
            uses INTEGER NOT NULL,
            CONSTRAINT tokens_hash UNIQUE (hash)
        );
        CREATE TABLE publications (
            flow_id TEXT NOT NULL PRIMARY KEY,
            shared BOOLEAN NOT NULL,
            changed_by TEXT NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL
        );
        CREATE TABLE audit (
            id KEY_COLUMN,
            at DOUBLE PRECISION NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL
        );
        CREATE INDEX audit_by_time ON audit (at)
        """,
    )


_migration(m004_audiences_groups_invitations)
_migration(m005_presets)
_migration(m006_turn_overrides)
_migration(m007_message_errors)
_migration(m008_visitors_conversations)
_migration(m009_attempts_by_address)
_migration(m010_config_entries)
