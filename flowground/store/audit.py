"""Who did what to whom, and when: written in the transaction of the deed itself."""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from flowground.store import tables
from flowground.store.times import moment

_a = tables.audit.c


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor` is a `Caller.key`, or "cli" for the command line; `action` a stable word such as "token.created"."""

    at: datetime
    actor: str
    action: str
    subject: str


def record(connection: Connection, *, actor: str, action: str, subject: str) -> None:
    connection.execute(insert(tables.audit).values(at=time.time(), actor=actor, action=action, subject=subject))


def list_entries(connection: Connection, *, limit: int = 100) -> list[AuditEntry]:
    """The last entries, newest first."""
    found = connection.execute(select(_a.at, _a.actor, _a.action, _a.subject).order_by(_a.id.desc()).limit(limit))
    return [AuditEntry(moment(at), actor, action, subject) for at, actor, action, subject in found]
