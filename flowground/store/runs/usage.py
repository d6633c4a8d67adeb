"""How a flow was used over some days: runs, people, failures, tokens. Counts only; nobody is named.

Read by the index `runs_recent`, and no further back than the newest `MOST` runs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, case, cast, func, literal, literal_column, select
from sqlalchemy.sql import ColumnElement, Subquery

from flowground.caller import LOCAL_OWNER, Owner
from flowground.store import tables
from flowground.store.runs.visitors import is_visitors
from flowground.store.sql import read_moment

_r = tables.runs.c
MOST = 100_000
_DAY = 86_400
_MOST_REASONS = 10


@dataclass(frozen=True, slots=True)
class UsedDay:
    """Runs that began within a day, and how many of them failed or were interrupted."""

    runs: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FailureCount:
    """An error code (that of docs/api.md), how many runs ended with it, and when the last of them began."""

    code: str
    runs: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class FlowUsage:
    """`people` are different members, each with all their tokens: an organization's tokens are nobody. `visitors` are
    browsers that did not sign in. `cost` is None where no model has a price. Days are the oldest first. `is_cut`: there
    were more runs, and `MOST` of them are counted."""

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
    """Of the runs that ended and began within so many days from `since` on."""
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
    """The owner of the person's own conversations, where these are their programs'; none for tokens without one."""
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
    """The most frequent first."""
    code, count, last = runs.c.error_code, func.count(), func.max(runs.c.started_at)
    wanted = select(code, count, last).where(code.is_not(None)).group_by(code).order_by(count.desc(), code)
    found = connection.execute(wanted.limit(_MOST_REASONS))
    return tuple(FailureCount(name, runs_of_it, read_moment(at)) for name, runs_of_it, at in found)
