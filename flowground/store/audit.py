"""The audit trail: who did what to whom, and when. It is written in the transaction of the change itself."""

import time

from sqlalchemy import Connection, Delete, Update

from flowground.store import tables
from flowground.store.sql import add_row


def record(connection: Connection, *, actor: str, action: str, subject: str) -> None:
    """Adds a line. `actor` is an `Owner`, or "cli" for the command line; `action` a stable word such as
    "token.created"."""
    add_row(connection, tables.audit, at=time.time(), actor=actor, action=action, subject=subject)


def execute(connection: Connection, change: Update | Delete, *, actor: str, action: str, subject: str) -> bool:
    """Executes a change and records it. False, and no record, where there was no row to change."""
    if connection.execute(change).rowcount == 0:
        return False
    record(connection, actor=actor, action=action, subject=subject)
    return True
