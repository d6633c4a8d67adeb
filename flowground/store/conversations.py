"""Conversations. A session is found by flow, owner (`Caller.key`) and session id: never by its id alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Integer, bindparam, case, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flowground.messages import Message
from flowground.store import messages, tables
from flowground.store.messages import State, StoredMessage, TraceStep
from flowground.store.runs import RunRecord, add_run
from flowground.store.statements import Statement, one_way
from flowground.store.times import moment

__all__ = [
    "SessionInfo",
    "State",
    "StoredMessage",
    "TraceStep",
    "begin_turn",
    "delete_session",
    "finish_turn",
    "history",
    "list_messages",
    "list_sessions",
    "rename_session",
]

TITLE_CHARS = 80
_s = tables.sessions.c
_m = tables.messages.c
_HERE = (
    _s.flow_id == bindparam("flow_id"),
    _s.owner == bindparam("owner"),
    _s.session_id == bindparam("session_id"),
)
_SESSION = select(_s.id).where(*_HERE).scalar_subquery()


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """`title` is the first user message's beginning, or what the session was renamed to; `messages` counts all."""

    session_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int


def _upsert() -> dict[str, Statement]:
    """Makes the session, or counts one more message into it."""
    columns = ("flow_id", "owner", "session_id", "title", "created_at", "updated_at", "messages")
    statements = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        made = dialect.insert(tables.sessions).values({column: bindparam(column) for column in columns}).inline()
        statements[name] = Statement(
            made.on_conflict_do_update(
                index_elements=[_s.flow_id, _s.owner, _s.session_id],
                set_={
                    "title": case((_s.title == literal_column("''"), made.excluded.title), else_=_s.title),
                    "updated_at": made.excluded.updated_at,
                    "messages": _s.messages + made.excluded.messages,
                },
            )
        )
    return statements


_BEGIN = _upsert()
_ADD_MESSAGE = Statement(
    # From a select: where the session was deleted meanwhile, nothing is added and nothing fails.
    insert(tables.messages)
    .from_select(
        ["session", *messages.COLUMNS],
        select(_s.id, *(bindparam(f"m_{name}", type_=_m[name].type) for name in messages.COLUMNS)).where(*_HERE),
    )
    .inline()
)
_TOUCH = Statement(
    update(tables.sessions)
    .where(*_HERE)
    .values(updated_at=bindparam("updated_at"), messages=_s.messages + bindparam("more", type_=Integer))
)
_HISTORY = Statement(
    select(_m.role, _m.text)
    .where(
        _m.session == _SESSION,
        _m.state != literal_column("'failed'"),
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
    select(*(_m[name] for name in messages.COLUMNS))
    .where(_m.session == _SESSION)
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)


@one_way
def begin_turn(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message: StoredMessage | None
) -> None:
    """Stores the user's message before the run and makes the session when it is new.

    None: the run has no message, but its answers will need the session; it is listed once it has some.
    """
    here = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
    at = message.created_at.timestamp() if message else time.time()
    title = title_of(message.text) if message else ""
    session = {"title": title, "created_at": at, "updated_at": at, "messages": 1 if message else 0}
    _BEGIN[connection.dialect.name].run(connection, here | session)
    if message:
        _add_message(connection, here, messages.to_row(message))


@one_way
def finish_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    answers: Sequence[StoredMessage],
    run: RunRecord,
) -> None:
    """Stores the answers and the run. Answers to a session that was deleted meanwhile are dropped, the run stays."""
    if answers:
        here = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
        rows = [messages.to_row(answer) for answer in answers]
        _TOUCH.run(connection, here | {"updated_at": rows[-1]["created_at"], "more": len(rows)})
        for row in rows:
            _add_message(connection, here, row)
    add_run(connection, run=run)


def history(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, before: str | None, limit: int
) -> list[Message]:
    """The last `limit` messages before the message with id `before` (None: of all), oldest first, none that failed."""
    found = _HISTORY.rows(
        connection,
        {"flow_id": flow_id, "owner": owner, "session_id": session_id, "before": before, "limit": limit},
    )
    return [Message(role, text) for role, text in reversed(found)]


def list_messages(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, limit: int = 1000
) -> list[StoredMessage]:
    """The session's last `limit` messages, oldest first; empty for a session that is not there."""
    found = _LIST_MESSAGES.rows(
        connection, {"flow_id": flow_id, "owner": owner, "session_id": session_id, "limit": limit}
    )
    return [messages.from_row(row) for row in reversed(found)]


def list_sessions(connection: Connection, *, flow_id: str, owner: str, limit: int = 50) -> list[SessionInfo]:
    """The owner's sessions with this flow, the one used last first."""
    found = connection.execute(
        select(_s.session_id, _s.title, _s.created_at, _s.updated_at, _s.messages)
        .where(_s.flow_id == flow_id, _s.owner == owner, _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(limit)
    )
    return [
        SessionInfo(session_id, title, moment(created), moment(updated), count)
        for session_id, title, created, updated, count in found
    ]


def rename_session(connection: Connection, *, flow_id: str, owner: str, session_id: str, title: str) -> bool:
    """False when the owner has no such session."""
    here = _s.flow_id == flow_id, _s.owner == owner, _s.session_id == session_id
    return connection.execute(update(tables.sessions).where(*here).values(title=title_of(title))).rowcount == 1


def delete_session(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> bool:
    """Deletes the session with all its messages. False when the owner has no such session."""
    here = _s.flow_id == flow_id, _s.owner == owner, _s.session_id == session_id
    return connection.execute(delete(tables.sessions).where(*here)).rowcount == 1


def title_of(text: str) -> str:
    """One line of at most 80 characters."""
    line = " ".join(text[: TITLE_CHARS * 8].split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


def _add_message(connection: Connection, here: dict[str, str], row: dict[str, object]) -> None:
    _ADD_MESSAGE.run(connection, here | {f"m_{name}": value for name, value in row.items()})
