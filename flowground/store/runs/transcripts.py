"""All messages of one owner: listed, read in parts, exported, counted, moved to another owner.

One conversation is read from its beginning to its end, without messages put aside (other versions of a question, and
what followed them). An export reads a person's conversations one after another, in any amount: messages, times and
ratings, without traces; it has the other versions too, and marks them.
"""

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
    update,
)

from flowground.core.citations import describe_kept, read_citations
from flowground.core.errors import InvalidRequest
from flowground.store import audit, tables
from flowground.store.runs import counters
from flowground.store.runs.conversations import IS_SHOWN, find_key, list_flows
from flowground.store.runs.journals import add_steps
from flowground.store.runs.records import (
    MESSAGE_COLUMNS,
    StoredMessage,
    read_message_row,
)
from flowground.store.runs.session_lists import IS_PINNED
from flowground.store.sql import Statement, make_storable, read_moment
from flowground.store.tables import LASTING_SECONDS

PART_MESSAGES = 200
"""Most messages of a part."""
PART_CHARS = 500_000
"""Characters after which a part takes no more messages."""
KEYS = 5_000
"""Conversations that are listed at once: finding the next ones reads all of the person's."""
SessionKey = tuple[float, int]
"""When a conversation began (seconds since 1970), and its key: the order of the list."""
_s = tables.sessions.c
_m = tables.messages.c
_IS_LASTING = _s.updated_at - _s.created_at > literal_column(str(LASTING_SECONDS))
_SLACK = 300.0
"""Seconds by which a message may be stored later than its time says, or a clock may be wrong."""
_AT_ONCE = 200
"""Sessions that begin at the same time may be in another order than their first messages: so many more are read."""
_FEW = 100
"""Up to so many sessions of an owner and flow are all read."""
_SHORT = 20
"""Sessions of at most so many messages are read together, at most `_ASKED` of them."""
_ASKED = 500
_STEP = 12
"""Messages that are read at once: each may be long."""
_LIST_AFTER = Statement(
    select(_m.position, *(_m[name] for name in MESSAGE_COLUMNS))
    .where(_m.session == bindparam("session"), IS_SHOWN, _m.position > bindparam("after"))
    .order_by(_m.position)
    .limit(bindparam("limit", type_=Integer))
)
_t = tables.ratings.c
_LIST_EXPORTED = Statement(
    select(
        *(_m.position, _m.role, _m.state, _m.text, _m.created_at, _m.error, _m.aside, _m.citations, _m.sender_name),
        *(_t.value, _t.labels, _t.reason, _t.shares_conversation, _t.at),
    )
    .outerjoin_from(tables.messages, tables.ratings, _t.message == _m.id)
    .where(_m.session == bindparam("session"), _m.position > bindparam("after"))
    .order_by(_m.position)
    .limit(bindparam("limit", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """A message with its flow and session."""

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
) -> list[Row[int, str | None]]:
    """Positions and runs of these owners' messages, oldest or newest first, at most `limit`, after the message with the
    id `after`. Messages put aside are left out.

    `flows` limits the list to these flows; None: all. Raises InvalidRequest where `after` is not a message of these
    owners. Reads no more conversations than may hold the listed messages.
    """
    place: Any = None
    near: list[Any]
    if after is not None and (place := _find_place(connection, owners, flows, after)) is None:
        raise InvalidRequest("`after` is the id of none of these messages.", hint="Take the last one's of a page.")
    if session_id is not None:
        here = (_s.owner.in_(list(owners)), _s.session_id == make_storable(session_id))
        rows = connection.execute(select(_s.id, _s.flow_id, _s.messages).where(*here)).all()
        near = [row for row in rows if (flows is None or row.flow_id in flows) and flow_id in (None, row.flow_id)]
    else:
        pairs = _list_pairs(connection, owners, flow_id, flows)
        near = _list_near(connection, pairs, at=place and place.created_at, newest_first=newest_first, limit=limit)
    wanted = select(_m.position, _m.run_id).where(IS_SHOWN)
    wanted = wanted.order_by(_m.position.desc() if newest_first else _m.position)

    def read(keys: Sequence[int], at_once: int) -> Iterator[Any]:
        """The messages of these sessions, `at_once` at a time, no further than the caller iterates."""
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
    return list(islice(merged, limit))


def _find_place(connection: Connection, owners: Collection[str], flows: Collection[str] | None, message_id: str) -> Any:
    wanted = select(_m.position, _m.created_at).join_from(tables.messages, tables.sessions, _m.session == _s.id)
    wanted = wanted.where(_m.id == message_id, _s.owner.in_(list(owners)))
    return connection.execute(wanted if flows is None else wanted.where(_s.flow_id.in_(list(flows)))).first()


def _list_pairs(
    connection: Connection, owners: Collection[str], flow_id: str | None, flows: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    """Each of these owners with each of these flows with which they have sessions."""
    for owner in owners:
        for flow in list_flows(connection, owner):
            if flow_id in (None, flow) and (flows is None or flow in flows):
                yield owner, flow


def _list_near(
    connection: Connection, pairs: Iterator[tuple[str, str]], *, at: float | None, newest_first: bool, limit: int
) -> list[Any]:
    """The sessions that can hold the first `limit` messages after this time; None: from the list's beginning.

    These are the sessions in use at that time and, of the later ones, as many as have so many messages: an index has
    them in the order of their begin or end.
    """
    going_on: list[Any] = []
    behind: list[Any] = []
    for owner, flow_id in pairs:
        mine = select(_s.id, _s.created_at, _s.updated_at, _s.messages).where(
            _s.owner == owner, _s.flow_id == flow_id, _s.messages > 0
        )
        few = connection.execute(mine.limit(_FEW + 1)).all()
        if len(few) <= _FEW:  # without trusting their times
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
        if reached >= limit:  # these sessions hold `limit` messages, all before the last one's end
            if newest_first:
                behind = [other for other in behind if other.updated_at >= row.created_at - _SLACK]
            else:
                behind = [other for other in behind if other.created_at <= row.updated_at + _SLACK]
            break
    return list({row.id: row for row in going_on + behind}.values())


def read_messages(connection: Connection, *, owners: Collection[str], positions: Sequence[int]) -> list[PlacedMessage]:
    """These owners' messages at these positions, in this order; deleted ones are left out."""
    wanted = (
        select(_m.position, _s.owner, _s.flow_id, _s.session_id, *(_m[name] for name in MESSAGE_COLUMNS))
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_m.position.in_(positions))
    )
    # With a condition for the owners, SQLite would first read all their sessions, perhaps a hundred thousand.
    rows = [row for row in connection.execute(wanted) if row.owner in owners]
    messages = add_steps(connection, [read_message_row(row[4:]) for row in rows])
    found = {
        position: PlacedMessage(flow_id, session_id, message)
        for (position, _, flow_id, session_id, *_), message in zip(rows, messages, strict=True)
    }
    return [found[position] for position in positions if position in found]


def list_session_ids(
    connection: Connection, *, owners: Collection[str], flow_id: str | None = None, flows: Collection[str] | None = None
) -> list[str]:
    """Ids of these owners' sessions with messages, each once: the thousand used last, the latest first."""
    found: list[Any] = []
    for owner, flow in _list_pairs(connection, owners, flow_id, flows):
        mine = select(_s.session_id, _s.updated_at).where(_s.owner == owner, _s.flow_id == flow, _s.messages > 0)
        found += connection.execute(mine.order_by(_s.updated_at.desc()).limit(1_000))
    found.sort(key=lambda row: row.updated_at, reverse=True)
    return list(dict.fromkeys(row.session_id for row in found[:1_000]))


def begin_deletion(connection: Connection, *, owners: Collection[str], by: str) -> int:
    """Records that all conversations of these owners will be deleted; returns their number."""
    audit.record(connection, actor=by, action="conversations.deleted", subject=by)
    return connection.scalar(select(func.count()).where(_s.owner.in_(list(owners)))) or 0


def hand_over(connection: Connection, *, old: str, new: str, by: str) -> int:
    """Moves everything of one owner to another; returns the number of conversations.

    For the local owner who made the first account.
    """
    count = connection.execute(update(tables.sessions).where(_s.owner == old).values(owner=new)).rowcount
    for table in (tables.session_pins, tables.shared_chats, tables.runs, tables.files):
        connection.execute(update(table).where(table.c.owner == old).values(owner=new))
    counted = tables.runs.c.counted_as
    connection.execute(update(tables.runs).where(counted == old).values(counted_as=new))
    counters.hand_over(connection, old=old, new=new)
    if count:
        audit.record(connection, actor=by, action="conversations.handed_over", subject=f"{old} {new}")
    return count


@dataclass(frozen=True, slots=True)
class ChatHead:
    """A conversation's heading: its id, title, time and pin."""

    session_id: str
    title: str
    created_at: datetime
    is_pinned: bool = False


def find_head(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> ChatHead | None:
    """The conversation's heading; None where the owner has no such conversation, or it is empty."""
    here = _s.id == find_key(connection, flow_id, owner, session_id)
    columns = (_s.title, _s.created_at, IS_PINNED.label("is_pinned"))
    row = connection.execute(select(*columns).where(here, _s.messages > 0)).first()
    return ChatHead(session_id, row.title, read_moment(row.created_at), bool(row.is_pinned)) if row else None


def read_part(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, after: int = 0
) -> tuple[list[StoredMessage], int | None]:
    """The messages after this position, oldest first and without their traces; and where the next part begins, None at
    the conversation's end."""
    session = find_key(connection, flow_id, owner, session_id)
    rows, end = _read_rows(connection, _LIST_AFTER, session, after)
    return [read_message_row(row[1:]) for row in rows], end


def _read_rows(connection: Connection, statement: Statement, session: int, after: int) -> tuple[list[Any], int | None]:
    """The rows of a part after this position, each with its text in fourth place; and where the next part begins."""
    found: list[Any] = []
    size = 0
    while True:
        rows = statement.fetch(connection, {"session": session, "after": after, "limit": _STEP})
        for row in rows:
            if len(found) >= PART_MESSAGES or size >= PART_CHARS:
                return found, after
            found.append(row)
            after, size = row[0], size + len(row[3])
        if len(rows) < _STEP:
            return found, None


@dataclass(frozen=True, slots=True)
class ExportedPart:
    """Some of a conversation's messages as JSON values. `end` is where the next part begins, None at the conversation's
    end."""

    flow: str
    session: str
    title: str
    messages: Sequence[dict[str, Any]]
    end: int | None


def list_keys(
    connection: Connection, *, owners: Collection[str], until: float, after: SessionKey = (0.0, 0)
) -> list[SessionKey]:
    """The next conversations of these owners that began until then, at most `KEYS`."""
    wanted = (
        select(_s.created_at, _s.id)
        .where(_s.owner.in_(list(owners)), _s.created_at <= until, tuple_(_s.created_at, _s.id) > after)
        .order_by(_s.created_at, _s.id)
        .limit(KEYS)
    )
    return [(row.created_at, row.id) for row in connection.execute(wanted)]


def read_exported(connection: Connection, *, key: int, after: int = 0) -> ExportedPart | None:
    """The conversation's messages after this position; None where it was deleted, or has none."""
    head = connection.execute(select(_s.flow_id, _s.session_id, _s.title).where(_s.id == key)).first()
    rows, end = _read_rows(connection, _LIST_EXPORTED, key, after)
    return ExportedPart(*head, list(map(_describe, rows)), end) if head and rows else None


def _describe(row: Sequence[Any]) -> dict[str, Any]:
    _, role, state, text, at, error, aside, citations, sender_name, *rating = row
    value, labels, reason, shares_conversation, rated_at = rating
    described: dict[str, Any] = {"role": role, "text": text, "state": state, "at": read_moment(at).isoformat()}
    if error is not None:
        described["error"] = error
    if aside is not None:
        described["is_put_aside"] = True
    if sender_name:
        described["sender_name"] = sender_name
    if citations is not None:
        described |= describe_kept(text, read_citations(citations))
    if value is not None:
        rated = {"value": value, "labels": labels.split(), "reason": reason}
        rated |= {"shares_conversation": bool(shares_conversation), "at": read_moment(rated_at).isoformat()}
        described["rating"] = rated
    return described
