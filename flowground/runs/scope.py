"""What a run shares with the flows that it runs: approvals of tool calls, actions of models, turns on the loop, joins.

`LoopTurns` keeps runs that never wait from blocking the loop: after some milliseconds of a turn of the loop a run
waits, and each turn lets one waiting run go on, the one that has waited least often, so that short runs do not wait for
long ones.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from msgspec import structs

from flowground.components.base import History, Models, Outside
from flowground.components.knowledge import Retrieve
from flowground.core.errors import FlowgroundError, InvalidRequest, ProviderError, RunOverBudget, ToolNotCalled
from flowground.core.events import (
    ACTION_CHARS,
    ActionStatus,
    ModelThought,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    bound_arguments,
)
from flowground.core.messages import Decision, ToolCall, Usage
from flowground.flows.flow import Flow
from flowground.flows.tools import WiredTool
from flowground.flows.wiring import WiredFlow
from flowground.runs.inner import Events, RunBudget, RunPassages, find_answer
from flowground.settings.limits import Limits
from flowground.store.sql import encode_json

Allowed = dict[tuple[str, ...], None]
"""Tools that people have allowed for the rest of a chat: owner, flow, session, the flow's version, the tool."""
LONGEST_ASKED = 20_000
"""Characters of arguments that a person is shown; a call with longer arguments is refused."""
LONG = 0.005
"""Seconds of one turn of the loop after which other runs go on."""
_NOBODY = "Nobody is there who could allow it, so it was not called."
_TOO_LONG = f"Its arguments are longer than the {LONGEST_ASKED:,} characters that a person can be asked about."
_here = threading.local()
_ID_CHARS = 64
"""Characters of a call's id, which a model's server chooses, in events."""
_MOST_ALLOWED = 10_000
"""Allowed tools; the oldest of too many are forgotten."""
_LONGEST_THOUGHT = 8_000
"""Characters of one thought in events."""


class CallRefused(ToolNotCalled):
    """A tool was not called: a person refused it, did not answer, or nobody could be asked."""


class NothingWaits(InvalidRequest):
    """The decision refers to no waiting call: unknown, finished, or with other arguments."""

    code = "nothing_waits"
    says = "No call of this run waits with that number and digest."
    hint = "Look again at what waits."


@dataclass(slots=True)
class Approvals:
    """The approvals of one run. Without `allowed` nobody can be asked; a call waits `seconds` at most. `chat` is the
    run's part of the keys of `allowed`.

    While calls wait, the run's timeout is paused.
    """

    seconds: float
    allowed: Allowed | None = None
    chat: tuple[str, ...] = ()
    waiting: dict[int, tuple[ToolWaits, "asyncio.Future[Decision]"]] = field(default_factory=dict)
    paused: float = 0
    """Seconds for which the run's timeout was paused."""
    _pause_began: tuple[float | None, float] = (None, 0)
    """When the timeout would have ended, and since when it is paused."""

    def begin(
        self,
        called: ToolCalled,
        arguments: Mapping[str, Any],
        *,
        flow: str,
        sends: str | None,
        is_always_asked: bool,
    ) -> ToolWaits | None:
        """Makes the call wait for a person; None where the tool is allowed already. `sends` is what the call sends.

        `is_always_asked`: earlier approvals do not count. Raises CallRefused.
        """
        if self.allowed is None:
            raise CallRefused(_NOBODY)
        if not is_always_asked and (*self.chat, _name_tool(flow, called)) in self.allowed:
            return None
        written = encode_json(dict(arguments), is_sorted=True)
        if max(len(written), len(sends or "")) > LONGEST_ASKED:
            raise CallRefused(_TOO_LONG)
        asked = (_name_tool(flow, called), str(called.number), written, *([] if sends is None else [sends]))
        digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()
        waits = ToolWaits(called, written, digest, time.time() + self.seconds, False, sends, is_always_asked)
        self.waiting[called.number] = waits, asyncio.get_running_loop().create_future()
        return waits

    async def wait(self, waits: ToolWaits, *, flow: str, clock: asyncio.Timeout) -> None:
        """Returns once the call was allowed. Raises CallRefused."""
        number = waits.called.number
        _, decided = self.waiting[number]
        if len(self.waiting) == 1:
            self._pause_began = clock.when(), asyncio.get_running_loop().time()
            clock.reschedule(None)
        try:
            decision = await asyncio.wait_for(decided, self.seconds)
        except TimeoutError:
            raise CallRefused("Nobody allowed it in time, so it was not called.") from None
        finally:
            del self.waiting[number]
            if not self.waiting:
                end, since = self._pause_began
                paused = asyncio.get_running_loop().time() - since
                self.paused += paused
                if end is not None:
                    clock.reschedule(end + paused)
        if decision == "refuse":
            raise CallRefused("The person refused it, so it was not called. Do not try it again.")
        if decision == "chat" and self.allowed is not None and not waits.is_always_asked:
            self.allowed[*self.chat, _name_tool(flow, waits.called)] = None
            if len(self.allowed) > _MOST_ALLOWED:
                del self.allowed[next(iter(self.allowed))]

    def decide(self, number: int, digest: str, decision: Decision) -> None:
        """Decides a waiting call. Raises NothingWaits."""
        waits, decided = self.waiting.get(number, (None, None))
        if waits is None or decided is None or decided.done() or waits.digest != digest:
            raise NothingWaits
        decided.set_result(decision)

    def list_waiting(self) -> list[ToolWaits]:
        """The calls that wait now."""
        return [waits for waits, decided in self.waiting.values() if not decided.done()]


