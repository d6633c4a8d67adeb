"""Migrations of presets and of overrides that messages were said with. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.database.definitions import run


def m005_presets(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE presets (
            owner TEXT NOT NULL,
            flow_id TEXT NOT NULL,
            name TEXT NOT NULL,
            overrides TEXT NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (owner, flow_id, name)
        )
        """,
    )


def m006_turn_overrides(connection: Connection) -> None:
    run(
        connection,
        """
        CREATE TABLE turn_overrides (
            message_id TEXT NOT NULL PRIMARY KEY,
            overrides TEXT NOT NULL,
            FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE
        )
        """,
    )
