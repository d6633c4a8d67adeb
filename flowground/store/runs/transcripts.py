"""One owner's messages across flows and sessions, for programs that read back what was said."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from flowground.store import audit, tables
from flowground.store.runs import messages
from flowground.store.runs.messages import StoredMessage
from flowground.store.sql import to_moment

_s = tables.sessions.c
_m = tables.messages.c


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One message's position among all, and the run it belongs to."""

    position: int
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Said:
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
) -> list[Whereabouts]:
    """Where the owner's messages stand, in the order they were said (or the other way round), at most `limit` of them.

    `flows` limits them to these; None: whatever flow they were said to.
    """
    wanted = (
        select(_m.position, _m.run_id)
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_s.owner == owner)
        .order_by(_m.position.desc() if newest_first else _m.position)
        .limit(limit)
    )
    if flow_id is not None:
        wanted = wanted.where(_s.flow_id == flow_id)
    if session_id is not None:
        wanted = wanted.where(_s.session_id == session_id)
    if flows is not None:
        wanted = wanted.where(_s.flow_id.in_(list(flows)))
    return [Whereabouts(position, run_id) for position, run_id in connection.execute(wanted)]


def read_messages(connection: Connection, *, owner: str, positions: Sequence[int]) -> list[Said]:
    """The owner's messages at these positions and in their order; what was deleted meanwhile is left out."""
    wanted = (
        select(_m.position, _s.flow_id, _s.session_id, *(_m[name] for name in messages.COLUMNS))
        .join_from(tables.messages, tables.sessions, _m.session == _s.id)
        .where(_s.owner == owner, _m.position.in_(positions))
    )
    found = {at: Said(flow, session, messages.from_row(row)) for at, flow, session, *row in connection.execute(wanted)}
    return [found[position] for position in positions if position in found]


def session_ids(
    connection: Connection,
    *,
    owner: str,
    flow_id: str | None = None,
    flows: Collection[str] | None = None,
    limit: int = 1000,
) -> list[str]:
    """Ids of the owner's sessions that hold messages, the one used last first, each once."""
    wanted = select(_s.session_id).where(_s.owner == owner, _s.messages > 0).order_by(_s.updated_at.desc()).limit(limit)
    if flow_id is not None:
        wanted = wanted.where(_s.flow_id == flow_id)
    if flows is not None:
        wanted = wanted.where(_s.flow_id.in_(list(flows)))
    return list(dict.fromkeys(connection.scalars(wanted)))


def delete_sessions(connection: Connection, *, owner: str, session_id: str) -> int:
    """Deletes the owner's sessions of this id, in every flow, with all their messages; how many there were."""
    return connection.execute(tables.sessions.delete().where(_s.owner == owner, _s.session_id == session_id)).rowcount


def conversations_of(connection: Connection, *, owners: Collection[str]) -> list[dict[str, Any]]:
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
        said.append({"role": role, "text": text, "state": state, "at": to_moment(at).isoformat()} | why)
    return list(sessions.values())


def delete_all(connection: Connection, *, owners: Collection[str], by: str) -> int:
    """Deletes every session of these owners with all messages; how many there were."""
    deleted = connection.execute(tables.sessions.delete().where(_s.owner.in_(list(owners)))).rowcount
    audit.record(connection, actor=by, action="conversations.deleted", subject=by)
    return deleted
