"""All that one owner said, across flows and sessions: read back, counted, handed to another."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, insert, literal_column, select, update

from flowground.errors import InvalidRequest
from flowground.store import audit, tables
from flowground.store.runs.conversations import IS_SHOWN, find_session_keys, list_flows, make_session_key
from flowground.store.runs.records import MESSAGE_COLUMNS, StoredMessage, read_message_rows
from flowground.store.sql import has_row, make_storable
from flowground.store.tables.conversations import LASTING_SECONDS

_s = tables.sessions.c
_m = tables.messages.c
_c = tables.run_contents.c
_p = tables.session_pins.c
_IS_LASTING = _s.updated_at - _s.created_at > literal_column(str(LASTING_SECONDS))
_SLACK = 300.0
"""Seconds: a message may be stored so much later than its time says, and by a clock that is so far off."""
_AT_ONCE = 200
"""Sessions that begin at once may stand in another order than their first messages."""
_FEW = 100
"""Sessions of an owner and flow that are all looked at."""
_SHORT = 20
"""Messages of a session up to which it is read together with others: `_ASKED` at most."""
_ASKED = 500


@dataclass(frozen=True, slots=True)
class MessagePosition:
    """One message's position among all, and the run it belongs to."""

    position: int
    run_id: str | None


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """A message and where it was said."""

    flow_id: str
    session_id: str
    message: StoredMessage


def list_places(
    connection: Connection,
    *,
    owners: Collection[str],
    flow_id: str | None = None,
    session_id: str | None = None,
    flows: Collection[str] | None = None,
    newest_first: bool = False,
    after: str | None = None,
    limit: int = 1000,
) -> list[MessagePosition]:
    """Where these owners' messages stand, in the order they were said or the other way round, at most `limit` of them,
    behind the message with the id `after`. Those that are put aside are left out.

    `flows` limits them to these; None: whatever flow they were said to. Raises InvalidRequest where `after` is none of
    these owners' messages. Reads no more conversations than may hold what is wanted.
    """
    place: Any = None
    near: list[Any]
    if after is not None and (place := _find_place(connection, owners, flows, after)) is None:
        raise InvalidRequest("`after` is the id of none of these messages.", hint="Take the last one's of a page.")
    if session_id is not None:
        keys = find_session_keys(connection, owners=owners, session_id=session_id)
        here = (_s.id.in_(keys), _s.session_id == make_storable(session_id))
        rows = connection.execute(select(_s.id, _s.flow_id, _s.messages).where(*here)).all()
        near = [row for row in rows if (flows is None or row.flow_id in flows) and flow_id in (None, row.flow_id)]
    else:
        pairs = _list_pairs(connection, owners, flow_id, flows)
        near = _list_near(connection, pairs, at=place and place.created_at, newest_first=newest_first, limit=limit)
    wanted = select(_m.position, _m.run_id).where(IS_SHOWN)
    wanted = wanted.order_by(_m.position.desc() if newest_first else _m.position)

    def read(keys: Sequence[str], at_once: int) -> Iterator[Any]:
        """So many at a time, no further than is asked for."""
        past, count = place and place.position, at_once
        while count == at_once:
            asked = wanted.where(_m.session.in_(keys)).limit(at_once)
            if past is not None:
                asked = asked.where(_m.position < past if newest_first else _m.position > past)
            rows = connection.execute(asked).all()
            yield from rows
            if count := len(rows):
                past = rows[-1].position

    short = [row.id for row in near if row.messages <= _SHORT]
    parts = [read([row.id], _SHORT) for row in near if row.messages > _SHORT]
    parts += [read(short[at : at + _ASKED], limit) for at in range(0, len(short), _ASKED)]
    merged = heapq.merge(*parts, key=lambda row: row.position, reverse=newest_first)
    return [MessagePosition(position, run_id) for position, run_id in islice(merged, limit)]


def _find_place(connection: Connection, owners: Collection[str], flows: Collection[str] | None, message_id: str) -> Any:
    wanted = select(_m.position, _m.created_at).join_from(tables.messages, tables.sessions, _m.session == _s.id)
    wanted = wanted.where(_m.id == message_id, _s.owner.in_(list(owners)))
    return connection.execute(wanted if flows is None else wanted.where(_s.flow_id.in_(list(flows)))).first()


