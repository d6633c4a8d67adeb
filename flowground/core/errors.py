"""The tree of our errors. A message says what is wrong, where, and what to do; it holds no secret, path or traceback.

FlowgroundError
├── ConfigError              the operator's config.yaml is wrong
├── FlowError                the author's flow file is wrong
├── RequestError             the caller asked for something that cannot be
│   ├── InvalidRequest       the body or a parameter does not fit
│   │   └── AnswerUnfinished  an answer is still written in the conversation
│   ├── InputConflict        the input is given twice
│   ├── OptionMissing        an option that the author requires is empty
│   ├── TweaksRefused        an override names what is unknown, protected, connected or out of bounds
│   ├── BodyTooLarge         the body is over the limit
│   ├── NotSignedIn          no caller, or one who is no longer signed in
│   ├── RunLimitReached      a limit of runs is reached
│   ├── NotAllowed           a known caller may not do this
│   ├── FlowNotFound         no such flow for this caller: unknown and forbidden look the same
│   ├── RunNotFound          no such run of this caller: unknown and forbidden look the same
│   ├── EventsGone           this run's events are not kept, or no longer
│   ├── DecidedElsewhere     another process runs the run, and has not confirmed the decision yet
│   └── RunElsewhere         another process runs the run, and has not stopped it yet
├── ServerBusy               this process runs as many runs as it takes, and as many wait
├── StoreUnavailable         the database is busy, full, gone or does not answer
└── RunError                 a run failed
    ├── ToolNotCalled        a tool was not called: wrong arguments, or nobody allowed the call
    ├── ShuttingDown         the server ends; the same call may succeed later
    ├── RunStopped           the owner stopped the run, or nobody read it any more
    ├── EndedByAdmin         an admin stopped the run, or switched off what it needs
    │   ├── StoppedByAdmin   this one run
    │   ├── FlowSwitchedOff  all runs of this flow
    │   └── ProviderSwitchedOff  all runs that need this provider
    ├── UnexpectedFailure    a mistake of ours; the log has its traceback
    ├── RunTimeout           the run took longer than `limits.run_seconds`
    ├── RunOverBudget        a run used up its steps or tokens, with the flows that it ran
    ├── AnswerTooLong        an answer is too long; its text so far is kept
    ├── SentFileFailed       a file that the caller sent cannot be used
    ├── NoDocuments          the flow answers from documents, and has none yet
    ├── ComponentFailed      one component failed; carries its id and the cause
    └── ProviderError        the model's server failed
        ├── ProviderRefused  the server answered with an error status
        ├── ProviderBusy     the server asked to come back later (429)
        ├── ProviderTimeout  the server did not answer in time
        ├── ProviderUnreachable  nothing answers at the address
        └── ModelNotReady    the weights are being fetched or loaded

Errors that only one package can raise stand there, below one of these: half a body in `api`, a built-in model that
cannot start in `providers`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

_FAILED = "Component {!r} failed: {}"


class ErrorExtras(TypedDict, total=False):
    code: str | None
    hint: str | None
    retry_after: float | None


class FlowgroundError(Exception):
    """Base of all our errors.

    `message` is a sentence for people, `code` a stable word for programs, `hint` says what to do, and `retry_after`
    after how many seconds the same call may succeed, where that is known. A class whose sentence is always the same
    has it as `says`.
    """

    code = "error"
    says = ""
    hint: str | None = None

    def __init__(self, message: str = "", **more: Unpack[ErrorExtras]) -> None:
        self.message = message or self.says
        super().__init__(self.message)
        self.code = more.get("code") or self.code
        self.hint = more.get("hint") or self.hint
        self.retry_after = more.get("retry_after")

    @property
    def full_message(self) -> str:
        """The message and the hint, in one line."""
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigError(FlowgroundError):
    """The configuration is wrong; the app does not start with it."""

    code = "config_invalid"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a flow file, or a warning: then the flow works. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    value: str | None = None
    suggestion: str | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {'warning: ' if self.is_warning else ''}{self.message}"
        return f"{text} (did you mean {self.suggestion}?)" if self.suggestion else text


class FlowError(FlowgroundError):
    """A flow file cannot be used; `problems` lists every mistake with its place."""

    code = "flow_invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RequestError(FlowgroundError):
    """The request asks for something impossible or forbidden."""

    code = "request_invalid"


class StoreUnavailable(FlowgroundError):
    """The database cannot be used at the moment; the same call may succeed after `retry_after` seconds.

    The code `store_busy` means that nothing was stored; `unknown_outcome` that a write was begun and not confirmed in
    time, so it may have been stored. `run_id` is the run that was to be stored: with it the caller can ask for the run
    later.
    """

    code = "store_unavailable"
    run_id: str | None = None

    def __init__(self, message: str = "Messages cannot be stored at the moment.", **more: Unpack[ErrorExtras]) -> None:
        super().__init__(message, **ErrorExtras(hint="Try again in a little while.", retry_after=5) | more)


class ServerBusy(FlowgroundError):
    """This process runs as many runs as it takes, and as many are waiting. Nothing was stored."""

    code = "server_busy"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "This server is answering as many requests as it can at once.",
            hint=f"Try again in {seconds} s.",
            retry_after=seconds,
        )


class RunError(FlowgroundError):
    """A run failed."""

    code = "run_failed"


class ToolNotCalled(RunError):
    """A tool was not called: its arguments do not fit, a person refused the call, or nobody is there to decide."""


class ShuttingDown(RunError):
    """The server ended before the run did."""

    code = "shutting_down"
    says = "The server is stopping."


class RunStopped(RunError):
    """The run's owner stopped it, or nobody read its events any more. Its text so far is kept."""

    code = "run_stopped"
    says = "The run was stopped."