def _name_tool(flow: str, called: ToolCalled) -> str:
    """The key of one tool, also of one of a component's several, under the name that a person is shown."""
    return "\n".join((flow, called.tool, called.name, called.label))


class LoopTurns:
    """The turns of one loop, and the runs that wait for one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ends: float | None = None
        """When the present turn counts as long, by `perf_counter`; None: it was not asked yet in this turn."""
        self._is_due = False
        """Whether a callback for the next turn is scheduled."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def is_over(self) -> bool:
        """Whether this turn of the loop has lasted long: a run that would go on calls `wait` then."""
        now = time.perf_counter()
        if self._ends is None:
            self._ends = now + LONG
            if not self._is_due:
                self._is_due = True
                self.loop.call_soon(self._begin_turn)
        return now > self._ends

    async def wait(self, waits: int) -> None:
        """Waits for a later turn of the loop; `waits` is how often the run has waited before."""
        future: asyncio.Future[None] = self.loop.create_future()
        heappush(self._waiting, (waits, next(self._numbers), future))
        self.is_over()  # so that a turn comes
        await future

    def _begin_turn(self) -> None:
        self._ends, self._is_due = None, False
        while self._waiting:
            *_, future = heappop(self._waiting)
            if not future.done():  # else it was cancelled
                future.set_result(None)
                self._is_due = True
                self.loop.call_soon(self._begin_turn)
                return


def find_loop_turns() -> LoopTurns:
    """The `LoopTurns` of the running loop: a thread has one loop at a time."""
    loop = asyncio.get_running_loop()
    loop_turns: LoopTurns | None = getattr(_here, "loop_turns", None)
    if loop_turns is None or loop_turns.loop is not loop:
        loop_turns = _here.loop_turns = LoopTurns(loop)
    return loop_turns


class Join:
    """Joins the texts of its members in order: a later member's text is held until the members before it have ended."""

    def __init__(self, members: list[str]) -> None:
        self._members = members
        self._at = 0
        """The index of the member whose text is passed on."""
        self._streamed: set[str] = set()
        self._held: dict[str, list[str]] = {}
        self._ends: dict[str, str] = {}
        self._owed = ""
        """Texts of members that were not streamed: passed on before the next piece."""

    def is_turn_of(self, member: str) -> bool:
        """Whether this member's text is passed on at once."""
        return self._members[self._at : self._at + 1] == [member]

    def add(self, member: str, piece: str) -> str:
        """The text to pass on after this piece of a member; "" while it is held."""
        if not self.is_turn_of(member):
            self._held.setdefault(member, []).append(piece)
            return ""
        self._streamed.add(member)
        text, self._owed = self._owed + piece, ""
        return text

    def end(self, member: str, text: str) -> str:
        """The text to pass on after the end of a member; its `text` is "" where it was skipped."""
        self._ends[member] = text
        passed = ""
        while self._at < len(self._members) and (now := self._members[self._at]) in self._ends:
            if now not in self._streamed:
                self._owed += self._ends[now]
            self._at += 1
            if self._at < len(self._members) and (held := self._held.pop(self._members[self._at], None)):
                passed += self.add(self._members[self._at], "".join(held))
        return passed


