"""A turn of the caller's own conversation, whole: question, answer, what was overridden, and how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowground.access import Access
from flowground.access.insides import open_inside
from flowground.caller import Caller
from flowground.errors import InvalidRequest
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class AnsweredTurn:
    """`wired` is the flow as it is now."""

    wired: WiredFlow
    question: str
    answer: StoredMessage
    overrides: Mapping[str, Mapping[str, Any]]


async def read_turn(access: Access, caller: Caller, *, flow_id: str, session_id: str, message_id: str) -> AnsweredTurn:
    """The turn with this answer. Raises FlowNotFound for who does not see the inside of the flow, InvalidRequest where
    there is no such answer of theirs, or it has no end."""
    caller, wired = await open_inside(access, caller, flow_id)
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    answer = await access.store.read(conversations.find_message, **place, message_id=message_id)
    asked = await access.store.read(conversations.find_question, **place, message_id=message_id)
    if answer is None or asked is None or asked.id is None or answer.role != "assistant" or answer.state != "complete":
        raise InvalidRequest("There is no whole answer here.")
    overrides = await access.store.read(conversations.find_overrides, **place, message_id=asked.id)
    return AnsweredTurn(wired, asked.text, answer, overrides)
