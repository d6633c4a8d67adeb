"""All that one person said, for a file of it: conversation by conversation, in parts, however much it is.

What was said and when, and how answers were rated, without traces. Also other versions than the one that is shown: they
say so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, select, tuple_

from flowground.citations import describe_kept, read_citations
from flowground.store import tables
from flowground.store.sql import Statement, read_moment

KEYS = 5_000
"""Conversations that are listed at once: to find the next ones all of the person's are looked at."""
PART_MESSAGES = 200
PART_CHARS = 500_000
"""Characters after which a part takes no more messages."""
_STEP = 12
"""Messages that are read at once: each may be long."""
_s = tables.sessions.c
_m = tables.messages.c
_t = tables.ratings.c
_LIST_AFTER = Statement(
    select(
        *(_m.position, _m.role, _m.text, _m.state, _m.created_at, _m.error, _m.aside, _m.citations, _m.sender_name),
        *(_t.value, _t.labels, _t.reason, _t.shares_conversation, _t.at),
    )
    .outerjoin_from(tables.messages, tables.ratings, _t.message == _m.id)
    .where(_m.session == bindparam("session"), _m.position > bindparam("after"))
    .order_by(_m.position)
    .limit(bindparam("limit", type_=Integer))
)

SessionKey = tuple[float, str]
"""When a conversation began, in seconds since 1970, and its key: they are listed in this order."""


@dataclass(frozen=True, slots=True)
class ExportPlace:
    """Where the next part begins: the conversation's number in the list, and the last of its messages that was read."""

    number: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class ExportedChat:
    """Some of a conversation's messages, as JSON values; `begins` where its first one is among them."""

    flow: str
    session: str
    title: str
    messages: Sequence[dict[str, Any]]
    begins: bool


@dataclass(frozen=True, slots=True)
class ExportPart:
    """`end` is where the next part begins, None after the last of the list."""

    chats: Sequence[ExportedChat]
    end: ExportPlace | None


def list_keys(
    connection: Connection, *, owners: Collection[str], until: float, after: SessionKey = (0.0, "")
) -> list[SessionKey]:
    """The next conversations of these owners that were begun until then, `KEYS` of them at most."""
    wanted = (
        select(_s.created_at, _s.id)
        .where(_s.owner.in_(list(owners)), _s.created_at <= until, tuple_(_s.created_at, _s.id) > after)
        .order_by(_s.created_at, _s.id)
        .limit(KEYS)
    )
    return [(row.created_at, row.id) for row in connection.execute(wanted)]


def read_part(connection: Connection, *, keys: Sequence[SessionKey], after: ExportPlace) -> ExportPart:
    """What follows that place in the conversations of this list. What was deleted meanwhile is left out."""
    chats: list[ExportedChat] = []
    count = size = 0
    number, position = after.number, after.position
    while number < len(keys):
        key, begins = keys[number][1], not position
        head = connection.execute(select(_s.flow_id, _s.session_id, _s.title).where(_s.id == key)).first()
        said: list[dict[str, Any]] = []
        is_over = head is None
        while not is_over and count < PART_MESSAGES and size < PART_CHARS:
            rows = _LIST_AFTER.fetch(connection, {"session": key, "after": position, "limit": _STEP})
            is_over = len(rows) < _STEP
            for row in rows:
                said.append(_describe(row))
                position, count, size = row[0], count + 1, size + len(row[2])
                if size >= PART_CHARS:
                    is_over = is_over and row is rows[-1]
                    break
        if head is not None and said:
            chats.append(ExportedChat(*head, said, begins))
        if not is_over:
            return ExportPart(chats, ExportPlace(number, position))
        number, position, count = number + 1, 0, count + 1
    return ExportPart(chats, None)


def _describe(row: Sequence[Any]) -> dict[str, Any]:
    _, role, text, state, at, error, aside, citations, sender_name, *rating = row
    told: dict[str, Any] = {"role": role, "text": text, "state": state, "at": read_moment(at).isoformat()}
    if error is not None:
        told["error"] = error
    if aside is not None:
        told["is_put_aside"] = True
    if sender_name:
        told["sender_name"] = sender_name
    if citations is not None:
        told |= describe_kept(text, read_citations(citations))
    return told | _describe_rating(*rating)


def _describe_rating(
    value: str | None, labels: str, reason: str, shares_conversation: bool, at: float
) -> dict[str, dict[str, Any]]:
    if value is None:
        return {}
    told = {
        "value": value,
        "labels": labels.split(),
        "reason": reason,
        "shares_conversation": bool(shares_conversation),
    }
    return {"rating": told | {"at": read_moment(at).isoformat()}}
