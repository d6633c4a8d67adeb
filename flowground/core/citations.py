"""Passages that answers cite by number, as `[1]`, `[2, 3]` or `[^1]`: finding, keeping and describing them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

MOST_CITED = 50
"""Most passages that one answer cites; further numbers stay text."""
MOST_KEPT = 20
"""Passages that are kept with one answer, unless it cites more."""
LONGEST_MARK = 128
"""Most characters of one citation mark."""
_MOST_CHARS = 4_000
"""Most characters that are kept of one passage."""
_DESCRIBED = ("number", "text", "source", "page", "title", "start", "end")
_CITED = re.compile(r"\[\^?(\d{1,4}(?:[,;] ?\^?\d{1,4}){0,20})\](?!\()")
"""The same expression as in frontend/src/sources.js. A Markdown link is no citation."""


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage as a run numbers it, from 1. `start` and `end` are its characters in the text of `source`, a path below
    the flows folder or a web address; `title` has the headings above it.

    `is_hidden`: only readers of an answer that cites the passage may see it.
    """

    number: int
    text: str
    source: str
    page: int | None = None
    title: str = ""
    start: int = 0
    end: int = 0
    is_hidden: bool = False


Citations = tuple[NumberedPassage, ...]
"""The passages that an answer cites, ordered by number."""


def find_numbers(text: str) -> list[int]:
    """The numbers in citation marks, in the order of the text."""
    return [int(number) for found in _CITED.finditer(text) for number in re.findall(r"\d+", found[1])]


def find_cited(text: str, passages: Mapping[int, NumberedPassage]) -> tuple[NumberedPassage, ...]:
    """The passages that a text cites, ordered by number, each cut to what is kept."""
    if not passages:
        return ()
    numbers = [number for number in dict.fromkeys(find_numbers(text)) if number in passages][:MOST_CITED]
    return tuple(shorten(passages[number]) for number in sorted(numbers))


def keep_passages(text: str, passages: Mapping[int, NumberedPassage], *, is_first: bool = True) -> Citations:
    """The passages to keep with an answer: those it cites and, with a run's first answer, others that were looked up,
    `MOST_KEPT` in all."""
    cited = find_cited(text, passages)
    if not is_first or not passages:
        return cited
    used = {passage.number for passage in cited}
    others = [passage for number, passage in sorted(passages.items()) if number not in used and not passage.is_hidden]
    return (*cited, *map(shorten, others[: max(0, MOST_KEPT - len(cited))]))


def split_cited(text: str, kept: Citations) -> tuple[Citations, Citations]:
    """The kept passages that the answer cites, and the others."""
    cited = find_cited(text, {passage.number: passage for passage in kept})
    return cited, tuple(passage for passage in kept if passage not in cited)


def describe_kept(text: str, kept: Citations) -> dict[str, Any]:
    """The kept passages as JSON values: `citations`, and `sources` for those that are not cited; empty lists are left
    out."""
    cited, others = split_cited(text, kept)
    groups = {"citations": describe_passages(cited), "sources": describe_passages(others)}
    return {name: passages for name, passages in groups.items() if passages}


def shorten(passage: NumberedPassage) -> NumberedPassage:
    """The passage, its text cut to what is kept."""
    return passage if len(passage.text) <= _MOST_CHARS else replace(passage, text=f"{passage.text[:_MOST_CHARS]}…")


def describe_passages(passages: Iterable[NumberedPassage]) -> list[dict[str, Any]]:
    """Passages as JSON values, for the store, pages and programs; unknown values are left out."""
    return [
        {name: value for name in _DESCRIBED if (value := getattr(passage, name)) not in (None, "")}
        for passage in passages
    ]


def write_citations(citations: Citations) -> str | None:
    """Passages as JSON text; None where there are none."""
    return json.dumps(describe_passages(citations), ensure_ascii=False) if citations else None


def read_passages(described: Iterable[Mapping[str, Any]]) -> tuple[NumberedPassage, ...]:
    """The inverse of `describe_passages`."""
    return tuple(NumberedPassage(**{"text": "", "source": ""} | dict(passage)) for passage in described)


def read_citations(written: str | None) -> tuple[NumberedPassage, ...]:
    """The inverse of `write_citations`."""
    return read_passages(json.loads(written)) if written else ()


def write_source(passage: NumberedPassage) -> str:
    """A passage's line below an answer, and above its text for a model: `[2] knowledge/handbook.pdf, page 3: Leave`."""
    return f"[{passage.number}] {name_place(passage)}{f': {passage.title}' if passage.title else ''}"


def name_place(passage: NumberedPassage) -> str:
    """A passage's place for people: `knowledge/handbook.pdf, page 3`."""
    return passage.source if passage.page is None else f"{passage.source}, page {passage.page}"
