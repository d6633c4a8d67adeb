"""One conversation from its beginning to its end, in parts: for files of it, and for what is shared of it.

What is put aside, another version of a question and what followed on it, is in none of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, exists, select

from flowground.citations import read_citations
from flowground.messages import Usage
from flowground.store import tables
from flowground.store.runs.conversations import IS_SHOWN, make_session_key
from flowground.store.runs.records import StoredMessage, read_value
from flowground.store.sql import Statement, read_moment

PART_MESSAGES = 200
"""Messages of a part at most."""
PART_CHARS = 500_000
"""Characters after which a part takes no more messages."""
_STEP = 12
"""Messages that are read at once: each may be long."""
_s = tables.sessions.c
_m = tables.messages.c
_IS_PINNED = exists().where(tables.session_pins.c.session == _s.id).correlate(tables.sessions)
_COLUMNS = (
    _m.position, _m.id, _m.role, _m.text, _m.state, _m.created_at, _m.run_id, _m.model, _m.input_tokens,
    _m.output_tokens, _m.error, _m.finish_reason, _m.value, _m.citations,
    _m.sender, _m.sender_name,
)  # fmt: skip
_LIST_AFTER = Statement(
    select(*_COLUMNS)
    .where(_m.session == bindparam("session"), IS_SHOWN, _m.position > bindparam("after"))
    .order_by(_m.position)
    .limit(bindparam("limit", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class ChatHead:
    """What stands above a conversation's messages."""

    session_id: str
    title: str
    created_at: datetime
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class ChatPart:
    """Messages without their traces. `end` is where the next part begins, None at the conversation's end."""

    messages: Sequence[StoredMessage]
    end: int | None


def find_head(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> ChatHead | None:
    """None for a conversation that is not this owner's, or holds nothing."""
    here = _s.id == make_session_key(flow_id, owner, session_id)
    columns = (_s.title, _s.created_at, _IS_PINNED.label("is_pinned"))
    row = connection.execute(select(*columns).where(here, _s.messages > 0)).first()
    return ChatHead(session_id, row.title, read_moment(row.created_at), bool(row.is_pinned)) if row else None


def read_part(connection: Connection, *, flow_id: str, owner: str, session_id: str, after: int = 0) -> ChatPart:
    """The messages behind that place, in the order in which they were said."""
    session = make_session_key(flow_id, owner, session_id)
    found: list[StoredMessage] = []
    size = 0
    while len(found) < PART_MESSAGES and size < PART_CHARS:
        rows = _LIST_AFTER.fetch(connection, {"session": session, "after": after, "limit": _STEP})
        for row in rows:
            after = row[0]
            found.append(_read_row(row))
            size += len(found[-1].text)
        if len(rows) < _STEP:
            return ChatPart(found, None)
    return ChatPart(found, after)


def _read_row(row: Sequence[Any]) -> StoredMessage:
    _, key, role, text, state, created_at, run_id, model, read, written, error, reason, given, cited, *sent = row
    usage = None if read is None else Usage(read, written)
    at = read_moment(created_at)
    more = {"run_id": run_id, "model": model, "usage": usage, "error": error, "finish_reason": reason}
    more["value"], more["kind"] = read_value(given)
    more["passages"] = read_citations(cited)
    more["sender"], more["sender_name"] = sent
    return StoredMessage(key, role, text, state, at, **more)
