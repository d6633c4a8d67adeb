"""People's ratings of answers, and the pages on which a flow's authors read them.

A rating is deleted with its message; every statement finds the message by its owner's session. Authors read a page at a
time, which begins after a `ListPlace` and never at a count of rows. Of conversations only what people shared is
read; of overrides only the names.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import ColumnElement, Connection, Select, case, delete, func, select, update

from flowground.store import tables
from flowground.store.runs import conversations
from flowground.store.runs.conversations import find_key
from flowground.store.runs.records import StoredMessage
from flowground.store.sql import ListPlace, add_row, is_behind, make_storable, read_moment

MOST_COUNTED = 1_000
SHOWN_CHARS = 1_000
"""Most characters of a question, and of an answer, in the list."""
RatingValue = Literal["good", "bad"]
RatingLabel = Literal["wrong", "incomplete", "off_topic", "unsafe", "slow"]
REASON_CHARS = 2_000
_MOST_READ = 100
_MOST_READ_CHARS = 500_000
"""Most messages of a shared conversation that are read, and their characters: the newest up to the rated one."""
_LONGEST_REQUEST = 100_000
"""Most characters of a run's overrides whose names are read: they may hold a prompt, and a hundred are read at once."""
_t = tables.ratings.c
_m = tables.messages.c
_q = tables.messages.alias("question").c
_s = tables.sessions.c
_r = tables.runs.c
_c = tables.run_contents.c
_RATED = ("complete", "stopped")
"""States of answers that can be rated: the others are failures, which the log explains."""


@dataclass(frozen=True, slots=True)
class Rating:
    """`shares_conversation`: the flow's authors may read the conversation up to this answer, and see its owner."""

    value: RatingValue
    labels: tuple[RatingLabel, ...] = ()
    reason: str = ""
    shares_conversation: bool = False


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """Which ratings to list: `value` None is any; `since` is in seconds since 1970. `is_explained`: only with a label
    or a reason."""

    value: RatingValue | None = None
    is_explained: bool = False
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class SharedTurn:
    """A rated turn that its person shared with the authors: its owner, and the beginnings of question and answer."""

    owner: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """One rating. `shared` is None where the person does not share the conversation: then only time, model and version
    are shown.

    `overrides` are the overridden fields, as `Component.field`.
    """

    message_id: str
    rating: Rating
    at: datetime
    model: str | None
    flow_version: str | None
    overrides: tuple[str, ...]
    shared: SharedTurn | None


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    """`end` is where the next page begins, None on the last one."""

    items: tuple[FeedbackItem, ...]
    end: ListPlace | None


@dataclass(frozen=True, slots=True)
class SharedConversation:
    """Messages up to a rated answer, oldest first; only the answer has its trace."""

    owner: str
    title: str
    messages: tuple[StoredMessage, ...]
    has_earlier: bool


def list_page(
    connection: Connection,
    *,
    flow_id: str,
    only: FeedbackFilter,
    after: ListPlace | None = None,
    limit: int = 25,
) -> FeedbackPage:
    """The flow's ratings, newest first, after a place; the first page where none is given."""
    rows = connection.execute(
        select(_t.message, _t.value, _t.labels, _t.reason, _t.shares_conversation, _t.at, _m.model, _r.flow_version)
        .add_columns(case((func.length(_c.request) <= _LONGEST_REQUEST, _c.request)).label("request"))
        .join_from(tables.ratings, tables.messages, _m.id == _t.message)
        .outerjoin(tables.runs, _r.id == _m.run_id)
        .outerjoin(tables.run_contents, _c.run_id == _m.run_id)
        .where(*_match(flow_id, only), *is_behind(after, _t.at, _t.message))
        .order_by(_t.at.desc(), _t.message.desc())
        .limit(limit + 1)
    ).all()
    shown = rows[:limit]
    shared = _read_shared(connection, [row.message for row in shown if row.shares_conversation])
    items = tuple(
        FeedbackItem(
            message_id=row.message,
            rating=Rating(row.value, read_labels(row.labels), row.reason, row.shares_conversation),
            at=read_moment(row.at),
            model=row.model,
            flow_version=row.flow_version,
            overrides=_name_overrides(row.request),
            shared=shared.get(row.message),
        )
        for row in shown
    )
    return FeedbackPage(items, ListPlace(shown[-1].at, shown[-1].message) if len(rows) > limit else None)


def _name_overrides(request: str | None) -> tuple[str, ...]:
    tweaks = json.loads(request).get("tweaks", {}) if request else {}
    return tuple(f"{name}.{key}" for name, fields in tweaks.items() for key in fields)


def count_values(connection: Connection, *, flow_id: str, only: FeedbackFilter) -> int:
    """The number of matching ratings, `MOST_COUNTED` at most."""
    some = select(_t.message).where(*_match(flow_id, only)).limit(MOST_COUNTED)
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


