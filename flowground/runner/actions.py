"""What the models of a run do on their way, told as events: tools that are called, and thoughts."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.errors import FlowgroundError, RunOverBudget, ToolNotCalled
from flowground.events import (
    ACTION_CHARS,
    ActionStatus,
    ModelThought,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
    bound_arguments,
)
from flowground.flow import Flow
from flowground.messages import ToolCall, Usage
from flowground.runner.approvals import CallRefused
from flowground.runner.inner import Events
from flowground.runner.scope import RunScope
from flowground.wiring.tools import WiredTool

_ID_CHARS = 64
"""Of a call's id, which a model's server chooses, in what is told and kept."""
_LONGEST_THOUGHT = 8_000
"""Characters of one thought that are told."""


@dataclass(slots=True)
class _OpenThought:
    began: ThinkingBegan
    started: float
    pieces: list[str] = field(default_factory=list)
    left: int = _LONGEST_THOUGHT


@dataclass(slots=True)
class Actions:
    """Of one `flow` that runs, `within` the call of that number where one runs it; `is_inner`: another flow does.

    Not `may_ask`: nobody is asked whether a tool may be called.
    """

    queue: Events
    scope: RunScope
    flow: Flow
    within: int | None = None
    is_inner: bool = False
    may_ask: bool = True
    thinking: dict[str, _OpenThought] = field(default_factory=dict)
    calls: dict[int, ToolCalled] = field(default_factory=dict)
    """Those that have no end yet."""
    waited: dict[int, float] = field(default_factory=dict)
    """Seconds for which a person was waited for, by the numbers of such calls."""

    def add_thought(self, component_id: str, piece: str) -> None:
        """The component's model thinks on."""
        thinking = self.thinking.get(component_id)
        if thinking is None:
            now = time.perf_counter()
            number = self.scope.budget.number_action()
            began = ThinkingBegan(
                component_id, number, now - self.scope.started, self.within, self._count_said(component_id)
            )
            thinking = self.thinking[component_id] = _OpenThought(began, now)
            self.queue.put(began)
        if thinking.left > 0:
            thinking.pieces.append(piece[: thinking.left])
            thinking.left -= len(piece)

    def end_thought(self, component_id: str) -> None:
        """It says or does something else, or has its end; a call without a thought does nothing."""
        if thinking := self.thinking.pop(component_id, None):
            seconds = time.perf_counter() - thinking.started
            self.queue.put(ModelThought(thinking.began, "".join(thinking.pieces).rstrip(), seconds))

    def _count_said(self, component_id: str) -> int:
        return 0 if self.is_inner else self.scope.count_said(component_id)

    async def tell_call(
        self,
        agent: str,
        tool: WiredTool,
        call: ToolCall,
        run: Callable[[int], Awaitable[tuple[str, Usage | None]]],
        *,
        within: int | None,
    ) -> tuple[str, bool]:
        """What the tool gave, or why it gave nothing, and whether it failed. `run` is given the call's number.

        Raises only what ends the whole run; the call has its end then too.
        """
        self.end_thought(agent)
        started, number = time.perf_counter(), self.scope.budget.number_action()
        names = (tool.component, tool.spec.name, bound_arguments(call.arguments))
        shown = self.flow.components[tool.component].display_name
        label = f"{shown or tool.component} › {tool.offered}" if tool.offered else shown or tool.spec.name
        at, call_id = started - self.scope.started, call.id[:_ID_CHARS]
        called = ToolCalled(agent, call_id, *names, at, number, within, label, self.is_inner, self._count_said(agent))
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
        """Returns once a person allowed the call of this number. Raises CallRefused."""
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
            self.queue.put(replace(waits, is_decided=True))


def _cut(text: str) -> str:
    return text if len(text) <= ACTION_CHARS else f"{text[: ACTION_CHARS - 1]}…"
