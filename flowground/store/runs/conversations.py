"""Conversations. A session is found by flow, owner (`Caller.key`) and session id: never by its id alone."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, case, delete, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flowground.messages import Message
from flowground.store import tables
from flowground.store.runs.records import (
    MESSAGE_COLUMNS,
    RunRecord,
    StoredMessage,
    make_message_row,
    make_run_row,
    read_message_row,
)
from flowground.store.sql import Statement, make_storable, mark_one_way, read_moment
from flowground.words import cut

TITLE_CHARS = 80
MOST_HISTORY = 3_000_000
"""Characters of a history after which no older messages are read."""
_PAGE = 100
"""Messages of a history that are read at once."""
_s = tables.sessions.c
_m = tables.messages.c
_o = tables.turn_overrides.c


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """`title` is the first user message's beginning, or what the session was renamed to; `messages` counts all."""

    session_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int


def _write_begin(dialect: Any) -> Statement:
    """Makes the session, or counts one more message into it: the one statement that the databases spell apart."""
    made = dialect.insert(tables.sessions)
    return Statement(
        made.on_conflict_do_update(
            index_elements=[_s.id],
            set_={
                "title": case((_s.title == literal_column("''"), made.excluded.title), else_=_s.title),
                "updated_at": made.excluded.updated_at,
                "messages": _s.messages + made.excluded.messages,
            },
        )
    )


_BEGIN = {"sqlite": _write_begin(sqlite), "postgresql": _write_begin(postgresql)}
_TOUCH = Statement(
    update(tables.sessions)
    .where(_s.id == bindparam("session"))
    .values(updated_at=bindparam("updated_at"), messages=_s.messages + bindparam("more", type_=Integer))
)
_ADD_MESSAGE = Statement(
    # From a select: where the session was deleted meanwhile, nothing is added and nothing fails.
    insert(tables.messages)
    .from_select(
        ["session", *MESSAGE_COLUMNS],
        select(_s.id, *(bindparam(name, type_=_m[name].type) for name in MESSAGE_COLUMNS)).where(
            _s.id == bindparam("session")
        ),
    )
    .inline()
)
_ADD_OVERRIDES = Statement(insert(tables.turn_overrides))
_ADD_RUN = Statement(insert(tables.runs))
_HISTORY = Statement(
    select(_m.role, _m.text, _m.id)
    .where(
        _m.session == bindparam("session"),
        _m.state != literal_column("'failed'"),
        or_(_m.state != literal_column("'stopped'"), _m.text != literal_column("''")),
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
_FIND_MESSAGE = Statement(select(_m.id).where(_m.id == bindparam("id")))
_FIND_RUN = Statement(select(tables.runs.c.id).where(tables.runs.c.id == bindparam("id")))


def make_session_key(flow_id: str, owner: str, session_id: str) -> str:
    """The key of a session. Lengths stand before the parts, so that no two sessions spell the same text."""
    spelt = f"{len(flow_id)}:{flow_id}{len(owner)}:{owner}{session_id}"
    return blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _has_question(connection: Connection, *, message: StoredMessage | None, **_: Any) -> bool:
    return message is not None and bool(_FIND_MESSAGE.fetch(connection, {"id": message.id}))


def _has_run(connection: Connection, *, run: RunRecord, **_: Any) -> bool:
    return bool(_FIND_RUN.fetch(connection, {"id": run.id}))


@mark_one_way(landed=_has_question)
def begin_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message: StoredMessage | None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Stores the user's message before the run and makes the session when it is new.

    None: the run has no message, but its answers will need the session; it is listed once it has some. `overrides` are
    those that the message is said with, to tell its very call again later; they go when it does. No secret belongs
    into them.
    """
    session = make_session_key(flow_id, owner, session_id)
    at = message.created_at.timestamp() if message else time.time()
    made = {
        "id": session,
        "flow_id": flow_id,
        "owner": owner,
        "session_id": make_storable(session_id),
        "title": _make_title(message.text) if message else "",
        "created_at": at,
        "updated_at": at,
        "messages": 1 if message else 0,
    }
    _BEGIN[connection.dialect.name].run(connection, made)
    if message:
        _ADD_MESSAGE.run(connection, make_message_row(message, session=session))
    if message and overrides:
        text = json.dumps(overrides, default=dict, allow_nan=False)
        _ADD_OVERRIDES.run(connection, {"message_id": message.id, "overrides": text})


@mark_one_way(landed=_has_run, stays=True)
def finish_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    answers: Sequence[StoredMessage],
    run: RunRecord,
) -> None:
    """Stores the answers and the run. Answers to a session that was deleted meanwhile are dropped, the run stays.

    A run that has its end already keeps it: nothing is stored.
    """
    if answers:
        session = make_session_key(flow_id, owner, session_id)
        touched = {"session": session, "updated_at": answers[-1].created_at.timestamp(), "more": len(answers)}
        _TOUCH.run(connection, touched)
        for answer in answers:
            _ADD_MESSAGE.run(connection, make_message_row(answer, session=session))
    _ADD_RUN.run(connection, make_run_row(run))


def read_history(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, before: str | None, limit: int
) -> list[Message]:
    """The last `limit` messages before the message with id `before` (None: of all), oldest first.

    Answers that failed are left out, and those that were stopped before they said anything. What a stopped answer did
    say is there: its reader saw it and may refer to it. Once they have over `MOST_HISTORY` characters no older ones are
    read: no prompt may be that long.
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
    found = _LIST_MESSAGES.fetch(connection, {"session": make_session_key(flow_id, owner, session_id), "limit": limit})
    return [read_message_row(row) for row in reversed(found)]


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
    return connection.execute(update(tables.sessions).where(here).values(title=_make_title(title))).rowcount == 1


def delete_session(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> bool:
    """Deletes the session with all its messages. False when the owner has no such session."""
    here = _s.id == make_session_key(flow_id, owner, session_id)
    return connection.execute(delete(tables.sessions).where(here)).rowcount == 1


def find_overrides(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> dict[str, dict[str, Any]]:
    """The overrides of a message of this owner's session; empty where it had none, or is not there."""
    text = connection.scalar(
        select(_o.overrides)
        .join_from(tables.turn_overrides, tables.messages, _m.id == _o.message_id)
        .where(_o.message_id == message_id, _m.session == make_session_key(flow_id, owner, session_id))
    )
    found: dict[str, dict[str, Any]] = json.loads(text) if text else {}
    return found


def _make_title(text: str) -> str:
    """One line of at most 80 characters."""
    return cut(" ".join(make_storable(text[: TITLE_CHARS * 8]).split()), TITLE_CHARS)