class EndedByAdmin(RunError):
    """An admin stopped the run, or switched off what it needs. Its text so far is kept, with this sentence."""


class StoppedByAdmin(EndedByAdmin):
    """An admin stopped this run."""

    code = "stopped_by_admin"
    says = "An administrator stopped this answer."


class FlowSwitchedOff(EndedByAdmin):
    """An admin switched the flow off; `says` is the sentence that they wrote for people."""

    code = "flow_switched_off"

    def __init__(self, says: str) -> None:
        super().__init__(f"This flow is switched off. {says}" if says else "This flow is switched off at the moment.")


class ProviderSwitchedOff(EndedByAdmin):
    """An admin switched off a provider that the flow needs. The provider's name is part of the flow's inside."""

    code = "provider_switched_off"

    def __init__(self, says: str) -> None:
        what = "The model of this flow is switched off"
        super().__init__(f"{what}. {says}" if says else f"{what} at the moment.")


class UnexpectedFailure(RunError):
    """A failure that nobody foresaw. Callers learn nothing more; the log has the traceback."""

    code = "internal_error"
    says = "Something went wrong on this server."


class RunTimeout(RunError):
    """The run took longer than `limits.run_seconds`."""

    code = "run_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The run took longer than {seconds:g} seconds, the longest this server allows.",
            hint="Ask for less at once. `limits.run_seconds` in config.yaml sets the time.",
        )


class RunOverBudget(RunError):
    """The run, with all that it started, used up its steps, tokens or money; no `step.on_error` continues it."""

    code = "run_over_budget"

    def __init__(self, limit: float, of_what: str, setting: str) -> None:
        most = f"{limit:,}" if isinstance(limit, int) else f"{limit:,g}"
        super().__init__(
            f"The run used more than {most} {of_what}, the most this server allows.",
            hint=f"Ask for less at once. `limits.{setting}` in config.yaml sets the number.",
        )


class AnswerTooLong(RunError):
    """An answer has more than `LONGEST_ANSWER` characters, or more bytes than those may take."""

    code = "answer_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The answer is longer than {limit:,} characters, the longest this server takes.",
            hint="Ask for less at once.",
        )


class ProviderError(RunError):
    """A model provider failed. `status` is its HTTP status, where known."""

    code = "model_failed"

    def __init__(self, message: str, *, status: int | None = None, **more: Unpack[ErrorExtras]) -> None:
        super().__init__(message, **more)
        self.status = status


class ProviderRefused(ProviderError):
    """The provider answered with an error status, or with something that cannot be read."""


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

    def __init__(self, message: str, *, received: int = 0, total: int = 0, **more: Unpack[ErrorExtras]) -> None:
        super().__init__(message, **more)
        self.received = received
        self.total = total


class SentFileFailed(RunError):
    """A file that the caller sent cannot be used. The message begins with the file's name and may be shown to the
    caller."""

    code = "file_unreadable"


class NoDocuments(RunError):
    """The flow answers from documents, and its knowledge has none. The message may be shown to the caller."""

    code = "no_documents"
    says = "There are no documents to answer from yet."
    hint = "Add some on the page Knowledge, or where the flow's `knowledge:` looks for them."


