"""What a run with an idempotency key does more than others: it takes the key, and keeps what it tells for repeats."""

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
"""A model's server gave no answer. One that took too long may have."""


class IdempotencyKeyReused(InvalidRequest):
    """The Idempotency-Key belongs to a request that asked for something else."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent with another request.",
            hint="Send what was sent with it first: flow, input, tweaks, session and output; or take a new key.",
        )


class RunUnfinished(RequestError):
    """The key's run has no end yet, and its events cannot be followed from this process."""

    code = "run_unfinished"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "The first request with this Idempotency-Key is still being answered.",
            hint=f"Send it again, or ask GET /api/v1/runs/{run_id} for its status.",
            retry_after=5,
        )


class AnswerGone(RequestError):
    """The key's run has its end; what it answered was not kept, or was deleted."""

    code = "answer_gone"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "This request was answered before, and the answer is not kept.",
            hint=f"GET /api/v1/runs/{run_id} tells its status. To run the flow again, send another Idempotency-Key.",
        )


class RunInterrupted(RunError):
    """The process that ran it died. What the run said until then is kept."""

    code = "interrupted"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "The server stopped while it answered this request for the first time.",
            hint=f"GET /api/v1/runs/{run_id} tells what was said. To run the flow again, send another Idempotency-Key.",
        )


class IdempotencyKeyTaken(RunUnfinished):
    """Another request with the same key was quicker; who asked gets that one's answer instead of this error."""


def make_idempotency_key(name: str, caller: Caller, flow_id: str, request: RunRequest) -> IdempotencyKey:
    """By what the request is known again when it is sent again under this name, its idempotency key.

    A key is a person's own, whichever of their tokens sends it. What the caller may see is part of what is asked, and
    beside tweaks what they may set.
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
    """What one run notes of itself. `stop_error` says why a run that is cancelled has no answer."""

    idempotency_key: IdempotencyKey
    stop_error: Callable[[], FlowgroundError]
    _events: ReplayedEvents = field(default_factory=ReplayedEvents)
    _calls: int = 0
    _asks_models: bool = False

    def note_models(self, models: Models) -> Models:
        """The models; it is noted that one is asked."""
        return _NotedModels(self, models)

    def count_outside(self, outside: Outside) -> Outside:
        """The same reach, whose calls count: what was sent may have changed something."""

        def count(call: Callable[..., Any]) -> Callable[..., Any]:
            def call_counted(*given: Any) -> Any:
                self.note_call()
                return call(*given)

            return call_counted

        def find_function(name: str) -> OwnFunction:
            found = outside.find_function(name)
            return replace(found, call=count(found.call))

        return replace(
            outside,
            ask=count(outside.ask),
            search=count(outside.search),
            ask_database=count(outside.ask_database),
            find_function=find_function,
            servers=_CountedServers(self, outside.servers),
        )

    def note_call(self) -> None:
        """Something is called that cannot be taken back."""
        self._calls += 1

    def note_model(self) -> None:
        """A model is asked."""
        self._asks_models = True

    async def note_events(self, events: AsyncGenerator[RunEvent, None]) -> AsyncGenerator[RunEvent, None]:
        """The same events; what they tell is noted."""
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
        """What `finish_repeatable_turn` takes beside a turn's end. `end` None: the run was cancelled. `was_answered`:
        by a model, at least once."""
        told = end or self.stop_error()
        receipt = turn.is_kept and write_receipt(
            turn,
            self._events,
            end=told,
            messages=messages,
            names=wired.display_names,
            streamed=[name for names in wired.streams_to.values() for name in names],
            shows_tools=wired.shows_tools,
        )
        return {
            "idempotency_key": self.idempotency_key,
            "receipt": receipt or None,
            "is_freed": self._is_without_effect(told, was_answered=was_answered),
        }

    def _is_without_effect(self, end: RunFinished | FlowgroundError, *, was_answered: bool) -> bool:
        """Whether it failed before anything was done that a second run would do again."""
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
        found = self.models.resolve(model)
        self.run.note_model()
        return found


@dataclass(frozen=True, slots=True)
class _CountedServers:
    run: RepeatableRun
    servers: ToolServers

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        return await self.servers.find_tool(server, tool)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        self.run.note_call()
        return await self.servers.call(server, tool, arguments)
