"""Links to shared chats: a copy of a conversation's messages, under an id that nobody can guess.

The copy stays as it is while the conversation goes on, and is deleted with the conversation.
"""

import json
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from flowground.core.citations import Citations, describe_passages, read_passages
from flowground.core.errors import InvalidRequest
from flowground.core.messages import MessageRole
from flowground.store import audit, tables
from flowground.store.runs import conversations
from flowground.store.runs.conversations import find_key, make_title
from flowground.store.runs.records import MessageState, StoredMessage, find_sender_name, list_file_names
from flowground.store.sql import add_row, fetch_page, has_words, read_moment, read_moment_or_none, write_moment_or_none

MOST_MESSAGES = 1_000
"""Most messages of a conversation that one link shares: the newest."""
MOST_CHARS = 500_000
"""Characters after which a link takes no older messages."""
MOST_LINKS = 10
"""Most links of one conversation."""
MOST_OWN = 1_000
"""Most links of one person."""
ID_BYTES = 24
"""Random bytes of a link's id."""
_FORGET_AT_ONCE = 5
_c = tables.shared_chats.c
_s = tables.sessions.c
_COLUMNS = (_c.id, _c.owner, _c.flow_id, _c.title, _c.messages, _c.is_cut, _c.created_at, _c.expires_at)


@dataclass(frozen=True, slots=True)
class SharedChat:
    """A link without its messages. `created_at` is the time of the copy.

    `is_cut`: the conversation had more messages than a link shares, so its beginning is left out.
    """

    id: str
    owner: str
    flow_id: str
    title: str
    messages: int
    is_cut: bool
    created_at: datetime
    expires_at: datetime | None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at.timestamp() <= time.time()


@dataclass(frozen=True, slots=True)
class SharedMessage:
    """A message without id, run, model, trace and the reason of a failure; it has why an answer was cut, and what it
    cites."""

    role: MessageRole
    text: str
    state: MessageState
    at: datetime
    finish_reason: str | None = None
    passages: Citations = ()


def share(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, expires_at: datetime | None
) -> SharedChat:
    """Makes a link. Raises InvalidRequest where nothing is stored, or there are too many links."""
    session = find_key(connection, flow_id, owner, session_id)
    if _count(connection, _c.session == session) >= MOST_LINKS or _count(connection, _c.owner == owner) >= MOST_OWN:
        raise InvalidRequest("There are too many links already.", hint="Revoke one of them first.")
    taken = _copy_messages(connection, flow_id=flow_id, owner=owner, session_id=session_id)
    key = secrets.token_urlsafe(ID_BYTES)
    ends = write_moment_or_none(expires_at)
    row = {"id": key, "session": session, "owner": owner, "flow_id": flow_id, "expires_at": ends, **taken}
    add_row(connection, tables.shared_chats, **row)
    audit.record(connection, actor=owner, action="chat.shared", subject=_name(flow_id, key))
    return _read_row(connection.execute(select(*_COLUMNS).where(_c.id == key)).one())


def renew(connection: Connection, *, owner: str, key: str) -> bool:
    """Copies the conversation anew for this link. False where the owner has no such link."""
    here = (_c.id == key, _c.owner == owner)
    wanted = select(_s.flow_id, _s.session_id).join_from(tables.shared_chats, tables.sessions, _c.session == _s.id)
    row = connection.execute(wanted.where(*here)).first()
    if row is None:
        return False
    taken = _copy_messages(connection, flow_id=row.flow_id, owner=owner, session_id=row.session_id)
    connection.execute(update(tables.shared_chats).where(*here).values(taken))
    audit.record(connection, actor=owner, action="chat.shared", subject=_name(row.flow_id, key))
    return True


def revoke(connection: Connection, *, owner: str, key: str) -> bool:
    """Deletes the link and its copy. False where the owner has no such link."""
    here = (_c.id == key, _c.owner == owner)
    flow_id = connection.scalar(select(_c.flow_id).where(*here))
    if flow_id is None:
        return False
    gone = delete(tables.shared_chats).where(*here)
    return audit.execute(connection, gone, actor=owner, action="chat.unshared", subject=_name(flow_id, key))


def find(connection: Connection, *, key: str) -> SharedChat | None:
    """The link of this id, even an expired one."""
    row = connection.execute(select(*_COLUMNS).where(_c.id == key)).first()
    return _read_row(row) if row else None


