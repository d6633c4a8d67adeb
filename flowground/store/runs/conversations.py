"""Conversations. A session is found by flow, owner (`Caller.key`) and session id: never by its id alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, case, delete, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flowground.messages import Message
from flowground.store import tables
from flowground.store.runs import messages
from flowground.store.runs.messages import State, StoredMessage, TraceStep
from flowground.store.runs.runs import RunRecord, add_run
from flowground.store.sql import Statement, make_storable, one_way, to_moment

__all__ = [
    "SessionInfo",
    "State",
    "StoredMessage",
    "TraceStep",
    "address",
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


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """`title` is the first user message's beginning, or what the session was renamed to; `messages` counts all."""

    session_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int


def _begin() -> dict[str, Statement]:
    """Makes the session, or counts one more message into it: the one statement that the databases spell apart."""
    columns = ("id", "flow_id", "owner", "session_id", "title", "created_at", "updated_at", "messages")
    statements = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        made = dialect.insert(tables.sessions).values({column: bindparam(column) for column in columns})
        statements[name] = Statement(
            made.on_conflict_do_update(
                index_elements=[_s.id],
                set_={
                    "title": case((_s.title == literal_column("''"), made.excluded.title), else_=_s.title),
                    "updated_at": made.excluded.updated_at,
                    "messages": _s.messages + made.excluded.messages,
                },
            )
        )
    return statements


_BEGIN = _begin()
_TOUCH = Statement(
    update(tables.sessions)
    .where(_s.id == bindparam("session"))
    .values(updated_at=bindparam("updated_at"), messages=_s.messages + bindparam("more", type_=Integer))
)
_ADD = Statement(
    # From a select: where the session was deleted meanwhile, nothing is added and nothing fails.
    insert(tables.messages)
    .from_select(
        ["session", *messages.COLUMNS],
        select(_s.id, *(bindparam(name, type_=_m[name].type) for name in messages.COLUMNS)).where(
            _s.id == bindparam("session")
        ),
    )
    .inline()
)
MOST_HISTORY = 3_000_000
"""Characters of a history after which no older messages are read."""
_PAGE = 100
"""Messages of a history that are read at once."""
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
_FIND_MESSAGE = Statement(select(_m.id).where(_m.id == bindparam("id")))
_FIND_RUN = Statement(select(tables.runs.c.id).where(tables.runs.c.id == bindparam("id")))
_LIST = Statement(
    select(*(_m[name] for name in messages.COLUMNS))
    .where(_m.session == bindparam("session"))
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)


def address(flow_id: str, owner: str, session_id: str) -> str:
    """The key of a session. Lengths stand before the parts, so that no two sessions spell the same text."""
    spelt = f"{len(flow_id)}:{flow_id}{len(owner)}:{owner}{session_id}"
    return blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _question_landed(connection: Connection, *, message: StoredMessage | None, **_: Any) -> bool:
    return message is not None and bool(_FIND_MESSAGE.fetch(connection, {"id": message.id}))


def _run_landed(connection: Connection, *, run: RunRecord, **_: Any) -> bool:
    return bool(_FIND_RUN.fetch(connection, {"id": run.id}))


@one_way(landed=_question_landed)
def begin_turn(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message: StoredMessage | None
) -> None:
    """Stores the user's message before the run and makes the session when it is new.

    None: the run has no message, but its answers will need the session; it is listed once it has some.
    """
    session = address(flow_id, owner, session_id)
    at = message.created_at.timestamp() if message else time.time()
    made = {
        "id": session,
        "flow_id": flow_id,
        "owner": owner,
        "session_id": make_storable(session_id),
        "title": title_of(message.text) if message else "",
        "created_at": at,
        "updated_at": at,
        "messages": 1 if message else 0,
    }
    _BEGIN[connection.dialect.name].run(connection, made)
    if message:
        _ADD.run(connection, messages.to_row(message, session=session))


@one_way(landed=_run_landed, stays=True)
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
        session = address(flow_id, owner, session_id)
        touched = {"session": session, "updated_at": answers[-1].created_at.timestamp(), "more": len(answers)}
        _TOUCH.run(connection, touched)
        for answer in answers:
            _ADD.run(connection, messages.to_row(answer, session=session))
    add_run(connection, run=run)


def history(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, before: str | None, limit: int
) -> list[Message]:
    """The last `limit` messages before the message with id `before` (None: of all), oldest first.

    Answers that failed are left out, and those that were stopped before they said anything. What a stopped answer did
    say is there: its reader saw it and may refer to it. Once they have over `MOST_HISTORY` characters no older ones are
    read: no prompt may be that long.
    """
    session = address(flow_id, owner, session_id)
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
    found = _LIST.fetch(connection, {"session": address(flow_id, owner, session_id), "limit": limit})
    return [messages.from_row(row) for row in reversed(found)]


def list_sessions(connection: Connection, *, flow_id: str, owner: str, limit: int = 50) -> list[SessionInfo]:
    """The owner's sessions with this flow, the one used last first."""
    found = connection.execute(
        select(_s.session_id, _s.title, _s.created_at, _s.updated_at, _s.messages)
        .where(_s.flow_id == flow_id, _s.owner == owner, _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.created_at.desc())
        .limit(limit)
    )
    return [
        SessionInfo(session_id, title, to_moment(created), to_moment(updated), count)
        for session_id, title, created, updated, count in found
    ]


def rename_session(connection: Connection, *, flow_id: str, owner: str, session_id: str, title: str) -> bool:
    """False when the owner has no such session."""
    here = _s.id == address(flow_id, owner, session_id)
    return connection.execute(update(tables.sessions).where(here).values(title=title_of(title))).rowcount == 1


def delete_session(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> bool:
    """Deletes the session with all its messages. False when the owner has no such session."""
    here = _s.id == address(flow_id, owner, session_id)
    return connection.execute(delete(tables.sessions).where(here)).rowcount == 1


def title_of(text: str) -> str:
    """One line of at most 80 characters."""
    line = " ".join(make_storable(text[: TITLE_CHARS * 8]).split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"
