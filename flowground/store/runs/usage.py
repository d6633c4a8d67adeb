"""Counts of runs: a flow's usage, numbers of its shareable playground, running runs, and bytes stored.

Only the list of running runs names people. Usage is read by the index `runs_recent`, from the newest `MOST` runs only.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.sql import Subquery

from flowground.core.caller import LOCAL_OWNER, Owner
from flowground.core.events import Token
from flowground.store import tables
from flowground.store.runs import chunks
from flowground.store.runs.erasing import is_visitors
from flowground.store.sql import read_moment

MOST = 100_000
_r = tables.runs.c
_DAY = 86_400
_MOST_REASONS = 10
_SAMPLE = 10_000
_t = tables.tokens.c
_s = tables.sessions.c
_m = tables.messages.c


@dataclass(frozen=True, slots=True)
class UsedDay:
    """Runs that began within a day, and how many of them failed or were interrupted."""

    runs: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FailureCount:
    """An error code (as in docs/api.md), the number of runs that ended with it, and when the last of them began."""

    code: str
    runs: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class FlowUsage:
    """A flow's usage. `people` are different members, with all their tokens; organization tokens count as nobody.
    `visitors` are browsers that did not sign in. `cost` is None where no model has a price. `days` has the oldest
    first. `is_cut`: there were more than `MOST` runs, and only the newest are counted."""

    runs: int = 0
    failed: int = 0
    people: int = 0
    visitors: int = 0
    by_programs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    days: tuple[UsedDay, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    is_cut: bool = False


def sum_usage(connection: Connection, *, flow_id: str, since: datetime, days: int, most: int = MOST) -> FlowUsage:
    """The usage by runs that have ended and began within so many days from `since`."""
    begin = since.timestamp()
    is_here = (_r.flow_id == flow_id) & (_r.started_at >= begin) & (_r.started_at < begin + days * _DAY)
    newest = select(tables.runs).where(is_here, _r.status != literal_column("'running'"))
    runs = newest.order_by(_r.started_at.desc()).limit(most).subquery()
    used = runs.c
    is_failed = used.status.in_(["failed", "interrupted"])
    is_visitor = is_visitors(used.owner)
    total = connection.execute(
        select(
            func.count().label("runs"),
            func.coalesce(func.sum(case((is_failed, 1), else_=0)), 0).label("failed"),
            func.count(case((is_visitor, None), else_=_name_person(used.owner)).distinct()).label("people"),
            func.count(case((is_visitor, used.owner)).distinct()).label("visitors"),
            func.count(used.token).label("by_programs"),
            func.coalesce(func.sum(used.input_tokens), 0).label("input_tokens"),
            func.coalesce(func.sum(used.output_tokens), 0).label("output_tokens"),
            func.sum(used.cost).label("cost"),
        )
    ).one()
    facts: dict[str, Any] = total._asdict()
    return FlowUsage(
        **facts,
        days=_sum_days(connection, runs, begin, days),
        failures=_list_failures(connection, runs),
        is_cut=total.runs == most,
    )


def _name_person(owner: ColumnElement[str]) -> ColumnElement[str | None]:
    """The person's own owner in place of their programs'; NULL for tokens without a person."""
    tried, programs = str(Owner("programs", LOCAL_OWNER.id)), str(Owner("programs", ""))
    member = literal(str(Owner("member", ""))).concat(func.substr(owner, len(programs) + 1))
    return case(
        (owner == tried, str(LOCAL_OWNER.owner)),
        (owner.startswith(programs), member),
        (owner.startswith(str(Owner("token", ""))), None),
        else_=owner,
    )


def _sum_days(connection: Connection, runs: Subquery, begin: float, days: int) -> tuple[UsedDay, ...]:
    day = cast(runs.c.started_at - begin, Integer) // _DAY
    failed = func.sum(case((runs.c.status.in_(["failed", "interrupted"]), 1), else_=0))
    rows = connection.execute(select(day, func.count(), failed).group_by(day))
    found = {number: UsedDay(count, failures) for number, count, failures in rows}
    return tuple(found.get(number, UsedDay()) for number in range(days))


def _list_failures(connection: Connection, runs: Subquery) -> tuple[FailureCount, ...]:
    """The most frequent failures first."""
    code, count, last = runs.c.error_code, func.count(), func.max(runs.c.started_at)
    wanted = select(code, count, last).where(code.is_not(None)).group_by(code).order_by(count.desc(), code)
    found = connection.execute(wanted.limit(_MOST_REASONS))
    return tuple(FailureCount(name, runs_of_it, read_moment(at)) for name, runs_of_it, at in found)


@dataclass(frozen=True, slots=True)
class RunNumbers:
    """A flow's runs in some time: their number, the durations of complete ones (seconds), and the last failure.

    All but `runs` is about the last 10,000 of them. `error_rate` is the share of failed runs, 0 to 1; `p50` and `p95`
    are None without a complete run.
    """

    runs: int = 0
    error_rate: float = 0.0
    p50: float | None = None
    p95: float | None = None
    last_failure: str | None = None
    last_failure_at: datetime | None = None


def sum_up(connection: Connection, *, flow_id: str, since: datetime) -> RunNumbers:
    """The numbers of the flow's runs since then, by the index `runs_recent`."""
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
    """The number of owners that have run the flow since then, `besides` this one; by the index `runs_recent`."""
    here = (_r.flow_id == flow_id) & (_r.started_at >= since.timestamp()) & (_r.owner != besides)
    return connection.scalar(select(func.count(_r.owner.distinct())).where(here)) or 0