@dataclass(frozen=True, slots=True)
class RunScope:
    """What one run and its inner flows share. `wired` is the flow that was asked for.

    `time_zone` is the name of the caller's time zone. `timeout` ends the run when it takes too long; `started` is its
    begin by `perf_counter`.
    """

    wired: WiredFlow
    history: History
    models: Models
    outside: Outside
    timeout: asyncio.Timeout
    sees_inside: bool
    limits: Limits
    budget: RunBudget
    started: float
    approvals: Approvals
    time_zone: str
    loop_turns: LoopTurns
    passages: RunPassages = field(default_factory=RunPassages)
    streamed: dict[str, int] = field(default_factory=dict)
    """Output of `wired` -> characters of its text so far."""
    joins: dict[str, Join] = field(default_factory=dict)
    """The joins of the outputs of `wired` that join several components."""
    fetched: list[float] = field(default_factory=list)
    """The first and the last time at which the run waited for weights, by `perf_counter`."""

    def count_chars(self, component_id: str) -> int:
        """Characters of the answer so far, where this component streams it now; else 0."""
        answer = find_answer(self.wired)
        if answer in self.joins and not self.joins[answer].is_turn_of(component_id):
            return 0
        return self.streamed.get(answer, 0) if answer in self.wired.streams_to.get(component_id, ()) else 0

    def note_fetch(self) -> float:
        """Notes that the run waits for weights, or has them; returns the time."""
        now = time.perf_counter()
        self.fetched[1:] = [now]  # the first one stays
        return now

    def count_seconds(self) -> float:
        """Seconds since the run began, without waits for people and weights."""
        fetched = self.fetched[-1] - self.fetched[0] if self.fetched else 0
        return time.perf_counter() - self.started - self.approvals.paused - fetched

    async def let_others_run(self) -> None:
        """Lets other runs go on; this run continues in a later turn of the loop."""
        self.budget.yields += 1
        await self.loop_turns.wait(self.budget.yields)

    def find_passage_room(self) -> int:
        """Bytes of passages that each Retrieve may give, where all models of the run limit passages; else 0."""
        flows = (self.wired, *self.wired.inner_flows.values())
        looking = sum(isinstance(one, Retrieve) for flow in flows for one in flow.components.values())
        rooms: list[int] = []
        for _, asked in self.wired.list_models():
            try:
                provider, model = self.models.resolve(asked)
            except ProviderError:
                return 0
            rooms.append(provider.takes(model).passage_bytes)
        return max(rooms, default=0) // max(1, looking) if all(rooms) else 0

    def restart_timeout(self) -> None:
        """Starts the run's timeout again after a download of weights, which may take longer than any answer."""
        if self.limits.run_seconds:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.run_seconds)


class ToolCallPath(NamedTuple):
    """The number of the call in which a component runs as a tool, and the agents that led to it."""

    call: int | None
    agents: tuple[str, ...] = ()


@dataclass(slots=True)
class _OpenThought:
    began: ThinkingBegan
    started: float
    pieces: list[str] = field(default_factory=list)
    left: int = _LONGEST_THOUGHT


