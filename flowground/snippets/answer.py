"""Where the text stands in what the run API sends: every language's code is written from this, and the command line
reads by it.

A plain answer is `{outputs: [{outputs: [OUTPUT, …]}]}`. A stream has a JSON object a line, `{event, data}`, and blank
lines between: `token` gives a piece of one answer's text, `end` has the plain answer as its `result`, `error` ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

Path = tuple[str | int, ...]
"""Keys and positions, from the outside to the inside."""


@dataclass(frozen=True, slots=True)
class AnswerWords:
    """The names of events, the keys, and the paths that a reader needs."""

    event: str = "event"
    data: str = "data"
    """Of an event; a message has its own, in which its id stands."""

    token: str = "token"  # noqa: S105 - an event's name
    chunk: str = "chunk"
    id: str = "id"

    failed: str = "error"
    error: str = "error"
    """The sentence of the event `failed`; one without it is about a message, and another follows."""
    hint: str = "hint"

    end: str = "end"
    result: str = "result"

    outputs: Path = ("outputs", 0, "outputs")
    said: Path = ("messages", 0, "message")
    """The text of an output."""
    results: str = "results"
    """The messages of an output by their names; mostly one `message`."""
    message: str = "message"
    text: str = "text"
    """Of a message, and of the short shape."""

    citations: str = "citations"
    """Of the short shape and of an artifact: what its text cites."""
    number: str = "number"
    source: str = "source"

    detail: str = "detail"
    """What is wrong, of a refusal: a sentence, or an object that has it as its `message`."""


WORDS = AnswerWords()


def find(path: Path, value: Any) -> Any:
    """What stands at the path in a JSON value. Raises LookupError and TypeError."""
    return reduce(lambda inner, key: inner[key], path, value)


def write_gaps(write: Callable[[Path], str]) -> dict[str, str]:
    """The words in capitals, for `fill`: `«CHUNK»`; paths as `write` writes them; `said` in two halves too."""
    known = {item.name.upper(): getattr(WORDS, item.name) for item in fields(WORDS)}
    halves = {"SAID_IN": str(WORDS.said[0]), "SAID_WITHIN": WORDS.said[1:]}
    return {name: word if isinstance(word, str) else write(word) for name, word in (known | halves).items()}


def write_in_brackets(path: Path) -> str:
    """`["outputs"][0]["outputs"]`, to follow a name."""
    return "".join(f'["{key}"]' if isinstance(key, str) else f"[{key}]" for key in path)


def write_with_dots(path: Path) -> str:
    """`.outputs[0].outputs`, to follow a name."""
    return "".join(f".{key}" if isinstance(key, str) else f"[{key}]" for key in path)