def _find_percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least of the ordered values that at least this share of them does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else None


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A running run. Where a token began it, `token` is the token's name, and `member` its owner, None for the
    organization.

    `kept_chars` is the number of characters of its texts so far, 0 in the first half second.
    """

    id: str
    flow_id: str
    owner: str
    started_at: datetime
    kept_chars: int
    token: str | None
    member: str | None


def list_running(connection: Connection, *, most: int) -> tuple[list[RunningRun], int]:
    """The newest running runs, and the number of all."""
    wanted = (
        select(_r.id, _r.flow_id, _r.owner, _r.started_at, _t.name, _t.owner)
        .outerjoin_from(tables.runs, tables.tokens, _t.id == _r.token)
        .where(tables.IS_RUNNING)
        .order_by(_r.started_at.desc(), _r.id)
        .limit(most)
    )
    found = [
        RunningRun(run_id, flow_id, owner, read_moment(started_at), _count_chars(connection, run_id), token, member)
        for run_id, flow_id, owner, started_at, token, member in connection.execute(wanted).all()
    ]
    count = connection.scalar(select(func.count()).select_from(tables.runs).where(tables.IS_RUNNING)) or 0
    return found, count


def _count_chars(connection: Connection, run_id: str) -> int:
    events = chunks.read(connection, run_id=run_id)
    return sum(len(event.text) for event in events if isinstance(event, Token))


def find_ids(connection: Connection, *, begin: str) -> list[str]:
    """At most three running runs whose ids begin with this text."""
    wanted = select(_r.id).where(tables.IS_RUNNING, func.substr(_r.id, 1, len(begin)) == begin)
    return list(connection.scalars(wanted.limit(3)))


def sum_bytes(connection: Connection, *, owners: Collection[str]) -> int:
    """The bytes of all texts in these owners' conversations."""
    is_sqlite = connection.dialect.name == "sqlite"
    size = func.length(cast(_m.text, LargeBinary)) if is_sqlite else func.octet_length(_m.text)
    held = select(func.coalesce(func.sum(size), 0)).join_from(tables.messages, tables.sessions, _m.session == _s.id)
    return int(connection.scalar(held.where(_s.owner.in_(list(owners)))) or 0)
