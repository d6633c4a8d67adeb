"""Migrations of presets. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.definitions import run


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
