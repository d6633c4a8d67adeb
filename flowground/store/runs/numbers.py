"""What a flow's runs of some time come to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, select

from flowground.store import tables
from flowground.store.sql import read_moment

_r = tables.runs.c
_SAMPLE = 10_000


@dataclass(frozen=True, slots=True)
class RunNumbers:
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


def sum_up(connection: Connection, *, flow_id: str, since: datetime) -> RunNumbers:
    """The flow's runs since then; counted and read by the index `runs_recent`."""
    here = (_r.flow_id == flow_id) & (_r.started_at >= since.timestamp()) & (_r.status != literal_column("'running'"))
    newest = select(_r.status, _r.seconds, _r.error_code, _r.started_at).where(here)
    read = connection.execute(newest.order_by(_r.started_at.desc()).limit(_SAMPLE)).all()
    if not read:
        return RunNumbers()
    total = len(read) if len(read) < _SAMPLE else connection.scalar(select(func.count()).where(here)) or 0
    took = sorted(row.seconds for row in read if row.status == "complete")
    failed = [row for row in read if row.status in ("failed", "interrupted")]
    return RunNumbers(
        runs=total,
        error_rate=len(failed) / len(read),
        p50=_find_percentile(took, 0.5),
        p95=_find_percentile(took, 0.95),
        last_failure=failed[0].error_code if failed else None,
        last_failure_at=read_moment(failed[0].started_at) if failed else None,
    )


def count_people(connection: Connection, *, flow_id: str, since: datetime, besides: str) -> int:
    """How many have run the flow since then, on pages or by programs, `besides` this owner; by `runs_recent`."""
    here = (_r.flow_id == flow_id) & (_r.started_at >= since.timestamp()) & (_r.owner != besides)
    return connection.scalar(select(func.count(_r.owner.distinct())).where(here)) or 0


def _find_percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that this share does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else None
