"""Runs with an idempotency key: the key, its errors, and whether a run that failed may be repeated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from flowground.core.events import TurnFinished, TurnView
from flowground.providers.base import Provider
from flowground.store.runs.idempotency import IdempotencyKey, digest_request
from flowground.tools.mcp import ServerTool

_REFUSED = (ModelNotReady, ProviderBusy, ProviderRefused, ProviderUnreachable)
"""Failures after which the model's server has surely not answered; after a timeout it may have."""


class IdempotencyKeyReused(InvalidRequest):
    """The Idempotency-Key belongs to another request."""

    code = "idempotency_key_reused"
    says = "This Idempotency-Key was sent with another request."
    hint = "Send what was sent with it first: flow, input, tweaks, session and output; or take a new key."


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
    """Records one run for repeats."""

    idempotency_key: IdempotencyKey
    asks_models: bool = False
    _calls: int = 0

    def count_outside(self, outside: Outside) -> Outside:
        """The same outside; the run counts its calls, which may have changed something."""

        def count(call: Callable[..., Any]) -> Callable[..., Any]:
            def call_counted(*arguments: Any) -> Any:
                self.note_call()
                return call(*arguments)

            return call_counted

        return replace(
            outside,
            ask=count(outside.ask),
            search=count(outside.search),
            ask_database=count(outside.ask_database),
            find_function=lambda name: replace(found := outside.find_function(name), call=count(found.call)),
            servers=_CountedServers(self, outside.servers),
        )

    def note_call(self) -> None:
        """Counts a call that cannot be undone."""
        self._calls += 1

    def is_without_effect(self, end: TurnFinished | FlowgroundError, view: TurnView, *, was_answered: bool) -> bool:
        """Whether the run failed before it did anything that a second run would repeat. `view` is of its events so far;
        `was_answered`: a model has answered."""
        if self._calls or isinstance(end, TurnFinished | RunStopped | StoppedByAdmin):
            return False
        cause = end.cause if isinstance(end, ComponentFailed) else end
        has_begun = was_answered or view.texts or view.action_log.found
        return not self.asks_models or (isinstance(cause, _REFUSED) and not has_begun)


@dataclass(frozen=True, slots=True)
class NotedModels:
    """The same models; the run notes when one is asked."""

    run: RepeatableRun
    models: Models

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        resolved = self.models.resolve(model)
        self.run.asks_models = True
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
