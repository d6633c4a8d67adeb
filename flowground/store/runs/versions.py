"""Versions of a question: one is shown, the others are put aside with all that followed them.

A message put aside has in `aside` the id of the version under which it waits. A message is always stored after those
that it follows, so shown messages are ordered by their positions.
"""

from typing import Any

from sqlalchemy import Connection, func, select, update

from flowground.core.errors import AnswerUnfinished, InvalidRequest
from flowground.core.messages import Versions
from flowground.store import tables
from flowground.store.runs.conversations import IS_SHOWN, find_key, find_versions
from flowground.store.runs.progress import find_running
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.turns import begin_turn, has_begun
from flowground.store.sql import mark_job

MOST_VERSIONS = 50
"""Most versions of one question."""
_s = tables.sessions.c
_m = tables.messages.c


class ConversationChanged(InvalidRequest):
    """The message is not shown in the conversation, or no longer: unknown messages and other people's look the same."""

    says = "This message is not part of the conversation any more."
    hint = "Reload the page."


@mark_job(is_one_way=False, landed=has_begun)
def begin_version(
    connection: Connection,
    /,
    *,
    version_of: str,
    flow_id: str,
    owner: str,
    session_id: str,
    message: StoredMessage,
    **begins: Any,
) -> None:
    """Like `begin_turn`, in place of the shown question `version_of`: it and all messages after it are put aside.

    Raises ConversationChanged, AnswerUnfinished, and InvalidRequest where there are `MOST_VERSIONS` already.
    """
    place: dict[str, Any] = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
    session = _hold(connection, **place)
    asked = connection.execute(
        select(_m.position, _m.version_of).where(
            _m.id == version_of, _m.session == session, _m.role == "user", IS_SHOWN
        )
    ).first()
    if asked is None:
        raise ConversationChanged
    first = asked.version_of or version_of
    count = connection.scalar(
        select(func.count()).where(_m.version_of == first, _m.version_of.is_not(None), _m.session == session)
    )
    if (count or 1) >= MOST_VERSIONS:
        raise InvalidRequest(
            f"There are {MOST_VERSIONS} versions of this message already.", hint="Send it as a new message."
        )
    _put_aside(connection, session, version_of, asked.position)
    begin_turn(connection, message=message, **place, **begins)
    connection.execute(update(tables.messages).where(_m.id.in_([version_of, message.id])).values(version_of=first))


def choose(connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str) -> None:
    """Shows this version with what followed it, and puts aside the one that is shown now.

    Raises ConversationChanged where none of its versions is shown, and AnswerUnfinished.
    """
    session = _hold(connection, flow_id=flow_id, owner=owner, session_id=session_id)
    wanted = connection.execute(
        select(_m.version_of, _m.aside).where(_m.id == message_id, _m.session == session, _m.version_of.is_not(None))
    ).first()
    if wanted is None:
        raise ConversationChanged
    if wanted.aside is None:
        return
    shown = connection.execute(
        select(_m.id, _m.position).where(
            _m.version_of == wanted.version_of, _m.version_of.is_not(None), _m.session == session, IS_SHOWN
        )
    ).first()
    if shown is None:
        raise ConversationChanged
    _put_aside(connection, session, shown.id, shown.position)
    waits = (_m.aside == message_id, _m.aside.is_not(None), _m.session == session)
    connection.execute(update(tables.messages).where(*waits).values(aside=None))


def read_versions(connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str) -> Versions:
    """All versions of this question."""
    session = find_key(connection, flow_id, owner, session_id)
    first = connection.scalar(select(_m.version_of).where(_m.id == message_id, _m.session == session))
    return find_versions(connection, session=session, firsts=[first])[message_id] if first else ()


def _hold(connection: Connection, **place: str) -> int:
    """Locks the session and returns its key. Until the commit no turn begins in it, and no other version is chosen.

    Raises AnswerUnfinished while an answer is written there, in any process.
    """
    session = find_key(connection, **place)
    connection.execute(select(_s.id).where(_s.id == session).with_for_update(key_share=True))
    if find_running(connection, **place):
        raise AnswerUnfinished
    return session


def _put_aside(connection: Connection, session: int, version: str, position: int) -> None:
    """Puts aside this version and all messages shown after it."""
    after = (_m.session == session, IS_SHOWN, _m.position >= position)
    connection.execute(update(tables.messages).where(*after).values(aside=version))
