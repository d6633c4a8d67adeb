"""Lists of one owner's conversations: those with a flow, those that match a search, and those used last in any flow.

A page begins after a `ListPlace` and never at a count of rows, so the last page costs as much as the first. Pinned
conversations are listed separately. A list across flows never reads all conversations or runs of the owner: their
indexes are by owner, flow and time, and are used once for each flow.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, or_, select, union_all

from flowground.core.errors import InvalidRequest
from flowground.store import tables
from flowground.store.runs.conversations import find_key, list_flows
from flowground.store.runs.records import RunRecord, read_run_row
from flowground.store.sql import ListPlace, add_row, has_row, has_words, is_behind, read_moment

MOST_PINNED = 20
"""Most pinned conversations of an owner with one flow; all of them are shown."""
SEARCH_SECONDS = 0.3
"""How long one step of a search reads."""
SEARCHED_CHARS = 100
"""Most characters of a search text; the rest is ignored."""
_BATCH = 300
"""Conversations that a search reads at once."""
_s = tables.sessions.c
_m = tables.messages.c
_p = tables.session_pins.c
IS_PINNED = exists().where(_p.session == _s.id).correlate(tables.sessions)
_COLUMNS = (_s.id, _s.flow_id, _s.session_id, _s.title, _s.updated_at, IS_PINNED.label("is_pinned"))
_t = tables.sessions.alias("theirs").c
_r = tables.runs.c


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A line of a list."""

    flow_id: str
    session_id: str
    title: str
    updated_at: datetime
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class SessionPage:
    """`sessions` has no pinned ones, and the one used last first; `pinned` is filled on the first page only.

    `end` is where the next page begins, None on the last one. `read_to` is the time back to which a search has read.
    """

    sessions: Sequence[ListedSession]
    pinned: Sequence[ListedSession] = ()
    end: ListPlace | None = None
    read_to: datetime | None = None


def list_page(
    connection: Connection, *, flow_id: str, owner: str, after: ListPlace | None = None, limit: int = 40
) -> SessionPage:
    """The page after a place; the first page where none is given."""
    here = (_s.owner == owner, _s.flow_id == flow_id, _s.messages > 0)
    rows = connection.execute(
        select(*_COLUMNS)
        .where(*here, ~IS_PINNED, *is_behind(after, _s.updated_at, _s.id))
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(limit + 1)
    ).all()
    shown = rows[:limit]
    end = _find_place(shown[-1]) if len(rows) > limit else None
    pinned = () if after else list_pinned(connection, owner=owner, flows=[flow_id], limit=MOST_PINNED)
    return SessionPage(_read_rows(shown), pinned, end)


def search(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    words: str,
    after: ListPlace | None = None,
    limit: int = 40,
    seconds: float = SEARCH_SECONDS,
) -> SessionPage:
    """Conversations whose title, or one of whose messages, contains all these words, ignoring capitals and accents.

    Reads the newest first for at most `seconds` (one batch at least); `end` is then where to go on.
    """
    until = time.monotonic() + seconds
    in_title, in_text = (has_words(connection, words[:SEARCHED_CHARS], column) for column in (_s.title, _m.text))
    is_found = or_(in_title, exists().where(_m.session == _s.id, in_text).correlate(tables.sessions))
    found: list[Any] = []
    place = after
    while True:
        rows = connection.execute(
            select(*_COLUMNS, is_found.label("is_found"))
            .where(_s.owner == owner, _s.flow_id == flow_id, _s.messages > 0, *is_behind(place, _s.updated_at, _s.id))
            .order_by(_s.updated_at.desc(), _s.id.desc())
            .limit(_BATCH)
        ).all()
        for row in rows:
            place = _find_place(row)
            if row.is_found:
                found.append(row)
            if len(found) == limit:
                break
        is_whole = len(rows) < _BATCH and (not rows or place == _find_place(rows[-1]))
        if is_whole or len(found) == limit or time.monotonic() > until:
            break
    read_to = None if is_whole or place is None else read_moment(place.at)
    return SessionPage(_read_rows(found), end=None if is_whole else place, read_to=read_to)


