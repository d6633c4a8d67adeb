"""What is said: pure values. Ids, owners and times belong to the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MessageRole = Literal["system", "user", "assistant"]
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


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a model sees it."""

    role: MessageRole
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens a model counted."""

    input_tokens: int
    output_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


def mend(text: str) -> str:
    """The text with the halves of surrogate pairs joined, as a model's server may cut them; one alone is U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