class ComponentFailed(RunError):
    """One component failed; `cause` is the typed reason. `component_id` is None for callers who see no inside."""

    def __init__(self, component_id: str | None, cause: FlowgroundError, *, message: str | None = None) -> None:
        text = message or _FAILED.format(component_id, cause.message)
        super().__init__(text, code=cause.code, hint=None if message else cause.hint)
        self.component_id = component_id
        self.cause = cause

    def hide_inside(self) -> "ComponentFailed":
        """The same failure without the flow's inside: its kind, but neither the component nor the provider's words."""
        match self.cause:
            case ModelNotReady() | StoreUnavailable() | AnswerTooLong() | SentFileFailed() | NoDocuments():
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


def explain_failure(reason: str) -> str:
    """A failure's text for people who see the inside: the reason first, then the component in which it happened."""
    begin, _, end = (re.escape(part) for part in _FAILED.partition("{!r}"))
    found = re.fullmatch(f"{begin}'([^'`]+)'{end.removesuffix(re.escape('{}'))}(.+)", reason, re.DOTALL)
    return f"{found[2]} This happened in the component `{found[1]}`." if found else reason


def hide_component(reason: str) -> str:
    """A stored failure's text for people who see no inside, since somebody who does may have made the run."""
    return "The flow failed." if reason.startswith(_FAILED.partition("{")[0]) else reason


class InvalidRequest(RequestError):
    """The body or a parameter does not fit; `problems` are pydantic-like dicts (type, loc, msg), without the input."""

    def __init__(
        self, message: str = "", *, problems: Iterable[Mapping[str, object]] = (), **more: Unpack[ErrorExtras]
    ) -> None:
        super().__init__(message, **more)
        self.problems = tuple(problems)


class AnswerUnfinished(InvalidRequest):
    """The conversation that is to be changed still has an answer being written."""

    says = "An answer is still being written in this conversation."
    hint = "Stop it first."


class OptionMissing(RequestError):
    """An option that the flow's author requires is empty; nothing was run."""

    code = "option_missing"


class InputConflict(RequestError):
    """The input is given both as `input_value` and as a tweak."""

    code = "input_conflict"


class TweaksRefused(RequestError):
    """At least one tweak cannot be applied, so none was. `token_may_not_set`: another token might apply it."""

    code = "TWEAKS_REFUSED"

    def __init__(self, message: str, *, fields: Iterable[str], **more: Unpack[ErrorExtras]) -> None:
        super().__init__(message, **more)
        self.fields = tuple(fields)


class BodyTooLarge(RequestError):
    """The body is over the limit."""

    code = "body_too_large"


class NotSignedIn(RequestError):
    """The caller is not signed in, or not any more."""

    code = "not_signed_in"


class RunLimitReached(RequestError):
    """This caller, their address or the flow has reached a limit of runs.

    `retry_after` is set where waiting alone helps, `limit` (runs in a minute) where a limit by the minute was reached.
    """

    code = "rate_limited"

    def __init__(self, message: str, *, limit: int | None = None, **more: Unpack[ErrorExtras]) -> None:
        super().__init__(message, **more)
        self.limit = limit


class NotAllowed(RequestError):
    """The caller is known, and not allowed to do this."""

    code = "not_allowed"


class FlowNotFound(RequestError):
    """The caller reaches no such flow: unknown and forbidden flows look the same."""

    code = "flow_not_found"

    def __init__(self, address: str) -> None:
        super().__init__(f"Flow identifier {address} not found")
        self.address = address


class RunNotFound(RequestError):
    """The caller has no such run: unknown and forbidden runs look the same."""

    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"This token has no run {run_id[:80]}.")


class EventsGone(RequestError):
    """The events of this run are not kept, or no longer: those of streamed runs are, as long as their messages."""

    code = "events_gone"
    says = "The events of this run are not kept."
    hint = "Streamed runs keep them as long as their messages. Ask for the run itself."


class DecidedElsewhere(RequestError):
    """The call waits in another process, which was sent the decision and has not confirmed it yet."""

    code = "decided_elsewhere"
    says = "Another process of this server is running it, and has not taken the decision yet."
    hint = "It has been told. Look at the run again in a moment."


class RunElsewhere(RequestError):
    """Another process runs the run; it was asked to stop it and has not done so yet."""

    code = "run_elsewhere"
    says = "Another process of this server is running it, and has not stopped it yet."
    hint = "It has been asked to. Look at the run again in a moment."