def read_page(connection: Connection, *, key: str, offset: int = 0, limit: int = 25) -> tuple[list[SharedMessage], int]:
    """A page of the link's messages in their order, and the number on all pages; none where the link does not exist."""
    row = connection.execute(select(_c.contents, _c.ends, _c.citations).where(_c.id == key)).first()
    if row is None:
        return [], 0
    contents, ends, cited = json.loads(row.contents), json.loads(row.ends or "{}"), json.loads(row.citations or "{}")
    shown = []
    for number, (role, text, state, at) in enumerate(contents[offset : offset + limit], offset + 1):
        passages = read_passages(cited.get(str(number), ()))
        shown.append(SharedMessage(role, text, state, read_moment(at), ends.get(str(number)), passages))
    return shown, len(contents)


def list_of_session(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> list[SharedChat]:
    """The conversation's links, newest first."""
    session = find_key(connection, flow_id, owner, session_id)
    wanted = select(*_COLUMNS).where(_c.session == session).order_by(_c.created_at.desc()).limit(MOST_LINKS)
    return [_read_row(row) for row in connection.execute(wanted)]


def list_of_owner(
    connection: Connection, *, owner: str, words: str = "", offset: int = 0, limit: int = 25
) -> tuple[list[SharedChat], int]:
    """A page of the owner's links whose title or flow id contains all these words, newest first; and the number on all
    pages."""
    wanted = (_c.owner == owner) & has_words(connection, words, func.coalesce(_c.title, ""), _c.flow_id)
    found = select(*_COLUMNS).where(wanted).order_by(_c.created_at.desc(), _c.id)
    return fetch_page(connection, found, _read_row, limit=limit, offset=offset)


def forget_expired(connection: Connection, *, before: float) -> int:
    """Deletes some links that expired before then (seconds since 1970); returns their number, 0 when none is left."""
    oldest = select(_c.id).where(_c.expires_at < before).order_by(_c.expires_at).limit(_FORGET_AT_ONCE)
    keys = connection.scalars(oldest).all()
    return connection.execute(delete(tables.shared_chats).where(_c.id.in_(keys))).rowcount if keys else 0


def _copy_messages(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> dict[str, Any]:
    """The columns for a copy of the conversation's shown messages. An answer that is being written is not part of
    it."""
    messages, has_earlier = conversations.list_page(
        connection,
        flow_id=flow_id,
        owner=owner,
        session_id=session_id,
        most=MOST_MESSAGES,
        most_chars=MOST_CHARS,
    )
    if not messages:
        raise InvalidRequest("Nothing of this chat is stored.")
    title = connection.scalar(select(_s.title).where(_s.id == find_key(connection, flow_id, owner, session_id)))
    contents = [[one.role, _write_text(one), one.state, one.created_at.timestamp()] for one in messages]
    ends = {at: one.finish_reason for at, one in enumerate(messages, 1) if one.finish_reason not in (None, "stop")}
    cited = {at: describe_passages(one.passages) for at, one in enumerate(messages, 1) if one.passages}
    return {
        "title": make_title(title or ""),
        "contents": json.dumps(contents, ensure_ascii=False),
        "ends": json.dumps(ends) if ends else None,
        "citations": json.dumps(cited, ensure_ascii=False) if cited else None,
        "messages": len(contents),
        "is_cut": has_earlier,
        "created_at": time.time(),
    }


def _write_text(message: StoredMessage) -> str:
    """The message's text, with the sender's name for messages that the flow stored, and with names of files."""
    if sender := find_sender_name(message):
        return f"{sender}: {message.text}"
    if names := list_file_names(message):
        return f"{message.text}\n\nFiles: {', '.join(names)}".strip()
    return message.text


def _count(connection: Connection, where: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(tables.shared_chats).where(where)) or 0


def _name(flow_id: str, key: str) -> str:
    """The link in the audit trail, which must not reveal its id: the first letters tell one from another."""
    return f"{flow_id} {key[:8]}"


def _read_row(row: Any) -> SharedChat:
    created_at, expires_at = read_moment(row.created_at), read_moment_or_none(row.expires_at)
    return SharedChat(row.id, row.owner, row.flow_id, row.title, row.messages, bool(row.is_cut), created_at, expires_at)
