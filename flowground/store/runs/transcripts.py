"""All that one owner said, across flows and sessions: read back, counted, handed to another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from flowground.store import audit, tables
from flowground.store.runs.conversations import IS_SHOWN, find_session_keys, make_session_key
from flowground.store.runs.records import MESSAGE_COLUMNS, StoredMessage, read_message_rows
from flowground.store.sql import has_row, make_storable

_s = tables.sessions.c
_m = tables.messages.c
_c = tables.run_contents.c
_p = tables.session_pins.c


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
    limit: int = 1000,
) -> list[MessagePosition]:
    """Where these owners' messages stand, in the order they were said or the other way round, at most `limit` of them.
    Those that are put aside are left out.

    `flows` limits them to these; None: whatever flow they were said to.
    """
    wanted = (
        select(_m.position, _m.run_id)
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(*_is_in(owners, flow_id, flows), IS_SHOWN)
        .order_by(_m.position.desc() if newest_first else _m.position)
        .limit(limit)
    )
    if session_id is not None:
        keys = find_session_keys(connection, owners=owners, session_id=session_id)
        wanted = wanted.where(_s.id.in_(keys), _s.session_id == make_storable(session_id))
    return [MessagePosition(position, run_id) for position, run_id in connection.execute(wanted)]


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
    wanted = select(_s.session_id).where(*_is_in(owners, flow_id, flows), _s.messages > 0)
    return list(dict.fromkeys(connection.scalars(wanted.order_by(_s.updated_at.desc()).limit(1_000))))


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


def _is_in(owners: Collection[str], flow_id: str | None, flows: Collection[str] | None) -> list[ColumnElement[bool]]:
    """That a session is one of these owners', and of this flow or one of these `flows` where they are given."""
    conditions: list[ColumnElement[bool]] = [_s.owner.in_(list(owners))]
    if flow_id is not None:
        conditions.append(_s.flow_id == make_storable(flow_id))
    if flows is not None:
        conditions.append(_s.flow_id.in_(list(flows)))
    return conditions
