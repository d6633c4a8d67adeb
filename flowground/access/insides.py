"""The inside of a flow, for callers who may see it: its file, its mistakes, and how one of their answers was made."""

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
    """A flow file: its `text` (None where it cannot be read), its `problems`, and the flow `wired` that it serves.

    With a mistake among the problems, `wired` is the last good version; None where there never was one.
    """

    file: str
    text: str | None
    problems: tuple[Problem, ...]
    wired: WiredFlow | None

    @property
    def is_broken(self) -> bool:
        """Whether the file has a mistake, so that its present content is not served."""
        return not all(problem.is_warning for problem in self.problems)


def may_see_inside(caller: Caller) -> bool:
    """Whether the caller is a person at a page who sees the inside of flows."""
    return caller.kind in ("local", "member") and caller.sees_inside


async def open_inside(access: Access, caller: Caller, flow_id: str) -> tuple[Caller, WiredFlow]:
    """The caller with their present rights, and the flow. Raises as `read_inside`."""
    caller = await _admit(access, caller, flow_id)
    return caller, await access.open_flow(caller, flow_id)


async def read_inside(access: Access, caller: Caller, address: str) -> FlowInside:
    """The file of the flow at an id or endpoint name; without such a flow, the broken file whose name is the address.

    Raises NotSignedIn; FlowNotFound where neither exists, and for callers who may not see it.
    """
    await _admit(access, caller, address)
    if wired := access.catalogue.find(address):
        return await _read(access, wired.flow.file)
    if broken := access.catalogue.find_broken_file(address):
        return await _read(access, broken[0])
    raise FlowNotFound(address)


async def read_file(access: Access, caller: Caller, file: str) -> FlowInside:
    """The flow file with this name. Raises as `read_inside`."""
    await _admit(access, caller, file)
    return await _read(access, file)


async def _admit(access: Access, caller: Caller, name: str) -> Caller:
    caller = await access.recheck(caller)
    if not may_see_inside(caller):
        raise FlowNotFound(name)
    await access.catalogue.refresh()
    return caller


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
    """A question and its answer, with the overrides they were made with; `wired` is the flow as it is now."""

    wired: WiredFlow
    question: str
    answer: StoredMessage
    overrides: Mapping[str, Mapping[str, Any]]


async def read_turn(access: Access, caller: Caller, *, flow_id: str, session_id: str, message_id: str) -> AnsweredTurn:
    """The turn with this answer. Raises FlowNotFound for callers who do not see the inside of the flow, InvalidRequest
    where they have no such answer, or the answer is not complete."""
    caller, wired = await open_inside(access, caller, flow_id)
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    answer = await access.store.read(conversations.find_message, **place, message_id=message_id)
    asked = await access.store.read(conversations.find_question, **place, message_id=message_id)
    if answer is None or asked is None or asked.id is None or answer.role != "assistant" or answer.state != "complete":
        raise InvalidRequest("There is no whole answer here.")
    overrides = await access.store.read(conversations.find_overrides, **place, message_id=asked.id)
    return AnsweredTurn(wired, asked.text, answer, overrides)
