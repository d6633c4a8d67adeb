"""Migrations for what visitors leave behind. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.database.definitions import run


def m008_visitors_conversations(connection: Connection) -> None:
    run(
        connection,
        "CREATE INDEX sessions_of_visitors ON sessions (flow_id, updated_at) WHERE substr(owner, 1, 8) = 'visitor:'",
    )
