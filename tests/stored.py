"""What stands in tables that the app itself only writes, or only counts, or reads in parts."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from flowground.access import Access, account
from flowground.core.caller import Caller
from flowground.core.events import Event, ToolReturned, TurnStarted
from flowground.store import tables
from flowground.store.runs import transcripts
from flowground.store.runs.conversations import IS_SHOWN, find_key
from flowground.store.runs.journals import add_steps, write_journal
from flowground.store.runs.records import MESSAGE_COLUMNS, RunRecord, StoredMessage, read_message_row, read_run_row
from flowground.store.sql import read_moment

_a = tables.audit.c
_r = tables.runs.c
_s = tables.sessions.c
_m = tables.messages.c


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: datetime
    actor: str
    action: str
    subject: str


def list_entries(connection: Connection, *, limit: int = 100) -> list[AuditEntry]:
    """The audit trail's last entries, newest first."""
    found = connection.execute(select(_a.at, _a.actor, _a.action, _a.subject).order_by(_a.id.desc()).limit(limit))
    return [AuditEntry(read_moment(at), actor, action, subject) for at, actor, action, subject in found]


def list_runs(connection: Connection, *, flow_id: str, limit: int = 100) -> list[RunRecord]:
    """A flow's last runs, newest first."""
    found = connection.execute(
        select(tables.runs).where(_r.flow_id == flow_id).order_by(_r.started_at.desc()).limit(limit)
    )
    return [read_run_row(row) for row in found]


def make_journal(answer: StoredMessage, question: StoredMessage | None = None) -> tuple[str, str]:
    """The argument of `finish_turn` by which the answer's steps and actions are stored."""
    key, text = (question.id, question.text) if question else ("", None)
    started = TurnStarted("", "", "", answer.created_at, key, text, {"Out": answer.id})
    events: list[Event] = [started, *answer.trace]
    for action in answer.actions:
        events += [action.called if isinstance(action, ToolReturned) else action.began, action]
    messages = [answer, question] if question else [answer]
    return answer.id, write_journal(events, None, messages=messages, names={}, is_replayed=False)


def list_running(connection: Connection) -> list[RunRecord]:
    """Running runs of all processes."""
    return [read_run_row(row) for row in connection.execute(select(tables.runs).where(_r.status == "running"))]


def list_messages(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, limit: int = 1000
) -> list[StoredMessage]:
    """The session's last `limit` messages that are shown, oldest first; empty for a session that is not there."""
    session = find_key(connection, flow_id, owner, session_id)
    wanted = select(*(_m[name] for name in MESSAGE_COLUMNS)).where(_m.session == session, IS_SHOWN)
    rows = connection.execute(wanted.order_by(_m.position)).all()
    return add_steps(connection, [read_message_row(row) for row in rows])[-limit:]


@dataclass(frozen=True, slots=True)
class StoredSession:
    session_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int


def list_sessions(connection: Connection, *, flow_id: str, owner: str, limit: int = 50) -> list[StoredSession]:
    """The owner's sessions with this flow that hold messages, the one used last first."""
    found = connection.execute(
        select(_s.session_id, _s.title, _s.created_at, _s.updated_at, _s.messages)
        .where(_s.flow_id == flow_id, _s.owner == owner, _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.created_at.desc())
        .limit(limit)
    )
    return [
        StoredSession(session_id, title, read_moment(created), read_moment(updated), count)
        for session_id, title, created, updated, count in found
    ]


def export_conversations(connection: Connection, *, owners: Collection[str]) -> list[dict[str, Any]]:
    """All that these owners said, put together from its parts."""
    found: list[dict[str, Any]] = []
    for _, key in transcripts.list_keys(connection, owners=owners, until=time.time() + 1e9):
        part = transcripts.read_exported(connection, key=key)
        if part:
            found.append({"flow": part.flow, "session": part.session, "title": part.title, "messages": []})
        while part:
            found[-1]["messages"] += part.messages
            part = transcripts.read_exported(connection, key=key, after=part.end) if part.end else None
    return found


async def collect_data(access: Access, caller: Caller) -> dict[str, Any]:
    """A person's own file."""
    read: dict[str, Any] = json.loads("".join([piece async for piece in await account.read_data(access, caller)]))
    return read
