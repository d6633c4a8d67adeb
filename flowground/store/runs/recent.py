"""What a person used last: when each flow, and their newest conversations and runs across flows.

Nothing here reads all of somebody's conversations or runs: the indexes of both are by owner, flow and time, and are
entered once a flow.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, or_, select, union_all

from flowground.store import tables
from flowground.store.runs.records import RunRecord, read_run_row
from flowground.store.sql import read_moment

_s = tables.sessions.c
_p = tables.session_pins.c
_IS_PINNED = exists().where(_p.session == _s.id).correlate(tables.sessions)
_COLUMNS = (_s.flow_id, _s.session_id, _s.title, _s.updated_at)
_t = tables.sessions.alias("theirs").c
_r = tables.runs.c


@dataclass(frozen=True, slots=True)
class RecentSession:
    """A conversation of somebody's, and the flow it is with."""

    flow_id: str
    session_id: str
    title: str
    updated_at: datetime
    is_pinned: bool = False


def list_last_used(connection: Connection, *, owner: str) -> dict[str, datetime]:
    """Flow id -> when this owner's newest conversation with it went on; the one used last first."""
    first = select(func.min(_s.flow_id).label("flow_id")).where(_s.owner == owner).cte("flows", recursive=True)
    following = select(func.min(_s.flow_id)).where(_s.owner == owner, _s.flow_id > first.c.flow_id).scalar_subquery()
    flows = first.union_all(select(following).where(first.c.flow_id.is_not(None)))
    newest = select(func.max(_t.updated_at)).where(_t.owner == owner, _t.flow_id == flows.c.flow_id).scalar_subquery()
    found = connection.execute(select(flows.c.flow_id, newest).where(flows.c.flow_id.is_not(None))).all()
    return {flow: read_moment(at) for flow, at in sorted(found, key=lambda row: row[1], reverse=True)}


def list_recent(connection: Connection, *, owner: str, flows: Collection[str], limit: int) -> list[RecentSession]:
    """The owner's newest conversations with these flows, which are few: each is asked for as many. None is pinned."""
    if not flows:
        return []
    parts = [
        select(*_COLUMNS)
        .where(_s.owner == owner, _s.flow_id == flow, _s.messages > 0, ~_IS_PINNED)
        .order_by(_s.updated_at.desc())
        .limit(limit)
        .subquery()
        .select()
        for flow in flows
    ]
    found = connection.execute(union_all(*parts)).all()
    newest = sorted(found, key=lambda row: row[3], reverse=True)[:limit]
    return [RecentSession(flow, session, title, read_moment(at)) for flow, session, title, at in newest]


def list_pinned(connection: Connection, *, owner: str, flows: Collection[str], limit: int) -> list[RecentSession]:
    """The owner's pinned conversations with these flows, the one used last first."""
    found = connection.execute(
        select(*_COLUMNS)
        .join_from(tables.session_pins, tables.sessions, _p.session == _s.id)
        .where(_p.owner == owner, _p.flow_id.in_(flows), _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(limit)
    ).all()
    return [RecentSession(flow, session, title, read_moment(at), True) for flow, session, title, at in found]


def list_runs(
    connection: Connection, *, owners: Collection[str], flows: Collection[str] | None, after: str | None, limit: int
) -> list[RunRecord]:
    """These owners' runs of these flows, None: of all; the one that began last first, behind the run `after`."""
    began = None if after is None else connection.scalar(select(_r.started_at).where(_r.id == after))
    found: list[Row[Any]] = []
    for owner in owners:
        for flow_id in _list_flows_run(connection, owner):
            if flows is not None and flow_id not in flows:
                continue
            wanted = select(tables.runs).where(_r.owner == owner, _r.flow_id == flow_id)
            if began is not None:
                wanted = wanted.where(_r.started_at <= began, or_(_r.started_at < began, _r.id < after))
            found += connection.execute(wanted.order_by(_r.started_at.desc(), _r.id.desc()).limit(limit)).all()
    found.sort(key=lambda row: (row.started_at, row.id), reverse=True)
    return [read_run_row(row) for row in found[:limit]]


def _list_flows_run(connection: Connection, owner: str) -> Iterator[str]:
    """Of which the owner has runs. From one to the next by the index: DISTINCT would read all of the owner's."""
    flow_id: str | None = ""
    while flow_id := connection.scalar(select(func.min(_r.flow_id)).where(_r.owner == owner, _r.flow_id > flow_id)):
        yield flow_id
