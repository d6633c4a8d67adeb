"""Messages as models see them, and token counts: pure values. Ids, owners and times belong to the store."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

MessageRole = Literal["system", "user", "assistant", "tool"]
Decision = Literal["once", "chat", "refuse"]
"""A person's decision on a tool call that waits: allow it once, allow it for the rest of the chat, or refuse it."""
MOST_TOKENS = 2**31 - 1
"""The largest token count: an INTEGER column of a database holds no more."""
SENDERS: Mapping[MessageRole, tuple[str, str]] = {
    "user": ("User", "User"),
    "assistant": ("Machine", "AI"),
    "system": ("Machine", "System"),
}
"""Langflow's words for a message's sender, and the name that is shown."""
Versions = tuple[tuple[str, ...], ...]
"""Ids of a question's versions in the order in which they were written; ids of versions with the same text are
grouped."""
_THINK, _END_OF_THOUGHT = "<think>", "</think>"
_BLANKS = 100
"""Blank characters that may stand before the opening mark."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text beside other parts; a message that is only text holds the text itself."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A stored file, image or document, for a model.

    The part holds no bytes: the provider calls `read` while it writes its request, so a conversation stays small and a
    refused call reads nothing. `read` raises a `RunError` where the file is gone.
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
    """A model's request to call a tool. `misfit` tells the model why its arguments could not be read; they are empty
    then.

    `opaque` is what `provider` needs when it is sent the call again, as in `Reasoning`.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    misfit: str | None = None
    provider: str = ""
    opaque: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's result for the call with this id."""

    call_id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A model's thinking before its answer; in a stream, a piece of it.

    `opaque` is what `provider` needs beside the text when it is sent the message again; other providers ignore it.
    """

    text: str
    provider: str = ""
    opaque: str = ""


MessagePart = TextPart | FilePart | ToolCall | ToolResult | Reasoning


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a model sees it. `content` is its text, in most cases, or its parts in order.

    A message with the role `tool` holds `ToolResult`s; one with `ToolCall`s is the assistant's.
    """

    role: MessageRole
    content: str | tuple[MessagePart, ...]

    @property
    def parts(self) -> tuple[MessagePart, ...]:
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The message's text without its other parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Usage(Struct, frozen=True, array_like=True):
    """Tokens as a model counted them; `cached_tokens` are input tokens that its server had read before."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(add, structs.astuple(self), structs.astuple(other)))


class FallbackUse(NamedTuple):
    """A provider that was down, and the `provider:model` of the fallback that answered instead."""

    down: str
    model: str

    def describe(self, *, sees_inside: bool) -> str:
        """The note for people below the answer; without names for people who see no inside."""
        if sees_inside:
            return f"{self.down} is down; {self.model} answered."
        return "The usual model is down; another one answered."


class LeadingThought:
    """Splits the thinking from a streamed text that begins with `<think>…</think>`.

    Models write such texts where their server does not separate the thinking. `is_over`: only the answer can follow.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._held = ""
        self._stage: Literal["before", "within", "behind"] = "before"
        self._has_begun = False

    def feed(self, text: str, *, is_last: bool = False) -> tuple[str, str]:
        """What the piece adds to the thinking, and to the answer; half a mark at its end is held for the next piece."""
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
    """The thinking between the marks at a text's beginning, and the answer."""
    if not text.lstrip().startswith(_THINK):
        return "", text
    thought, answer = LeadingThought().feed(text, is_last=True)
    return thought.rstrip(), answer


def _count_begun(text: str, mark: str) -> int:
    """How many characters at the text's end may begin the mark."""
    return next((count for count in range(len(mark) - 1, 0, -1) if text.endswith(mark[:count])), 0)


def sum_usage(used: Iterable[Usage | None]) -> Usage | None:
    """The sum of all counts; None where no model counted."""
    counted = [usage for usage in used if usage is not None]
    return reduce(add, counted) if counted else None


def join_surrogates(text: str) -> str:
    """The text with split surrogate pairs joined, as model servers may send them; a lone surrogate becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
