"""The inside of a flow as who sees it reads it: its file with the mistakes in it, what is served of it, and how one of
their own answers was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowground.access import Access
from flowground.core.caller import Caller
from flowground.core.errors import FlowNotFound, InvalidRequest, Problem
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage


@dataclass(frozen=True, slots=True)
class FlowInside:
    """`text` is None where the file cannot be read. `wired` is what the file serves, None where it never was a flow.

    `problems` are its mistakes and warnings; with a mistake `wired` is its last good version.
    """

    file: str
    text: str | None
    problems: tuple[Problem, ...]
    wired: WiredFlow | None

    @property
    def is_broken(self) -> bool:
        """Whether the file has a mistake, so that it is not what is served."""
        return not all(problem.is_warning for problem in self.problems)


def may_look(caller: Caller) -> bool:
    """Whether this is somebody at a page who sees the inside of flows."""
    return caller.kind in ("local", "member") and caller.sees_inside


async def open_inside(access: Access, caller: Caller, flow_id: str) -> tuple[Caller, WiredFlow]:
    """Who looks, with their rights as they are now, and the flow. Raises as `read_inside`."""
    caller = await access.recheck(caller)
    if not may_look(caller):
        raise FlowNotFound(flow_id)
    return caller, await access.open_flow(caller, flow_id)


async def read_inside(access: Access, caller: Caller, address: str) -> FlowInside:
    """Of the flow at an id or endpoint name; where there is none, of the file that would be it by its name.

    Raises NotSignedIn, and FlowNotFound alike for what is not there and for who may not look.
    """
    await _admit(access, caller, address)
    wired = access.catalogue.find(address)
    if wired is not None:
        return await _read(access, wired.flow.file)
    broken = access.catalogue.find_broken_file(address)
    if broken is None:
        raise FlowNotFound(address)
    return await _read(access, broken[0])


async def read_file(access: Access, caller: Caller, file: str) -> FlowInside:
    """Of the flow file with this name. Raises as `read_inside`."""
    await _admit(access, caller, file)
    return await _read(access, file)


async def _admit(access: Access, caller: Caller, name: str) -> None:
    if not may_look(await access.recheck(caller)):
        raise FlowNotFound(name)
    await access.catalogue.refresh()


async def _read(access: Access, file: str) -> FlowInside:
    catalogue = access.catalogue
    wired = next((one for one in catalogue.list_flows().values() if one.flow.file == file), None)
    error = catalogue.list_problems().get(file)
    if wired is None and error is None:
        raise FlowNotFound(file)
    problems = (*(error.problems if error else ()), *catalogue.list_warnings().get(file, ()))
    return FlowInside(file, await catalogue.read_text(file), problems, wired)


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
