"""Runs: what ran when, for how long, and how it ended."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, bindparam, case, func, insert, select

from flowground.messages import Usage
from flowground.store import tables
from flowground.store.statements import Statement
from flowground.store.text import storable
from flowground.store.times import moment

Status = Literal["complete", "stopped", "failed"]
_runs = tables.runs.c
_COUNTED: tuple[Status, ...] = ("complete", "failed")


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


@dataclass(frozen=True, slots=True)
class Numbers:
    """A flow's runs of some time: how many, how long the complete ones took (seconds), and what failed last.

    `error_rate` is failed runs to all, 0 to 1; `p50` and `p95` are None without a complete run.
    """

    runs: int
    failed: int
    p50: float | None
    p95: float | None
    last_failure: str | None
    last_failure_at: datetime | None

    @property
    def error_rate(self) -> float:
        return self.failed / self.runs if self.runs else 0.0


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


def numbers(connection: Connection, *, flow_id: str, since: datetime) -> Numbers:
    """What a flow's runs since then come to. Reads that time's rows only, by the index `runs_recent`."""
    here = (_runs.flow_id == flow_id) & (_runs.started_at >= since.timestamp())
    counted = {status: func.coalesce(func.sum(case((_runs.status == status, 1), else_=0)), 0) for status in _COUNTED}
    total, complete, failed = connection.execute(select(func.count(), *counted.values()).where(here)).one()
    took = select(_runs.seconds).where(here, _runs.status == "complete").order_by(_runs.seconds).limit(1)

    def percentile(share: float) -> float | None:
        """The least time that this share of the complete runs did not exceed."""
        return connection.scalar(took.offset(math.ceil(complete * share) - 1)) if complete else None

    last = (
        connection.execute(
            select(_runs.error_code, _runs.started_at)
            .where(here, _runs.status == "failed")
            .order_by(_runs.started_at.desc())
            .limit(1)
        ).first()
        if failed
        else None
    )
    return Numbers(
        runs=total,
        failed=int(failed),
        p50=percentile(0.5),
        p95=percentile(0.95),
        last_failure=last.error_code if last else None,
        last_failure_at=moment(last.started_at) if last else None,
    )
