"""Migrations of messages. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.database.definitions import run


def m007_message_errors(connection: Connection) -> None:
    run(connection, "ALTER TABLE messages ADD COLUMN error TEXT")
