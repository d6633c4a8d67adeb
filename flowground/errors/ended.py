"""Runs that were ended, from outside or by a limit."""

from flowground.errors.base import FlowgroundError


class RunError(FlowgroundError):
    """A run failed."""

    code = "run_failed"


class ToolNotCalled(RunError):
    """A tool was not called after all: its arguments do not fit, a person refused it, or nobody is there to answer."""


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


class EndedByAdmin(RunError):
    """An admin ended it, or lets none begin. What it said so far is kept, with this sentence."""


class StoppedByAdmin(EndedByAdmin):
    """An admin stopped this run."""

    code = "stopped_by_admin"

    def __init__(self) -> None:
        super().__init__("An administrator stopped this answer.")


class FlowSwitchedOff(EndedByAdmin):
    """An admin switched the flow off; `says` is what they wrote for people."""

    code = "flow_switched_off"

    def __init__(self, says: str) -> None:
        super().__init__(f"This flow is switched off. {says}" if says else "This flow is switched off at the moment.")


class ProviderSwitchedOff(EndedByAdmin):
    """An admin switched off a provider that the flow asks. Which one, belongs to the flow's inside."""

    code = "provider_switched_off"

    def __init__(self, says: str) -> None:
        what = "The model of this flow is switched off"
        super().__init__(f"{what}. {says}" if says else f"{what} at the moment.")


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


class RunOverBudget(RunError):
    """The run, with all that it started, used up its steps, tokens or money. No component's `step.on_error` goes on."""

    code = "run_over_budget"

    def __init__(self, limit: float, of_what: str, setting: str) -> None:
        most = f"{limit:,}" if isinstance(limit, int) else f"{limit:,g}"
        super().__init__(
            f"The run used more than {most} {of_what}, the most this server allows.",
            hint=f"Ask for less at once. `limits.{setting}` in config.yaml sets the number.",
        )


class AnswerTooLong(RunError):
    """An answer went over `LONGEST_ANSWER`, or over the bytes that so many characters may take."""

    code = "answer_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The answer is longer than {limit:,} characters, the longest this server takes.",
            hint="Ask for less at once.",
        )
