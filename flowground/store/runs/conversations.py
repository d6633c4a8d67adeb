"""Conversations. A session is found by flow, owner (`Caller.key`) and session id: never by its id alone."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from flowground.messages import Message
from flowground.store import tables
from flowground.store.runs.records import (
    MESSAGE_COLUMNS,
    StoredMessage,
    read_message_rows,
)
from flowground.store.sql import Statement, make_storable, read_moment
from flowground.words import cut

TITLE_CHARS = 80
MOST_HISTORY = 3_000_000
"""Characters of a history after which no older messages are read."""
_MOST_ANSWERS = 5
"""Read beyond a limit, so that the trace of the oldest answer finds its question."""
_PAGE = 100
"""Messages of a history that are read at once."""
_s = tables.sessions.c
_m = tables.messages.c
_o = tables.turn_overrides.c
_r = tables.runs.c
_c = tables.run_contents.c


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """`title` is the first user message's beginning, or what the session was renamed to; `messages` counts all."""

    session_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int


_HISTORY = Statement(
    select(_m.role, _m.text, _m.id)
    .where(
        _m.session == bindparam("session"),
        _m.state != literal_column("'failed'"),
        or_(
            _m.state.not_in([literal_column("'stopped'"), literal_column("'interrupted'")]),
            _m.text != literal_column("''"),
        ),
        _m.position
        < func.coalesce(
            select(_m.position).where(_m.id == bindparam("before")).scalar_subquery(),
            literal_column("9223372036854775807"),
        ),
    )
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)
_LIST_MESSAGES = Statement(
    select(*(_m[name] for name in MESSAGE_COLUMNS))
    .where(_m.session == bindparam("session"))
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)


def make_session_key(flow_id: str, owner: str, session_id: str) -> str:
    """The key of a session. Lengths stand before the parts, so that no two sessions spell the same text."""
    spelt = f"{len(flow_id)}:{flow_id}{len(owner)}:{owner}{session_id}"
    return blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read_history(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, before: str | None, limit: int
) -> list[Message]:
    """The last `limit` messages before the message with id `before` (None: of all), oldest first.

    Answers that failed are left out, and those that were stopped or interrupted before they said anything. What such an
    answer did say is there: its reader saw it and may refer to it. Once they have over `MOST_HISTORY` characters no
    older ones are read: no prompt may be that long.
    """
    session = make_session_key(flow_id, owner, session_id)
    found: list[Message] = []
    size = 0
    while len(found) < limit and size <= MOST_HISTORY:
        wanted = min(limit - len(found), _PAGE)
        rows = _HISTORY.fetch(connection, {"session": session, "before": before, "limit": wanted})
        found += [Message(role, text) for role, text, _ in rows]
        size += sum(len(text) for _, text, _ in rows)
        if len(rows) < wanted:
            break
        before = rows[-1][2]
    return found[::-1]


def list_messages(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, limit: int = 1000
) -> list[StoredMessage]:
    """The session's last `limit` messages, oldest first; empty for a session that is not there."""
    session = make_session_key(flow_id, owner, session_id)
    found = _LIST_MESSAGES.fetch(connection, {"session": session, "limit": limit + _MOST_ANSWERS})
    return read_message_rows(found[::-1])[-limit:]


def list_sessions(connection: Connection, *, flow_id: str, owner: str, limit: int = 50) -> list[SessionInfo]:
    """The owner's sessions with this flow, the one used last first."""
    found = connection.execute(
        select(_s.session_id, _s.title, _s.created_at, _s.updated_at, _s.messages)
        .where(_s.flow_id == flow_id, _s.owner == owner, _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.created_at.desc())
        .limit(limit)
    )
    return [
        SessionInfo(session_id, title, read_moment(created), read_moment(updated), count)
        for session_id, title, created, updated, count in found
    ]


def rename_session(connection: Connection, *, flow_id: str, owner: str, session_id: str, title: str) -> bool:
    """False when the owner has no such session."""
    here = _s.id == make_session_key(flow_id, owner, session_id)
    return connection.execute(update(tables.sessions).where(here).values(title=make_title(title))).rowcount == 1


def delete_session(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> bool:
    """Deletes the session with all its messages. False when the owner has no such session."""
    here = _s.id == make_session_key(flow_id, owner, session_id)
    return connection.execute(delete(tables.sessions).where(here)).rowcount == 1


def find_overrides(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> dict[str, dict[str, Any]]:
    """The overrides of a message of this owner's session; empty where it had none, or is not there.

    They stand in the run's request; of releases before, in a table of their own.
    """
    session = make_session_key(flow_id, owner, session_id)
    request = connection.scalar(
        select(_c.request)
        .join_from(tables.run_contents, tables.messages, _m.run_id == _c.run_id)
        .where(_m.id == message_id, _m.session == session)
    )
    if request:
        asked: dict[str, dict[str, Any]] = json.loads(request).get("tweaks", {})
        return asked
    text = connection.scalar(
        select(_o.overrides)
        .join_from(tables.turn_overrides, tables.messages, _m.id == _o.message_id)
        .where(_o.message_id == message_id, _m.session == session)
    )
    found: dict[str, dict[str, Any]] = json.loads(text) if text else {}
    return found


def make_title(text: str) -> str:
    """One line of at most 80 characters."""
    return cut(" ".join(make_storable(text[: TITLE_CHARS * 8]).split()), TITLE_CHARS)
