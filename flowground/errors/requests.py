"""What a caller asked for cannot be."""

from collections.abc import Iterable, Mapping
from typing import Unpack

from flowground.errors.base import More, RequestError


class InvalidRequest(RequestError):
    """The body or a parameter does not fit; `problems` are pydantic-like dicts (type, loc, msg), without the input."""

    def __init__(self, message: str, *, problems: Iterable[Mapping[str, object]] = (), **more: Unpack[More]) -> None:
        super().__init__(message, **more)
        self.problems = tuple(problems)


class AnswerUnfinished(InvalidRequest):
    """An answer is written in the conversation that is to be changed."""

    def __init__(self) -> None:
        super().__init__("An answer is still being written in this conversation.", hint="Stop it first.")


class OptionMissing(RequestError):
    """An option that the flow's author requires is empty; nothing ran."""

    code = "option_missing"


class InputConflict(RequestError):
    """The input is given both as `input_value` and as a tweak."""

    code = "input_conflict"


class TweaksRefused(RequestError):
    """At least one tweak cannot be applied; none was. `token_may_not_set` where another token might apply it."""

    code = "TWEAKS_REFUSED"

    def __init__(self, message: str, *, fields: Iterable[str], **more: Unpack[More]) -> None:
        super().__init__(message, **more)
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

    def __init__(self, message: str, *, limit: int | None = None, **more: Unpack[More]) -> None:
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
        super().__init__(f"This token has no run {run_id[:80]}.")


class EventsGone(RequestError):
    """This run's events are not kept, or not any more: those of runs with `?stream=sse` are, for a while."""

    code = "events_gone"

    def __init__(self) -> None:
        super().__init__(
            "The events of this run are not kept.",
            hint="Runs with ?stream=sse keep them until limits.resume_seconds after their end. Ask for the run itself.",
        )


class DecidedElsewhere(RequestError):
    """The call waits in another process, which was told what was decided, and has not taken it yet."""

    code = "decided_elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "Another process of this server is running it, and has not taken the decision yet.",
            hint="It has been told. Look at the run again in a moment.",
        )


class RunElsewhere(RequestError):
    """The process that runs it was asked to stop it, and has not done so yet."""

    code = "run_elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "Another process of this server is running it, and has not stopped it yet.",
            hint="It has been asked to. Look at the run again in a moment.",
        )