@dataclass(slots=True)
class Actions:
    """Emits what models do in one run of `flow`: thoughts and calls of tools.

    `within` is the number of the call that runs the flow; `is_inner`: another flow runs it. Not `may_ask`: nobody can
    be asked to allow a call.
    """

    queue: Events
    scope: RunScope
    flow: Flow
    within: int | None = None
    is_inner: bool = False
    may_ask: bool = True
    thinking: dict[str, _OpenThought] = field(default_factory=dict)
    calls: dict[int, ToolCalled] = field(default_factory=dict)
    """Calls that have not ended, by number."""
    waited: dict[int, float] = field(default_factory=dict)
    """Number of a call -> seconds for which it waited for a person."""

    def add_thought(self, component_id: str, piece: str) -> None:
        """Adds a piece to the thought of the component's model."""
        thinking = self.thinking.get(component_id)
        if thinking is None:
            now = time.perf_counter()
            number = self.scope.budget.number_action()
            began = ThinkingBegan(
                component_id, number, now - self.scope.started, self.within, self._count_chars(component_id)
            )
            thinking = self.thinking[component_id] = _OpenThought(began, now)
            self.queue.put(began)
        if thinking.left > 0:
            thinking.pieces.append(piece[: thinking.left])
            thinking.left -= len(piece)

    def end_thought(self, component_id: str) -> None:
        """Ends and emits the component's thought, if it has one."""
        if thinking := self.thinking.pop(component_id, None):
            seconds = time.perf_counter() - thinking.started
            self.queue.put(ModelThought(thinking.began, "".join(thinking.pieces).rstrip(), seconds))

    def _count_chars(self, component_id: str) -> int:
        return 0 if self.is_inner else self.scope.count_chars(component_id)

    async def record_call(
        self,
        agent: str,
        tool: WiredTool,
        call: ToolCall,
        run: Callable[[int], Awaitable[tuple[str, Usage | None]]],
        *,
        within: int | None,
    ) -> tuple[str, bool]:
        """Runs a call of a tool and emits its begin and end; the result or the reason of the failure, and whether it
        failed.

        `run` gets the call's number. Raises only what ends the whole run, after the end of the call was emitted.
        """
        self.end_thought(agent)
        started, number = time.perf_counter(), self.scope.budget.number_action()
        names = (tool.component, tool.spec.name, bound_arguments(call.arguments))
        shown = self.flow.components[tool.component].display_name
        label = f"{shown or tool.component} › {tool.offered}" if tool.offered else shown or tool.spec.name
        at, call_id = started - self.scope.started, call.id[:_ID_CHARS]
        called = ToolCalled(agent, call_id, *names, at, number, within, label, self.is_inner, self._count_chars(agent))
        self.calls[number] = called
        self.queue.put(called)
        text, usage, has_run = "", None, True
        status: ActionStatus = "stopped"
        try:
            text, usage = await run(number)
            status = "done"
        except RunOverBudget as error:
            text, status = error.message, "failed"
            raise
        except CallRefused as error:
            text, status, has_run = error.message, "refused", False
        except FlowgroundError as error:
            text, status, has_run = f"It failed: {error.message}", "failed", not isinstance(error, ToolNotCalled)
        finally:
            del self.calls[number]
            seconds = time.perf_counter() - started - self.waited.pop(number, 0)
            self.queue.put(ToolReturned(called, _cut(text), seconds, status, usage, has_run))
        return text, status != "done"

    async def ask(self, number: int, tool: WiredTool, arguments: Mapping[str, Any], sends: str | None) -> None:
        """Waits until a person has allowed the call with this number. Raises CallRefused."""
        if not self.may_ask:
            raise CallRefused("Nobody can be asked here, so it was not called.")
        approvals = self.scope.approvals
        is_always_asked = tool.is_changed or tool.confirm == "always"
        called, flow = self.calls[number], self.flow.id
        waits = approvals.begin(called, arguments, flow=flow, sends=sends, is_always_asked=is_always_asked)
        if waits is None:
            return
        self.queue.put(waits)
        began = time.perf_counter()
        try:
            await approvals.wait(waits, flow=flow, clock=self.scope.timeout)
        finally:
            self.waited[number] = time.perf_counter() - began
            self.queue.put(structs.replace(waits, is_decided=True))


def _cut(text: str) -> str:
    return text if len(text) <= ACTION_CHARS else f"{text[: ACTION_CHARS - 1]}…"
