"""Runs: what ran when, for how long, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, bindparam, insert, select

from flowground.messages import Usage
from flowground.store import tables
from flowground.store.statements import Statement
from flowground.store.text import storable
from flowground.store.times import moment

Status = Literal["complete", "stopped", "failed"]
_runs = tables.runs.c


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `seconds` is wall time, `error_code` the failure's stable word."""

    id: str
    flow_id: str
    flow_version: str
    owner: str
    session_id: str
    status: Status
    started_at: datetime
    seconds: float
    usage: Usage | None = None
    error_code: str | None = None
    streamed: bool = False


_INSERT = Statement(insert(tables.runs).values({column.name: bindparam(column.name) for column in _runs}))


def add_run(connection: Connection, *, run: RunRecord) -> None:
    _INSERT.run(
        connection,
        {
            "id": run.id,
            "flow_id": run.flow_id,
            "flow_version": run.flow_version,
            "owner": run.owner,
            "session_id": storable(run.session_id),
            "status": run.status,
            "started_at": run.started_at.timestamp(),
            "seconds": run.seconds,
            "input_tokens": run.usage.input_tokens if run.usage else None,
            "output_tokens": run.usage.output_tokens if run.usage else None,
            "error_code": run.error_code,
            "streamed": run.streamed,
        },
    )


def list_runs(connection: Connection, *, flow_id: str, limit: int = 100) -> list[RunRecord]:
    """A flow's last runs, newest first."""
    found = connection.execute(
        select(tables.runs).where(_runs.flow_id == flow_id).order_by(_runs.started_at.desc()).limit(limit)
    )
    return [
        RunRecord(
            id=row.id,
            flow_id=row.flow_id,
            flow_version=row.flow_version,
            owner=row.owner,
            session_id=row.session_id,
            status=row.status,
            started_at=moment(row.started_at),
            seconds=row.seconds,
            usage=None if row.input_tokens is None else Usage(row.input_tokens, row.output_tokens),
            error_code=row.error_code,
            streamed=row.streamed,
        )
        for row in found
    ]
