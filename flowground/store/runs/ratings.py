"""What people say of the answers that they got: good or bad, why, and whether authors may read the conversation.

A rating belongs to its message and goes with it. Every statement finds the message by its owner's session.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection, Select, delete, select, update

from flowground.store import tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.sql import add_row, make_storable

RatingValue = Literal["good", "bad"]
RatingLabel = Literal["wrong", "incomplete", "off_topic", "unsafe", "slow"]
REASON_CHARS = 2_000
_RATED = ("complete", "stopped")
"""States of answers that can be rated: others are failures, of which the flow's log tells."""
_m = tables.messages.c
_t = tables.ratings.c


@dataclass(frozen=True, slots=True)
class Rating:
    """`shares_conversation`: the flow's authors may read the conversation up to this answer, and see whose it is."""

    value: RatingValue
    labels: tuple[RatingLabel, ...] = ()
    reason: str = ""
    shares_conversation: bool = False


def rate(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message_id: str,
    value: RatingValue | None,
) -> bool:
    """Rates a finished answer of the owner's. Another value than before, or None, deletes what was told with the old
    one; the same one changes nothing. False where the owner has no such answer."""
    own = _select_own(flow_id, owner, session_id, message_id)
    message = connection.scalar(own.with_for_update(key_share=True))  # one at a time, and not while it is deleted
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
    """Says why, in the place of what was said before. False where the owner has no such rating (any more)."""
    own = _select_own(flow_id, owner, session_id, message_id).scalar_subquery()
    told = {"labels": " ".join(labels), "reason": make_storable(reason), "shares_conversation": shares_conversation}
    explained_at = time.time() if labels or reason else None
    changed = update(tables.ratings).where(_t.message == own).values(told | {"explained_at": explained_at})
    return connection.execute(changed).rowcount == 1


def find_rating(connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str) -> Rating | None:
    """How the owner rated this answer of theirs."""
    own = _select_own(flow_id, owner, session_id, message_id).scalar_subquery()
    wanted = select(_t.value, _t.labels, _t.reason, _t.shares_conversation).where(_t.message == own)
    row = connection.execute(wanted).first()
    return None if row is None else Rating(row[0], read_labels(row[1]), row[2], row[3])


def list_values(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_ids: Sequence[str]
) -> dict[str, tuple[RatingValue, bool]]:
    """Of those of these messages of the owner's that are rated, by their ids; and whether they said why."""
    session = make_session_key(flow_id, owner, session_id)
    found = connection.execute(
        select(_t.message, _t.value, _t.explained_at)
        .join_from(tables.ratings, tables.messages, _m.id == _t.message)
        .where(_t.message.in_(message_ids), _m.session == session)
    )
    return {message: (cast(RatingValue, value), at is not None) for message, value, at in found}


def read_labels(text: str) -> tuple[RatingLabel, ...]:
    """From their column."""
    return cast(tuple[RatingLabel, ...], tuple(text.split()))


def _select_own(flow_id: str, owner: str, session_id: str, message_id: str) -> Select[tuple[str]]:
    """The id of this answer, where it is the owner's and can be rated."""
    here = _m.session == make_session_key(flow_id, owner, session_id)
    return select(_m.id).where(_m.id == message_id, here, _m.role == "assistant", _m.state.in_(_RATED))
