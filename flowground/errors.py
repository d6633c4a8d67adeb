"""The one error tree. Every message says what is wrong, where, and what to do; no secret, path or traceback in it.

FlowgroundError
├── ConfigError              the operator's config.yaml is wrong
├── FlowError                the author's flow file is wrong
├── RequestError             the caller asked for something that cannot be
│   ├── InvalidRequest       the body or a parameter does not fit
│   ├── InputConflict        the input is given twice
│   ├── TweaksRefused        an override names what is unknown, protected, connected or out of bounds
│   ├── BodyTooLarge         the body is over the limit
│   ├── NotSignedIn          no caller, or one that is no longer valid
│   ├── RunLimitReached      as many runs as there may be; says when there may be more
│   ├── NotAllowed           a known caller may not do this
│   ├── FlowNotFound         no such flow for this caller: unknown and forbidden look the same
│   ├── RunNotFound          no such run of this caller: unknown and forbidden look the same
│   ├── EventsGone           this run's events are not kept, or not any more
│   └── RunElsewhere         another process runs it
├── StoreUnavailable         the database is busy, full, away or does not answer
└── RunError                 a run failed
    ├── ShuttingDown         the server ends; the same call may succeed elsewhere or later
    ├── RunStopped           somebody stopped it
    ├── UnexpectedFailure    a mistake of ours; the log has the rest
    ├── RunTimeout           it took longer than `limits.run_seconds`
    ├── AnswerTooLong        an answer went over `limits.answer_chars`; what was said until then is kept
    ├── ComponentFailed      one component failed; carries its id and the cause
    └── ProviderError        the model's server failed
        ├── ProviderRefused  it answered with an error status
        ├── ProviderBusy     it asked to come back later (429)
        ├── ProviderTimeout  it did not answer in time
        ├── ProviderUnreachable  nothing answers at its address
        └── ModelNotReady    the weights are being fetched or loaded

What only one room can meet stands there, below one of these: a missing key in `doors`, half a body in `api`, a built-in
model that cannot start in `providers`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack


class _More(TypedDict, total=False):
    code: str | None
    hint: str | None
    retry_after: float | None


class FlowgroundError(Exception):
    """Base of all errors that are ours.

    `message` is a sentence for a person, `code` a stable word for a program, `hint` says what to do, `retry_after` in
    how many seconds the same may succeed, where that is known.
    """

    code = "error"

    def __init__(self, message: str, **more: Unpack[_More]) -> None:
        super().__init__(message)
        self.message = message
        self.code = more.get("code") or self.code
        self.hint = more.get("hint")
        self.retry_after = more.get("retry_after")

    @property
    def full_message(self) -> str:
        """The message and what to do, in one line."""
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigError(FlowgroundError):
    """The configuration is wrong; the app does not start with it."""

    code = "config_invalid"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a flow file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    value: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return f"{said} (did you mean {self.suggestion}?)" if self.suggestion else said


class FlowError(FlowgroundError):
    """A flow file cannot be used; `problems` lists every mistake with its place."""

    code = "flow_invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RequestError(FlowgroundError):
    """The caller asked for something that cannot be."""

    code = "request_invalid"


class InvalidRequest(RequestError):
    """The body or a parameter does not fit; `problems` are pydantic-like dicts (type, loc, msg), without the input."""

    def __init__(self, message: str, *, problems: Iterable[Mapping[str, object]] = (), **more: Unpack[_More]) -> None:
        super().__init__(message, **more)
        self.problems = tuple(problems)


class InputConflict(RequestError):
    """The input is given both as `input_value` and as a tweak."""

    code = "input_conflict"


class TweaksRefused(RequestError):
    """At least one tweak cannot be applied; none was."""

    code = "TWEAKS_REFUSED"

    def __init__(self, message: str, *, fields: Iterable[str]) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class BodyTooLarge(RequestError):
    """The body is over the limit."""

    code = "body_too_large"


class NotSignedIn(RequestError):
    """Nobody, or somebody who is no longer signed in, asks."""

    code = "not_signed_in"


class RunLimitReached(RequestError):
    """There were as many runs as this caller, their address or the flow may have.

    `retry_after` is there where time alone decides, `limit` where it is a minute's: how many there may be in one.
    """

    code = "rate_limited"

    def __init__(self, message: str, *, limit: int | None = None, **more: Unpack[_More]) -> None:
        super().__init__(message, **more)
        self.limit = limit


class NotAllowed(RequestError):
    """The caller is known and may not do this."""

    code = "not_allowed"


class FlowNotFound(RequestError):
    """No such flow for this caller: unknown and forbidden look the same."""

    code = "flow_not_found"

    def __init__(self, address: str) -> None:
        super().__init__(f"Flow identifier {address} not found")
        self.address = address


class RunNotFound(RequestError):
    """No such run of this caller: unknown and forbidden look the same."""

    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id[:80]} of this token's.")


class EventsGone(RequestError):
    """This run's events are not kept, or not any more: those of runs with `?stream=sse` are, for a while."""

    code = "events_gone"

    def __init__(self) -> None:
        super().__init__(
            "The events of this run are not kept.",
            hint="Runs with ?stream=sse keep them until limits.resume_seconds after their end. Ask for the run itself.",
        )


