"""Conversations. A session is found by flow, owner (`Caller.key`) and session id: never by its id alone."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from flowground.messages import Message
from flowground.store import tables
from flowground.store.runs.records import (
    MESSAGE_COLUMNS,
    RunRecord,
    StoredMessage,
    make_message_row,
    make_run_row,
    read_message_rows,
)
from flowground.store.sql import Statement, make_storable, mark_one_way, read_moment
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
_HAS_NO_END = ~(
    select(literal_column("1"))
    .where(
        _r.id == bindparam("run_id"), _r.status.not_in([literal_column("'running'"), literal_column("'interrupted'")])
    )
    .exists()
)
_TOUCH = Statement(
    update(tables.sessions)
    .where(_s.id == bindparam("session"), _HAS_NO_END)
    .values(
        updated_at=bindparam("updated_at"),
        messages=_s.messages
        + 1
        - select(func.count()).where(_m.id == bindparam("id")).correlate(None).scalar_subquery(),  # it was interrupted
    )
)
_ADD_QUESTION = Statement(
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


def _write_answer(dialect: Any) -> Statement:
    """Adds an answer of a run that has no end yet; takes the place of what an interrupted one left."""
    added = (
        dialect.insert(tables.messages)
        .from_select(
            ["session", *MESSAGE_COLUMNS],
            select(_s.id, *(bindparam(name, type_=_m[name].type) for name in MESSAGE_COLUMNS)).where(
                _s.id == bindparam("session"), _HAS_NO_END
            ),
        )
        .inline()
    )
    late = ("text", "state", "model", "input_tokens", "output_tokens", "seconds", "error")
    return Statement(
        added.on_conflict_do_update(
            index_elements=[_m.id],
            set_={name: added.excluded[name] for name in late},
            where=_m.state == literal_column("'interrupted'"),
        )
    )


def _write_run(dialect: Any) -> Statement:
    """Adds a run, or ends the one that is there. One that was called interrupted stays so, and finished late."""
    ended = dialect.insert(tables.runs).values({column.name: bindparam(column.name) for column in _r})
    running = _r.status == literal_column("'running'")
    return Statement(
        ended.on_conflict_do_update(
            index_elements=[_r.id],
            set_={
                "status": case((running, ended.excluded.status), else_=_r.status),
                "error_code": case((running, ended.excluded.error_code), else_=literal_column("'finished_late'")),
                **{name: ended.excluded[name] for name in ("seconds", "input_tokens", "output_tokens")},
            },
            where=_r.status.in_([literal_column("'running'"), literal_column("'interrupted'")]),
        )
    )


_ADD_ANSWER = {"sqlite": _write_answer(sqlite), "postgresql": _write_answer(postgresql)}
_PUT_RUN = {"sqlite": _write_run(sqlite), "postgresql": _write_run(postgresql)}
_ADD_REQUEST = Statement(
    insert(tables.run_contents)
    .from_select(
        ["session", "run_id", "request"],
        select(_s.id, bindparam("run_id", type_=_c.run_id.type), bindparam("request", type_=_c.request.type)).where(
            _s.id == bindparam("session")
        ),
    )
    .inline()
)
_CLEAR_TEXTS = Statement(update(tables.run_contents).where(_c.run_id == bindparam("run_id")).values(answers=null()))
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
_FIND_MESSAGE = Statement(select(_m.id).where(_m.id == bindparam("id")))
_FIND_RUN = Statement(select(_r.status).where(_r.id == bindparam("id")))


def make_session_key(flow_id: str, owner: str, session_id: str) -> str:
    """The key of a session. Lengths stand before the parts, so that no two sessions spell the same text."""
    spelt = f"{len(flow_id)}:{flow_id}{len(owner)}:{owner}{session_id}"
    return blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _has_begun(
    connection: Connection, *, message: StoredMessage | None, run: RunRecord | None = None, **_: Any
) -> bool:
    if run is not None:
        return bool(_FIND_RUN.fetch(connection, {"id": run.id}))
    return message is not None and bool(_FIND_MESSAGE.fetch(connection, {"id": message.id}))


def _has_ended(connection: Connection, *, run: RunRecord, **_: Any) -> bool:
    return any(status != "running" for (status,) in _FIND_RUN.fetch(connection, {"id": run.id}))


@mark_one_way(landed=_has_begun)
def begin_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message: StoredMessage | None,
    run: RunRecord | None = None,
    request: str | None = None,
) -> None:
    """Stores the user's message and the run that begins, and makes the session when it is new.

    `message` None: the run has no message, but its answers will need the session; it is listed once it has some.
    `request` is JSON of what was asked beside the message; it goes when the conversation goes. No secret belongs into
    it.
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
        _ADD_QUESTION.run(connection, make_message_row(message, session=session))
    if run:
        _PUT_RUN[connection.dialect.name].run(connection, make_run_row(run))
    if run and request:
        _ADD_REQUEST.run(connection, {"run_id": run.id, "session": session, "request": request})


@mark_one_way(landed=_has_ended, stays=True)
def finish_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    answers: Sequence[StoredMessage],
    run: RunRecord,
    question: str = "",
    has_texts: bool = False,
) -> None:
    """Stores the answers and the run's end. Answers to a session that was deleted meanwhile are dropped, the run stays.

    A run that has its end already keeps it, with its answers. One that was called interrupted stays so, and its
    answers take the place of what was left. `question` is the message that the run's trace may repeat; `has_texts`:
    what was said so far was kept (`progress.keep_texts`), and need not be any more.
    """
    session = make_session_key(flow_id, owner, session_id)
    kind = connection.dialect.name
    for answer in answers:
        at = answer.created_at.timestamp()
        _TOUCH.run(connection, {"session": session, "updated_at": at, "id": answer.id, "run_id": run.id})
        row = make_message_row(answer, session=session, question=question)
        row["run_id"] = run.id
        _ADD_ANSWER[kind].run(connection, row)
    _PUT_RUN[kind].run(connection, make_run_row(run))
    if has_texts:
        _CLEAR_TEXTS.run(connection, {"run_id": run.id})


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
    return connection.execute(update(tables.sessions).where(here).values(title=_make_title(title))).rowcount == 1


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


def _make_title(text: str) -> str:
    """One line of at most 80 characters."""
    return cut(" ".join(make_storable(text[: TITLE_CHARS * 8]).split()), TITLE_CHARS)
