"""The contract of a model provider: the hot path of every run."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from flowground.errors import ProviderError
from flowground.events import ModelProgress
from flowground.messages import Message, Usage

E = TypeVar("E", bound=ProviderError)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a model. `options` holds only what the flow sets (temperature, max_tokens, …)."""

    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer. `text` is the whole of it; `model` is the name to show under it."""

    text: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None


Piece = str | ModelProgress | Completion


class Provider(Protocol):
    """Answers calls for one entry of `providers:`.

    Every failure is raised as an `errors.ProviderError`, an answer beyond all bounds as AnswerTooLong. Cancelling
    the task, or closing the generator, ends the call at the provider too. One instance serves many calls at once on one
    event loop.
    """

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        """Pieces of text as they come, `ModelProgress` before them where weights are fetched, one `Completion` last."""
        ...

    async def complete(self, call: ModelCall) -> Completion:
        """The whole answer at once. Raises `ModelNotReady` rather than wait for weights."""
        ...

    def require_ready(self, model: str) -> None:
        """Returns when `complete` would find weights; else begins their fetch, where allowed, and raises ModelNotReady.

        For doors that would rather refuse than wait, before they promise a stream.
        """
        ...

    async def close(self) -> None:
        """Frees connections and child processes."""
        ...


def again(error: E) -> E:
    """A fresh copy of an error that is raised to several callers: one object would collect all their tracebacks."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    return copy