class RunElsewhere(RequestError):
    """Only the process that runs it can stop a run."""

    code = "run_elsewhere"

    def __init__(self) -> None:
        super().__init__("Another process of this server runs it.", hint="Try again: the next call may reach that one.")


class StoreUnavailable(FlowgroundError):
    """The database cannot be used just now; the same may succeed after `retry_after` seconds.

    `store_busy`: nothing was stored. `unknown_outcome`: a write was begun and not answered in time, it may be done.
    """

    code = "store_unavailable"

    def __init__(self, message: str = "This server cannot store messages just now.", **more: Unpack[_More]) -> None:
        super().__init__(message, **_More(hint="Try again in a little while.", retry_after=5) | more)


class RunError(FlowgroundError):
    """A run failed."""

    code = "run_failed"


class ShuttingDown(RunError):
    """The server ends before the run could."""

    code = "shutting_down"

    def __init__(self, *, hint: str | None = None) -> None:
        super().__init__("The server is stopping.", hint=hint)


class RunStopped(RunError):
    """The run was stopped by whose it is, or because nobody followed it. What it said so far is kept."""

    code = "run_stopped"

    def __init__(self) -> None:
        super().__init__("The run was stopped.")


class UnexpectedFailure(RunError):
    """A failure that nobody foresaw. Callers learn nothing else about it; the log has its traceback."""

    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("Something went wrong on this server.")


class RunTimeout(RunError):
    """The run took longer than `limits.run_seconds`."""

    code = "run_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The run took longer than {seconds:g} seconds, the longest this server allows.",
            hint="Ask for less at once. `limits.run_seconds` in config.yaml sets the time.",
        )


class AnswerTooLong(RunError):
    """An answer went over `limits.answer_chars`, or over the bytes that so many characters may take."""

    code = "answer_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The answer is longer than {limit:,} characters, the longest this server takes.",
            hint="Ask for less at once. `limits.answer_chars` in config.yaml sets the length.",
        )


class ComponentFailed(RunError):
    """One component failed; `cause` is the typed reason. `component_id` is None where the caller sees no inside."""

    def __init__(self, component_id: str | None, cause: FlowgroundError, *, message: str | None = None) -> None:
        said = message or f"Component {component_id!r} failed: {cause.message}"
        super().__init__(said, code=cause.code, hint=None if message else cause.hint)
        self.component_id = component_id
        self.cause = cause

    def hide_inside(self) -> "ComponentFailed":
        """The same failure without the flow's inside: what kind it is, not where, and not in the provider's words."""
        match self.cause:
            case ModelNotReady() | StoreUnavailable() | AnswerTooLong():
                message = self.cause.message
            case ProviderBusy():
                message = "The model is busy: try again a little later."
            case ProviderTimeout():
                message = "The model did not answer in time."
            case ProviderError():
                message = "The model failed."
            case _:
                message = "The flow failed."
        return ComponentFailed(None, self.cause, message=message)


class ProviderError(RunError):
    """A model provider failed. `status` is its HTTP status, where known."""

    code = "model_failed"

    def __init__(self, message: str, *, status: int | None = None, **more: Unpack[_More]) -> None:
        super().__init__(message, **more)
        self.status = status


class ProviderRefused(ProviderError):
    """The provider answered with an error status, or with something that is no answer."""


class ProviderBusy(ProviderError):
    """The provider asks to come back later."""

    code = "model_busy"


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""

    code = "model_timeout"


class ProviderUnreachable(ProviderError):
    """Nothing answers at the provider's address, or the connection broke."""

    code = "model_unreachable"


class ModelNotReady(ProviderError):
    """The built-in model's weights are still being fetched or loaded; `received` of `total` bytes are here."""

    code = "model_not_ready"

    def __init__(self, message: str, *, received: int = 0, total: int = 0, **more: Unpack[_More]) -> None:
        super().__init__(message, **more)
        self.received = received
        self.total = total
