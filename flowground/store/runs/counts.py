"""What limits count: runs, tokens and money since a moment, and the bytes that conversations hold.

Each question reads an index's range: of one person, visitor, address or flow, since a moment.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, LargeBinary, case, cast, func, literal_column, select

from flowground.store import tables
from flowground.store.runs.visitors import is_visitors

_r = tables.runs.c
_s = tables.sessions.c
_m = tables.messages.c
CountedBy = Literal["person", "pages", "visitor", "address", "flow", "flow_visitors"]
"""Whose runs are counted: a person's or token's, of these the ones at pages, a visitor's, of an address, of a flow, of
a flow those of visitors."""
Unit = Literal["runs", "tokens", "money"]


@dataclass(frozen=True, slots=True)
class Used:
    """What was used: `mine` by runs of this process, `others` by all other runs, of which the `first` began then
    (seconds since 1970)."""

    mine: float
    others: float
    first: float | None = None


@dataclass(frozen=True, slots=True)
class RunsOf:
    """Runs that began from `since` to before `until` (seconds since 1970; None: until now)."""

    by: CountedBy
    key: str
    since: float
    until: float | None = None


def sum_runs(connection: Connection, *, of: RunsOf, unit: Unit, holder: str) -> Used:
    """How much of a unit these runs have used; `holder` is this process."""
    amount: ColumnElement[Any] = {
        "runs": literal_column("1"),
        "tokens": func.coalesce(_r.input_tokens, 0) + func.coalesce(_r.output_tokens, 0),
        "money": func.coalesce(_r.cost, 0.0),
    }[unit]
    is_mine = _r.holder == holder
    wanted = select(
        func.coalesce(func.sum(case((is_mine, amount), else_=0)), 0),
        func.coalesce(func.sum(case((is_mine, 0), else_=amount)), 0),
        func.min(case((is_mine, None), else_=_r.started_at)),
    ).where(*_are_of(of), _r.started_at >= of.since)
    if of.until is not None:
        wanted = wanted.where(_r.started_at < of.until)
    mine, others, first = connection.execute(wanted).one()
    return Used(float(mine), float(others), first)


def sum_bytes(connection: Connection, *, owners: Collection[str]) -> int:
    """Bytes of all texts in these owners' conversations."""
    is_sqlite = connection.dialect.name == "sqlite"
    size = func.length(cast(_m.text, LargeBinary)) if is_sqlite else func.octet_length(_m.text)
    held = select(func.coalesce(func.sum(size), 0)).join_from(tables.messages, tables.sessions, _m.session == _s.id)
    return int(connection.scalar(held.where(_s.owner.in_(list(owners)))) or 0)


def _are_of(of: RunsOf) -> tuple[ColumnElement[bool], ...]:
    match of.by:
        case "person" | "visitor":
            return (_r.counted_as == of.key,)
        case "pages":
            return (_r.counted_as == of.key, _r.owner == of.key)
        case "address":
            return (_r.came_from == of.key,)
        case "flow":
            return (_r.flow_id == of.key,)
        case "flow_visitors":
            return (_r.flow_id == of.key, is_visitors(_r.owner))
