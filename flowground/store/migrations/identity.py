"""Migrations of who is who, and who was told apart from whom. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.database.definitions import run


def m009_attempts_by_address(connection: Connection) -> None:
    run(connection, "CREATE INDEX attempts_by_address ON attempts (address, at)")


def m010_config_entries(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE config_entries (
            name TEXT NOT NULL PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            email TEXT,
            present BOOLEAN NOT NULL
        )
        """,
    )
