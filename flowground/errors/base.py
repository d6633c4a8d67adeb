"""What all errors have, and those that belong to no one request and no run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict, Unpack


class More(TypedDict, total=False):
    code: str | None
    hint: str | None
    retry_after: float | None


class FlowgroundError(Exception):
    """Base of all errors that are ours.

    `message` is a sentence for a person, `code` a stable word for a program, `hint` says what to do, `retry_after` in
    how many seconds the same may succeed, where that is known.
    """

    code = "error"

    def __init__(self, message: str, **more: Unpack[More]) -> None:
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
    """One mistake in a flow file, or a warning: then the flow works. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    value: str | None = None
    suggestion: str | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}:{self.column}: {'warning: ' if self.is_warning else ''}{self.message}"
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


class StoreUnavailable(FlowgroundError):
    """The database cannot be used at the moment; the same may succeed after `retry_after` seconds.

    `store_busy`: nothing was stored. `unknown_outcome`: a write was begun and not answered in time, it may be done.
    `run_id` is the run that was to be stored: by it the caller may ask what became of it.
    """

    code = "store_unavailable"
    run_id: str | None = None

    def __init__(self, message: str = "Messages cannot be stored at the moment.", **more: Unpack[More]) -> None:
        super().__init__(message, **More(hint="Try again in a little while.", retry_after=5) | more)


class ServerBusy(FlowgroundError):
    """This process has as many runs as it takes, and as many that wait. Nothing was stored."""

    code = "server_busy"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "This server is answering as many requests as it can at once.",
            hint=f"Try again in {seconds} s.",
            retry_after=seconds,
        )