def pin(connection: Connection, *, flow_id: str, owner: str, session_id: str, is_pinned: bool) -> None:
    """Pins or unpins one of the owner's conversations; does nothing where it does not exist.

    Raises InvalidRequest where the owner has as many pinned ones as are shown.
    """
    key = find_key(connection, flow_id, owner, session_id)
    if not is_pinned:
        connection.execute(delete(tables.session_pins).where(_p.session == key))
        return
    if has_row(connection, _p.session == key) or not has_row(connection, _s.id == key):
        return
    count = connection.scalar(select(func.count()).where(_p.owner == owner, _p.flow_id == flow_id)) or 0
    if count >= MOST_PINNED:
        raise InvalidRequest(f"{MOST_PINNED} chats are pinned already.", hint="Unpin one of them first.")
    add_row(connection, tables.session_pins, session=key, owner=owner, flow_id=flow_id, pinned_at=time.time())


def _find_place(row: Any) -> ListPlace:
    return ListPlace(row.updated_at, row.id)


def _read_rows(rows: Sequence[Any]) -> list[ListedSession]:
    return [
        ListedSession(row.flow_id, row.session_id, row.title, read_moment(row.updated_at), bool(row.is_pinned))
        for row in rows
    ]


def list_last_used(connection: Connection, *, owner: str) -> dict[str, datetime]:
    """The time of this owner's newest conversation with each flow, by flow id; the one used last first."""
    first = select(func.min(_s.flow_id).label("flow_id")).where(_s.owner == owner).cte("flows", recursive=True)
    following = select(func.min(_s.flow_id)).where(_s.owner == owner, _s.flow_id > first.c.flow_id).scalar_subquery()
    flows = first.union_all(select(following).where(first.c.flow_id.is_not(None)))
    newest = select(func.max(_t.updated_at)).where(_t.owner == owner, _t.flow_id == flows.c.flow_id).scalar_subquery()
    found = connection.execute(select(flows.c.flow_id, newest).where(flows.c.flow_id.is_not(None))).all()
    return {flow: read_moment(at) for flow, at in sorted(found, key=lambda row: row[1], reverse=True)}


def list_recent(connection: Connection, *, owner: str, flows: Collection[str], limit: int) -> list[ListedSession]:
    """The owner's newest unpinned conversations with these flows. Each flow is read once, so there should be few."""
    if not flows:
        return []
    parts = [
        select(*_COLUMNS)
        .where(_s.owner == owner, _s.flow_id == flow, _s.messages > 0, ~IS_PINNED)
        .order_by(_s.updated_at.desc())
        .limit(limit)
        .subquery()
        .select()
        for flow in flows
    ]
    found = connection.execute(union_all(*parts)).all()
    return _read_rows(sorted(found, key=lambda row: row.updated_at, reverse=True)[:limit])


def list_pinned(connection: Connection, *, owner: str, flows: Collection[str], limit: int) -> list[ListedSession]:
    """The owner's pinned conversations with these flows, the one used last first."""
    found = connection.execute(
        select(*_COLUMNS)
        .join_from(tables.session_pins, tables.sessions, _p.session == _s.id)
        .where(_p.owner == owner, _p.flow_id.in_(flows), _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(limit)
    ).all()
    return _read_rows(found)


def list_runs(
    connection: Connection, *, owners: Collection[str], flows: Collection[str] | None, after: str | None, limit: int
) -> list[RunRecord]:
    """These owners' runs of these flows (None: of all), newest first, after the run `after`."""
    began = None if after is None else connection.scalar(select(_r.started_at).where(_r.id == after))
    found: list[Row[Any]] = []
    for owner in owners:
        for flow_id in list_flows(connection, owner, tables.runs):
            if flows is not None and flow_id not in flows:
                continue
            wanted = select(tables.runs).where(_r.owner == owner, _r.flow_id == flow_id)
            if began is not None:
                wanted = wanted.where(_r.started_at <= began, or_(_r.started_at < began, _r.id < after))
            found += connection.execute(wanted.order_by(_r.started_at.desc(), _r.id.desc()).limit(limit)).all()
    found.sort(key=lambda row: (row.started_at, row.id), reverse=True)
    return [read_run_row(row) for row in found[:limit]]
