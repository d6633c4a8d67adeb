"""What stands in tables that the app itself only writes, or only counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from flowground.store import tables
from flowground.store.runs.records import RunRecord, read_run_row
from flowground.store.sql import read_moment

_a = tables.audit.c
_r = tables.runs.c


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: datetime
    actor: str
    action: str
    subject: str


def list_entries(connection: Connection, *, limit: int = 100) -> list[AuditEntry]:
    """The audit trail's last entries, newest first."""
    found = connection.execute(select(_a.at, _a.actor, _a.action, _a.subject).order_by(_a.id.desc()).limit(limit))
    return [AuditEntry(read_moment(at), actor, action, subject) for at, actor, action, subject in found]


def list_runs(connection: Connection, *, flow_id: str, limit: int = 100) -> list[RunRecord]:
    """A flow's last runs, newest first."""
    found = connection.execute(
        select(tables.runs).where(_r.flow_id == flow_id).order_by(_r.started_at.desc()).limit(limit)
    )
    return [read_run_row(row) for row in found]


def list_running(connection: Connection) -> list[RunRecord]:
    """Running runs of all processes."""
    return [read_run_row(row) for row in connection.execute(select(tables.runs).where(_r.status == "running"))]
