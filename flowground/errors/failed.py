"""Runs of which a component failed, most often by its model's server."""

import re
from typing import Unpack

from flowground.errors.base import FlowgroundError, More, StoreUnavailable
from flowground.errors.ended import AnswerTooLong, RunError

_FAILED = "Component {!r} failed: {}"


class ProviderError(RunError):
    """A model provider failed. `status` is its HTTP status, where known."""

    code = "model_failed"

    def __init__(self, message: str, *, status: int | None = None, **more: Unpack[More]) -> None:
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

    def __init__(self, message: str, *, received: int = 0, total: int = 0, **more: Unpack[More]) -> None:
        super().__init__(message, **more)
        self.received = received
        self.total = total


class SentFileFailed(RunError):
    """A file that whoever asks sent cannot be used. The message begins with its name, and whoever asks may read it."""

    code = "file_unreadable"


class NoDocuments(RunError):
    """The flow answers from documents, and there are none in all that it looks into. Whoever asks may read it."""

    code = "no_documents"
    says = "There are no documents to answer from yet."

    def __init__(self) -> None:
        super().__init__(
            self.says, hint="Add some on the page Knowledge, or where the flow's `knowledge:` looks for them."
        )


class ComponentFailed(RunError):
    """One component failed; `cause` is the typed reason. `component_id` is None where the caller sees no inside."""

    def __init__(self, component_id: str | None, cause: FlowgroundError, *, message: str | None = None) -> None:
        said = message or _FAILED.format(component_id, cause.message)
        super().__init__(said, code=cause.code, hint=None if message else cause.hint)
        self.component_id = component_id
        self.cause = cause

    def hide_inside(self) -> "ComponentFailed":
        """The same failure without the flow's inside: what kind it is, not where, and not in the provider's words."""
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
    """A failure, told or stored, as people read it who see the inside: the reason itself, then where it happened."""
    begin, _, end = (re.escape(part) for part in _FAILED.partition("{!r}"))
    found = re.fullmatch(f"{begin}'([^'`]+)'{end.removesuffix(re.escape('{}'))}(.+)", reason, re.DOTALL)
    return f"{found[2]} This happened in the component `{found[1]}`." if found else reason


def hide_component(reason: str) -> str:
    """Why a stored answer failed, for who sees no inside: the run may have been made by somebody who does."""
    return "The flow failed." if reason.startswith(_FAILED.partition("{")[0]) else reason