def read_conversation(connection: Connection, *, flow_id: str, message_id: str) -> SharedConversation | None:
    """The conversation up to this answer, where its person shares it with the authors.

    Where another version is shown by now, other messages may stand before the answer: then only its question is
    returned with it.
    """
    found = connection.execute(
        select(_s.owner, _s.session_id, _s.title, _m.aside)
        .join_from(tables.ratings, tables.messages, _m.id == _t.message)
        .join(tables.sessions, _s.id == _m.session)
        .where(_t.message == message_id, _t.flow_id == flow_id, _t.shares_conversation.is_(True))
    ).first()
    if found is None:
        return None
    place = {"flow_id": flow_id, "owner": found.owner, "session_id": found.session_id}
    answer = conversations.find_message(connection, **place, message_id=message_id)
    if found.aside is None:
        before, has_earlier = conversations.list_page(
            connection, **place, before=message_id, most=_MOST_READ, most_chars=_MOST_READ_CHARS
        )
    else:
        asked = conversations.find_question(connection, **place, message_id=message_id)
        question = asked and conversations.find_message(connection, **place, message_id=asked.id or "")
        before, has_earlier = [question] if question else [], True
    if answer is None:
        return None
    messages = (*(replace(message, trace=(), actions=()) for message in before), answer)
    return SharedConversation(found.owner, found.title, messages, has_earlier)


def _read_shared(connection: Connection, messages: list[str]) -> dict[str, SharedTurn]:
    """The shared turns of these answers, except those that are no longer shared."""
    if not messages:
        return {}
    question = (
        select(func.substr(_q.text, 1, SHOWN_CHARS + 1))
        .where(_q.session == _m.session, _q.position < _m.position, _q.role == "user", _q.run_id == _m.run_id)
        .order_by(_q.position.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(
        select(_t.message, _s.owner, question.label("asked"), func.substr(_m.text, 1, SHOWN_CHARS + 1).label("said"))
        .join_from(tables.ratings, tables.messages, _m.id == _t.message)
        .join(tables.sessions, _s.id == _m.session)
        .where(_t.message.in_(messages), _t.shares_conversation.is_(True))
    )
    return {row.message: SharedTurn(row.owner, row.asked or "", row.said) for row in found}


def _match(flow_id: str, only: FeedbackFilter) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [_t.flow_id == flow_id, _t.at >= only.since]
    if only.value:
        wanted.append(_t.value == only.value)
    if only.is_explained:
        wanted.append(_t.explained_at.is_not(None))
    return wanted


def rate(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message_id: str,
    value: RatingValue | None,
) -> bool:
    """Rates a finished answer of the owner. A changed value, or None, deletes the old explanation; the same value
    changes nothing. False where the owner has no such answer."""
    own = _select_own(connection, flow_id, owner, session_id, message_id)
    # Locks the answer against other ratings and deletion.
    message = connection.scalar(own.with_for_update(key_share=True))
    if message is None:
        return False
    if value == connection.scalar(select(_t.value).where(_t.message == message)):
        return True
    connection.execute(delete(tables.ratings).where(_t.message == message))
    if value is not None:
        row = {"message": message, "flow_id": flow_id, "value": value, "labels": "", "reason": ""}
        add_row(connection, tables.ratings, **row, shares_conversation=False, at=time.time())
    return True


def explain(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message_id: str,
    labels: Collection[RatingLabel],
    reason: str,
    shares_conversation: bool,
) -> bool:
    """Replaces the explanation of a rating. False where the owner has no such rating (any more)."""
    own = _select_own(connection, flow_id, owner, session_id, message_id).scalar_subquery()
    changes = {"labels": " ".join(labels), "reason": make_storable(reason), "shares_conversation": shares_conversation}
    explained_at = time.time() if labels or reason else None
    changed = update(tables.ratings).where(_t.message == own).values(changes | {"explained_at": explained_at})
    return connection.execute(changed).rowcount == 1


def find_rating(connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str) -> Rating | None:
    """The owner's rating of this answer of theirs."""
    own = _select_own(connection, flow_id, owner, session_id, message_id).scalar_subquery()
    wanted = select(_t.value, _t.labels, _t.reason, _t.shares_conversation).where(_t.message == own)
    row = connection.execute(wanted).first()
    return None if row is None else Rating(row[0], read_labels(row[1]), row[2], row[3])


def list_values(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_ids: Sequence[str]
) -> dict[str, tuple[RatingValue, bool]]:
    """The values of those of the owner's messages that are rated, by message id; and whether they were explained."""
    session = find_key(connection, flow_id, owner, session_id)
    found = connection.execute(
        select(_t.message, _t.value, _t.explained_at)
        .join_from(tables.ratings, tables.messages, _m.id == _t.message)
        .where(_t.message.in_(message_ids), _m.session == session)
    )
    return {message: (cast(RatingValue, value), at is not None) for message, value, at in found}


def read_labels(text: str) -> tuple[RatingLabel, ...]:
    """The labels of their column's text."""
    return cast(tuple[RatingLabel, ...], tuple(text.split()))


def _select_own(
    connection: Connection, flow_id: str, owner: str, session_id: str, message_id: str
) -> Select[tuple[str]]:
    """Selects the id of this answer, if it is the owner's and can be rated."""
    here = _m.session == find_key(connection, flow_id, owner, session_id)
    return select(_m.id).where(_m.id == message_id, here, _m.role == "assistant", _m.state.in_(_RATED))
