"""Who did what to whom, and when: written in the transaction of the deed itself."""

import time

from sqlalchemy import Connection, insert

from flowground.store import tables


def record(connection: Connection, *, actor: str, action: str, subject: str) -> None:
    """`actor` is a `Caller.key`, or "cli" for the command line; `action` a stable word such as "token.created"."""
    connection.execute(insert(tables.audit).values(at=time.time(), actor=actor, action=action, subject=subject))
