"""What is said: pure values. Ids, owners and times belong to the store."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

MessageRole = Literal["system", "user", "assistant", "tool"]
Decision = Literal["once", "chat", "refuse"]
"""What a person says of a tool's call that waits: it is allowed, for all the chat, or refused."""
MOST_TOKENS = 2**31 - 1
"""More is no count: no column of a database holds it."""
SENDERS: Mapping[MessageRole, tuple[str, str]] = {
    "user": ("User", "User"),
    "assistant": ("Machine", "AI"),
    "system": ("Machine", "System"),
}
"""Langflow's words for who speaks: sender, and the name that is shown."""
Versions = tuple[tuple[str, ...], ...]
"""Ids of a question's versions in the order in which they were said; those with the same text stand together."""
_THINK, _END_OF_THOUGHT = "<think>", "</think>"
_BLANKS = 100
"""Characters that may stand before the mark."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text beside other parts; a message that is only text holds the text itself."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A stored file, image or document, as a model is shown it.

    The part holds no bytes: `read` gives them to the provider while it writes the call, so that a conversation is small
    and a refused call reads nothing. It raises a `RunError` where the file is gone.
    """

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    read: Callable[[], Awaitable[bytes]] = field(repr=False, compare=False)

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants a tool called. `misfit` tells it why its arguments could not be read; they are empty then.

    `opaque` is what `provider` needs when it is given the call again, as `Reasoning` says.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    misfit: str | None = None
    provider: str = ""
    opaque: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the tool gave for the call with this id."""

    call_id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought before it answered; in a stream, a piece of it.

    `opaque` is what `provider` needs beside the text when it is given the message again; for others it means nothing.
    """

    text: str
    provider: str = ""
    opaque: str = ""


MessagePart = TextPart | FilePart | ToolCall | ToolResult | Reasoning


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a model sees it. `content` is its text, as nearly always, or its parts in order.

    A message with the role `tool` holds `ToolResult`s, one with `ToolCall`s is the assistant's.
    """

    role: MessageRole
    content: str | tuple[MessagePart, ...]

    @property
    def parts(self) -> tuple[MessagePart, ...]:
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """Its text without the other parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens a model counted; `cached_tokens` are those of the input that its server had read before."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


class StandIn(NamedTuple):
    """A provider that was down, and who answered in its place: the `provider:model` of one of its fallbacks."""

    down: str
    model: str

    def describe(self, *, sees_inside: bool) -> str:
        """As people read it below the answer; who sees no inside is told no names."""
        if sees_inside:
            return f"{self.down} is down; {self.model} answered."
        return "The usual model is down; another one answered."


class LeadingThought:
    """Takes what a model thought out of a text that begins with `<think>…</think>`, as its pieces come.

    So models write whose server does not tell it apart. `is_over` once what comes is the answer alone.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._held = ""
        self._stage: Literal["before", "within", "behind"] = "before"
        self._has_begun = False

    def feed(self, text: str, *, is_last: bool = False) -> tuple[str, str]:
        """What the piece adds to the thought, and to the answer; half a mark at its end waits for the next one."""
        text, self._held = self._held + text, ""
        if self._stage == "before":
            begun = text.lstrip()
            if not begun.startswith(_THINK):
                self.is_over = is_last or len(text) > _BLANKS or not _THINK.startswith(begun)
                self._held = "" if self.is_over else text
                return "", text if self.is_over else ""
            self._stage, text = "within", begun[len(_THINK) :]
        thought = ""
        if self._stage == "within":
            thought, closed, text = text.partition(_END_OF_THOUGHT)
            if not self._has_begun:
                thought = thought.lstrip()
                self._has_begun = bool(thought)
            if not closed:
                held = 0 if is_last else _count_begun(thought, _END_OF_THOUGHT)
                self._held = thought[len(thought) - held :]
                return thought[: len(thought) - held], ""
            self._stage = "behind"
        text = text.lstrip()
        self.is_over = bool(text)
        return thought, text


def split_thought(text: str) -> tuple[str, str]:
    """What a model thought before it answered, between the marks at the beginning, and its answer."""
    if not text.lstrip().startswith(_THINK):
        return "", text
    thought, said = LeadingThought().feed(text, is_last=True)
    return thought.rstrip(), said


def _count_begun(text: str, mark: str) -> int:
    """How many characters at the end of the text begin the mark."""
    return next((count for count in range(len(mark) - 1, 0, -1) if text.endswith(mark[:count])), 0)


def sum_usage(used: Iterable[Usage | None]) -> Usage | None:
    """All of it together; None where nobody counted."""
    total = None
    for usage in used:
        if usage is not None:
            total = usage if total is None else total + usage
    return total


def join_surrogates(text: str) -> str:
    """The text with the halves of surrogate pairs joined, as a model's server may cut them; one alone is U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
