"""All that one owner (`Caller.key`) said, across flows and sessions: read back, deleted, handed to another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from flowground.store import audit, tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.runs.records import MESSAGE_COLUMNS, StoredMessage, read_message_rows
from flowground.store.sql import has_row, read_moment

_s = tables.sessions.c
_m = tables.messages.c
_c = tables.run_contents.c


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
    owner: str,
    flow_id: str | None = None,
    session_id: str | None = None,
    flows: Collection[str] | None = None,
    newest_first: bool = False,
    limit: int = 1000,
) -> list[MessagePosition]:
    """Where the owner's messages stand, in the order they were said (or the other way round), at most `limit` of them.

    `flows` limits them to these; None: whatever flow they were said to.
    """
    wanted = (
        select(_m.position, _m.run_id)
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(*_is_in(owner, flow_id, flows))
        .order_by(_m.position.desc() if newest_first else _m.position)
        .limit(limit)
    )
    if session_id is not None:
        wanted = wanted.where(_s.session_id == session_id)
    return [MessagePosition(position, run_id) for position, run_id in connection.execute(wanted)]


def read_messages(connection: Connection, *, owner: str, positions: Sequence[int]) -> list[PlacedMessage]:
    """The owner's messages at these positions and in their order; what was deleted meanwhile is left out."""
    wanted = (
        select(_m.position, _s.flow_id, _s.session_id, *(_m[name] for name in MESSAGE_COLUMNS))
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_s.owner == owner, _m.position.in_(positions))
    )
    rows = connection.execute(wanted).all()
    messages = read_message_rows([row[3:] for row in rows])
    found = {
        position: PlacedMessage(flow_id, session_id, message)
        for (position, flow_id, session_id, *_), message in zip(rows, messages, strict=True)
    }
    return [found[position] for position in positions if position in found]


def list_session_ids(
    connection: Connection,
    *,
    owner: str,
    flow_id: str | None = None,
    flows: Collection[str] | None = None,
    limit: int = 1000,
) -> list[str]:
    """Ids of the owner's sessions that hold messages, the one used last first, each once."""
    wanted = select(_s.session_id).where(*_is_in(owner, flow_id, flows), _s.messages > 0)
    return list(dict.fromkeys(connection.scalars(wanted.order_by(_s.updated_at.desc()).limit(limit))))


def export_conversations(connection: Connection, *, owners: Collection[str]) -> list[dict[str, Any]]:
    """Everything these owners' sessions hold, as JSON values: what was said and when, without traces."""
    sessions: dict[str, dict[str, Any]] = {}
    found = connection.execute(
        select(_s.id, _s.flow_id, _s.session_id, _s.title, _m.role, _m.text, _m.state, _m.created_at, _m.error)
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_s.owner.in_(list(owners)))
        .order_by(_m.position)
    )
    for key, flow, session, title, role, text, state, at, error in found:
        said = sessions.setdefault(key, {"flow": flow, "session": session, "title": title, "messages": []})["messages"]
        why = {} if error is None else {"error": error}
        said.append({"role": role, "text": text, "state": state, "at": read_moment(at).isoformat()} | why)
    return list(sessions.values())


def delete_sessions(connection: Connection, *, owner: str, session_id: str) -> int:
    """Deletes the owner's sessions of this id, in every flow, with all their messages; how many there were."""
    here = delete(tables.sessions).where(_s.owner == owner, _s.session_id == session_id)
    return connection.execute(here).rowcount


def delete_all(connection: Connection, *, owners: Collection[str], by: str) -> int:
    """Deletes every session of these owners with all messages; how many there were."""
    deleted = connection.execute(delete(tables.sessions).where(_s.owner.in_(list(owners)))).rowcount
    audit.record(connection, actor=by, action="conversations.deleted", subject=by)
    return deleted


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
    connection.execute(delete(tables.sessions).where(_s.owner == old))
    for table in (tables.runs, tables.presets):
        connection.execute(update(table).where(table.c.owner == old).values(owner=new))
    if rows:
        audit.record(connection, actor=by, action="conversations.handed_over", subject=f"{old} {new}")
    return len(rows)


def _is_in(owner: str, flow_id: str | None, flows: Collection[str] | None) -> list[ColumnElement[bool]]:
    """That a session is the owner's, of this flow where one is given, and of one of `flows` where they are given."""
    conditions = [_s.owner == owner]
    if flow_id is not None:
        conditions.append(_s.flow_id == flow_id)
    if flows is not None:
        conditions.append(_s.flow_id.in_(list(flows)))
    return conditions
