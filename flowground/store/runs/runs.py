"""Runs: what ran when, for how long, and how it ended."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, bindparam, func, insert, select

from flowground.messages import Usage
from flowground.store import tables
from flowground.store.runs.messages import usage_columns
from flowground.store.sql import Statement, make_storable, to_moment

Status = Literal["complete", "stopped", "failed"]
_runs = tables.runs.c
_SAMPLE = 10_000


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

    All but `runs` is of the last 10,000 of them. `error_rate` is failed runs to all, 0 to 1; `p50` and `p95` are None
    without a complete run.
    """

    runs: int = 0
    error_rate: float = 0.0
    p50: float | None = None
    p95: float | None = None
    last_failure: str | None = None
    last_failure_at: datetime | None = None


_INSERT = Statement(insert(tables.runs).values({column.name: bindparam(column.name) for column in _runs}))


def add_run(connection: Connection, *, run: RunRecord) -> None:
    _INSERT.run(
        connection,
        {
            "id": run.id,
            "flow_id": run.flow_id,
            "flow_version": run.flow_version,
            "owner": run.owner,
            "session_id": make_storable(run.session_id),
            "status": run.status,
            "started_at": run.started_at.timestamp(),
            "seconds": run.seconds,
            **usage_columns(run.usage),
            "error_code": run.error_code,
            "streamed": run.streamed,
        },
    )


def numbers(connection: Connection, *, flow_id: str, since: datetime) -> Numbers:
    """What a flow's runs since then come to; counted and read by the index `runs_recent`."""
    here = (_runs.flow_id == flow_id) & (_runs.started_at >= since.timestamp())
    newest = select(_runs.status, _runs.seconds, _runs.error_code, _runs.started_at).where(here)
    read = connection.execute(newest.order_by(_runs.started_at.desc()).limit(_SAMPLE)).all()
    if not read:
        return Numbers()
    total = len(read) if len(read) < _SAMPLE else connection.scalar(select(func.count()).where(here)) or 0
    took = sorted(row.seconds for row in read if row.status == "complete")
    failed = [row for row in read if row.status == "failed"]
    return Numbers(
        runs=total,
        error_rate=len(failed) / len(read),
        p50=_percentile(took, 0.5),
        p95=_percentile(took, 0.95),
        last_failure=failed[0].error_code if failed else None,
        last_failure_at=to_moment(failed[0].started_at) if failed else None,
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that this share does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else None