def _list_pairs(
    connection: Connection, owners: Collection[str], flow_id: str | None, flows: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    """Owners, and the flows of these that each has sessions with."""
    for owner in owners:
        for flow in list_flows(connection, owner):
            if flow_id in (None, flow) and (flows is None or flow in flows):
                yield owner, flow


def _list_near(
    connection: Connection, pairs: Iterator[tuple[str, str]], *, at: float | None, newest_first: bool, limit: int
) -> list[Any]:
    """The sessions that can hold the first `limit` messages behind this time; None: from the end of all.

    Those that went on then, and of those behind it as many as give so many messages: the index tells them in the order
    in which they began, or ended.
    """
    going_on: list[Any] = []
    behind: list[Any] = []
    for owner, flow_id in pairs:
        mine = select(_s.id, _s.created_at, _s.updated_at, _s.messages).where(
            _s.owner == owner, _s.flow_id == flow_id, _s.messages > 0
        )
        few = connection.execute(mine.limit(_FEW + 1)).all()
        if len(few) <= _FEW:  # whatever their clocks say
            going_on += few
            continue
        following = mine.order_by(_s.updated_at.desc() if newest_first else _s.created_at).limit(limit + _AT_ONCE)
        if at is not None:
            begin, end = at - _SLACK, at + _SLACK
            then = mine.where(_s.created_at <= end, _s.updated_at >= begin)
            for asked in (then.where(_s.created_at >= begin - LASTING_SECONDS), then.where(_IS_LASTING)):
                going_on += connection.execute(asked)
            following = following.where(_s.updated_at < begin if newest_first else _s.created_at > end)
        behind += connection.execute(following)
    reached = 0
    for row in sorted(behind, key=lambda row: -row.created_at if newest_first else row.updated_at):
        reached += row.messages
        if reached >= limit:  # all of these lie before its far end, and so does what is wanted
            if newest_first:
                behind = [other for other in behind if other.updated_at >= row.created_at - _SLACK]
            else:
                behind = [other for other in behind if other.created_at <= row.updated_at + _SLACK]
            break
    return list({row.id: row for row in going_on + behind}.values())


def read_messages(connection: Connection, *, owners: Collection[str], positions: Sequence[int]) -> list[PlacedMessage]:
    """These owners' messages at these positions and in their order; what was deleted meanwhile is left out."""
    wanted = (
        select(_m.position, _s.owner, _s.flow_id, _s.session_id, *(_m[name] for name in MESSAGE_COLUMNS))
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_m.position.in_(positions))
    )
    # Asked for the owners too, SQLite reads all their sessions first, and there may be a hundred thousand.
    rows = [row for row in connection.execute(wanted) if row.owner in owners]
    messages = read_message_rows([row[4:] for row in rows])
    found = {
        position: PlacedMessage(flow_id, session_id, message)
        for (position, _, flow_id, session_id, *_), message in zip(rows, messages, strict=True)
    }
    return [found[position] for position in positions if position in found]


def list_session_ids(
    connection: Connection, *, owners: Collection[str], flow_id: str | None = None, flows: Collection[str] | None = None
) -> list[str]:
    """Ids of these owners' sessions that hold messages, each once: the thousand that were used last, the last first."""
    found: list[Any] = []
    for owner, flow in _list_pairs(connection, owners, flow_id, flows):
        mine = select(_s.session_id, _s.updated_at).where(_s.owner == owner, _s.flow_id == flow, _s.messages > 0)
        found += connection.execute(mine.order_by(_s.updated_at.desc()).limit(1_000))
    found.sort(key=lambda row: row.updated_at, reverse=True)
    return list(dict.fromkeys(row.session_id for row in found[:1_000]))


def begin_deletion(connection: Connection, *, owners: Collection[str], by: str) -> int:
    """Records that all conversations of these owners are deleted, before they are; how many those are."""
    audit.record(connection, actor=by, action="conversations.deleted", subject=by)
    return connection.scalar(select(func.count()).where(_s.owner.in_(list(owners)))) or 0


def has_conversations(connection: Connection, *, owner: str) -> bool:
    return has_row(connection, _s.owner == owner)


def hand_over(connection: Connection, *, old: str, new: str, by: str) -> int:
    """Everything kept under one `Caller.key` is kept under another; how many conversations that were.

    For somebody who is known by another name now: the local owner who made the first account, a visitor whose browser
    has another cookie. A session's key is a digest of its owner too, so sessions are written anew, and their messages
    follow.
    """
    rows = connection.execute(select(tables.sessions).where(_s.owner == old)).mappings().all()
    for row in rows:
        key = make_session_key(row["flow_id"], new, row["session_id"])
        connection.execute(insert(tables.sessions).values({**row, "id": key, "owner": new}))
        connection.execute(update(tables.messages).where(_m.session == row["id"]).values(session=key))
        connection.execute(update(tables.run_contents).where(_c.session == row["id"]).values(session=key))
        connection.execute(update(tables.session_pins).where(_p.session == row["id"]).values(session=key, owner=new))
    connection.execute(delete(tables.sessions).where(_s.owner == old))
    for table in (tables.runs, tables.presets, tables.files):
        connection.execute(update(table).where(table.c.owner == old).values(owner=new))
    counted = tables.runs.c.counted_as
    connection.execute(update(tables.runs).where(counted == old).values(counted_as=new))
    if rows:
        audit.record(connection, actor=by, action="conversations.handed_over", subject=f"{old} {new}")
    return len(rows)
