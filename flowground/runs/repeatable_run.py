"""Runs with an idempotency key: the key, its errors, and the events that the run stores for repeats of its request."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.components.base import Models, Outside, ToolServers
from flowground.core.caller import Caller, RunRequest
from flowground.core.errors import (
    ComponentFailed,
    FlowgroundError,
    InvalidRequest,
    ModelNotReady,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RequestError,
    RunError,
    RunStopped,
    StoppedByAdmin,
)
from flowground.core.events import RunEvent, RunFinished, TurnStarted
from flowground.flows.wiring import WiredFlow
from flowground.providers.base import Provider
from flowground.store.runs.receipts import IdempotencyKey, ReplayedEvents, digest_request, write_receipt
from flowground.store.runs.records import StoredMessage
from flowground.tools.functions import OwnFunction
from flowground.tools.mcp import ServerTool

_REFUSED = (ModelNotReady, ProviderBusy, ProviderRefused, ProviderUnreachable)
"""Failures after which the model's server has surely not answered; after a timeout it may have."""


class IdempotencyKeyReused(InvalidRequest):
    """The Idempotency-Key belongs to another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent with another request.",
            hint="Send what was sent with it first: flow, input, tweaks, session and output; or take a new key.",
        )


class RunUnfinished(RequestError):
    """The run of the key goes on, in another process."""

    code = "run_unfinished"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "The first request with this Idempotency-Key is still being answered.",
            hint=f"Send it again, or ask GET /api/v1/runs/{run_id} for its status.",
            retry_after=5,
        )


class AnswerGone(RequestError):
    """The run of the key has ended; its answer was not stored, or was deleted."""

    code = "answer_gone"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "This request was answered before, and the answer is not kept.",
            hint=f"GET /api/v1/runs/{run_id} tells its status. To run the flow again, send another Idempotency-Key.",
        )


class RunInterrupted(RunError):
    """The process of the run died. Its text until then is stored."""

    code = "interrupted"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "The server stopped while it answered this request for the first time.",
            hint=f"GET /api/v1/runs/{run_id} tells what was said. To run the flow again, send another Idempotency-Key.",
        )


class IdempotencyKeyTaken(RunUnfinished):
    """Another request took the key first; the caller gets that request's answer instead of this error."""


def make_idempotency_key(name: str, caller: Caller, flow_id: str, request: RunRequest) -> IdempotencyKey:
    """The key `name` of the caller's person with a digest of the request, by which a repeat is recognized.

    A key belongs to a person, whichever of their tokens sends it. The digest includes what the caller may see and,
    with tweaks, what they may set.
    """
    asked: dict[str, Any] = {
        "input": (request.input_value, request.input_type),
        "output": (request.output_type, request.output_component, caller.sees_inside),
        "tweaks": request.tweaks,
        "session": request.session_id,
    }
    if request.files:
        asked["files"] = request.files
    if request.tweaks and not caller.sets_unprotected:
        asked["sets"] = "opened"
    return digest_request(name, owner=str(caller.counted_as), flow_id=flow_id, asked=asked)


@dataclass(slots=True)
class RepeatableRun:
    """Records one run for repeats. `stop_error` makes the error of a run that is cancelled."""

    idempotency_key: IdempotencyKey
    stop_error: Callable[[], FlowgroundError]
    _events: ReplayedEvents = field(default_factory=ReplayedEvents)
    _calls: int = 0
    _asks_models: bool = False

    def note_models(self, models: Models) -> Models:
        """The same models; the run notes when one is asked."""
        return _NotedModels(self, models)

    def count_outside(self, outside: Outside) -> Outside:
        """The same outside; the run counts its calls, which may have changed something."""

        def count(call: Callable[..., Any]) -> Callable[..., Any]:
            def call_counted(*arguments: Any) -> Any:
                self.note_call()
                return call(*arguments)

            return call_counted

        def find_function(name: str) -> OwnFunction:
            function = outside.find_function(name)
            return replace(function, call=count(function.call))

        return replace(
            outside,
            ask=count(outside.ask),
            search=count(outside.search),
            ask_database=count(outside.ask_database),
            find_function=find_function,
            servers=_CountedServers(self, outside.servers),
        )

    def note_call(self) -> None:
        """Counts a call that cannot be undone."""
        self._calls += 1

    def note_model(self) -> None:
        """Notes that a model is asked."""
        self._asks_models = True

    async def note_events(self, events: AsyncGenerator[RunEvent, None]) -> AsyncGenerator[RunEvent, None]:
        """The same events; the run records them."""
        async with aclosing(events):
            async for event in events:
                if not isinstance(event, RunFinished):
                    self._events.add(event)
                yield event

    def describe_end(
        self,
        wired: WiredFlow,
        turn: TurnStarted,
        messages: Sequence[StoredMessage],
        end: RunFinished | FlowgroundError | None,
        *,
        was_answered: bool,
    ) -> dict[str, Any]:
        """Further arguments of `finish_repeatable_turn`. `end` None: the run was cancelled. `was_answered`: a model has
        answered."""
        outcome = end or self.stop_error()
        receipt = turn.is_kept and write_receipt(
            turn,
            self._events,
            end=outcome,
            messages=messages,
            names=wired.display_names,
            streamed=[name for names in wired.streams_to.values() for name in names],
            shows_tools=wired.shows_tools,
        )
        return {
            "idempotency_key": self.idempotency_key,
            "receipt": receipt or None,
            "is_freed": self._is_without_effect(outcome, was_answered=was_answered),
        }

    def _is_without_effect(self, end: RunFinished | FlowgroundError, *, was_answered: bool) -> bool:
        """Whether the run failed before it did anything that a second run would repeat."""
        if self._calls or isinstance(end, RunFinished | RunStopped | StoppedByAdmin):
            return False
        cause = end.cause if isinstance(end, ComponentFailed) else end
        has_begun = was_answered or self._events.pieces or self._events.action_log.list_actions()
        return not self._asks_models or (isinstance(cause, _REFUSED) and not has_begun)


@dataclass(frozen=True, slots=True)
class _NotedModels:
    run: RepeatableRun
    models: Models

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        resolved = self.models.resolve(model)
        self.run.note_model()
        return resolved


@dataclass(frozen=True, slots=True)
class _CountedServers:
    run: RepeatableRun
    servers: ToolServers

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        return await self.servers.find_tool(server, tool)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        self.run.note_call()
        return await self.servers.call(server, tool, arguments)
