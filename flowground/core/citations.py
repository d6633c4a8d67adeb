"""Passages by number, and which of them a text cites: `[1]`, `[2, 3]` or `[^1]`."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

MOST_CITED = 50
"""Passages that one answer cites; those behind them stay text."""
MOST_KEPT = 20
"""Passages that are kept with one answer, unless it cites more."""
LONGEST_MARK = 128
"""Characters of the longest one."""
_MOST_CHARS = 4_000
"""Of a passage that is kept with an answer."""
_DESCRIBED = ("number", "text", "source", "page", "title", "start", "end")
_CITED = re.compile(r"\[\^?(\d{1,4}(?:[,;] ?\^?\d{1,4}){0,20})\](?!\()")
"""As frontend/src/sources.js reads it. A link in Markdown is none."""


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage as a run knows it: `number` counts from 1. `start` and `end` are its characters in the text of the
    file `source`, a path below the flows folder or an address of the web; `title` are the headings above it.

    `is_hidden`: nobody is shown it who reads an answer that does not cite it."""

    number: int
    text: str
    source: str
    page: int | None = None
    title: str = ""
    start: int = 0
    end: int = 0
    is_hidden: bool = False


Citations = Sequence[NumberedPassage]
"""What an answer cites, by number."""


def find_numbers(text: str) -> list[int]:
    """The numbers that stand in square brackets, in their order."""
    return [int(number) for found in _CITED.finditer(text) for number in re.findall(r"\d+", found[1])]


def find_cited(text: str, passages: Mapping[int, NumberedPassage]) -> tuple[NumberedPassage, ...]:
    """The passages that a text cites, in the order of their numbers, each cut to what is kept of it."""
    if not passages:
        return ()
    numbers = [number for number in dict.fromkeys(find_numbers(text)) if number in passages][:MOST_CITED]
    return tuple(shorten(passages[number]) for number in sorted(numbers))


def keep_passages(text: str, passages: Mapping[int, NumberedPassage], *, is_first: bool = True) -> Citations:
    """What is kept with an answer: the passages that it cites, and with the first one of a run others that were looked
    up, as many as there is room for."""
    cited = find_cited(text, passages)
    if not is_first or not passages:
        return cited
    told = {passage.number for passage in cited}
    others = [passage for number, passage in sorted(passages.items()) if number not in told and not passage.is_hidden]
    return (*cited, *map(shorten, others[: max(0, MOST_KEPT - len(cited))]))


def split_cited(text: str, kept: Citations) -> tuple[Citations, Citations]:
    """Of what is kept with an answer, what it cites and what was looked up besides."""
    cited = find_cited(text, {passage.number: passage for passage in kept})
    return cited, tuple(passage for passage in kept if passage not in cited)


def describe_kept(text: str, kept: Citations) -> dict[str, Any]:
    """As JSON has it: `citations`, and `sources` for what was looked up besides, where there are some."""
    cited, others = split_cited(text, kept)
    told = {"citations": describe_passages(cited), "sources": describe_passages(others)}
    return {name: passages for name, passages in told.items() if passages}


def shorten(passage: NumberedPassage) -> NumberedPassage:
    """The passage with as much of its text as is kept."""
    return passage if len(passage.text) <= _MOST_CHARS else replace(passage, text=f"{passage.text[:_MOST_CHARS]}…")


def describe_passages(passages: Iterable[NumberedPassage]) -> list[dict[str, Any]]:
    """As JSON has them, for the store, for pages and for programs; what is not known is left out."""
    return [
        {name: value for name in _DESCRIBED if (value := getattr(passage, name)) not in (None, "")}
        for passage in passages
    ]


def write_citations(citations: Citations) -> str | None:
    """JSON; None where there are none."""
    return json.dumps(describe_passages(citations), ensure_ascii=False) if citations else None


def read_passages(described: Iterable[Mapping[str, Any]]) -> tuple[NumberedPassage, ...]:
    """What `describe_passages` wrote."""
    return tuple(NumberedPassage(**{"text": "", "source": ""} | dict(passage)) for passage in described)


def read_citations(written: str | None) -> tuple[NumberedPassage, ...]:
    """What `write_citations` wrote."""
    return read_passages(json.loads(written)) if written else ()


def write_source(passage: NumberedPassage) -> str:
    """The line for it below an answer, and above its text for a model: `[2] knowledge/handbook.pdf, page 3: Leave`."""
    return f"[{passage.number}] {name_place(passage)}{f': {passage.title}' if passage.title else ''}"


def name_place(passage: NumberedPassage) -> str:
    """Where it stands, for people: `knowledge/handbook.pdf, page 3`."""
    return passage.source if passage.page is None else f"{passage.source}, page {passage.page}"
