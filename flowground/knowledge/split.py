"""Cuts a text into overlapping passages that end at a heading, a paragraph or a sentence.

Pure: text in, ranges of characters out, in time linear in the text.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*?)[ \t#]*$")
_FENCE = re.compile(r"[ \t]{0,3}(?:```|~~~)")
_SENTENCE = re.compile(r"[.!?…][\"'»”’)\]]*\s+|[。！？]")
_BLANK = re.compile(r"\s+")
_WINDOW = 100_000
_TRAIL_CHARS = 300
"""The most characters of all headings above a passage; the inner ones are kept first."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The characters from `start` to before `end`; `trail` has the headings above them, the outermost first."""

    start: int
    end: int
    trail: tuple[str, ...] = ()


def split_text(text: str, *, size: int = 1000, overlap: int = 200, separator: str = "") -> list[Passage]:
    """Passages of at most `size` characters; each begins up to `overlap` before the end of the one before.

    A passage that begins at a heading repeats nothing. With a `separator` the text is cut behind it only, unless there
    is none in `size` characters. `overlap` must be at most half of `size`, which callers check.
    """
    parts = re.finditer(re.escape(separator), text) if separator else ()
    marks = _Marks(([part.end() for part in parts],)) if separator else _mark(text)
    passages, start = [], 0
    while start < len(text):
        end = _find_end(marks, start, size, len(text))
        first, last = _trim(text, start, end)
        if first < last:
            passages.append(Passage(first, last, _find_trail(marks, first)))
        start = end if end == len(text) or _is_in(marks.headings, end) else _find_start(marks, start, end, overlap)
    return passages


@dataclass(frozen=True, slots=True)
class _Marks:
    """Positions where a text may be cut, the best kind first; and where each heading begins, with its trail."""

    cuts: tuple[Sequence[int], ...]
    headings: Sequence[int] = ()
    trails: Sequence[tuple[str, ...]] = ()


def _find_end(marks: _Marks, start: int, size: int, length: int) -> int:
    """The end of a passage: the first heading after a quarter of the size, else the last of the best positions in the
    second half."""
    at = bisect_right(marks.headings, start + size // 4)
    if at < len(marks.headings) and marks.headings[at] <= min(start + size, length):
        return marks.headings[at]
    if length - start <= size:
        return length
    for cuts in marks.cuts:
        at = bisect_right(cuts, start + size) - 1
        if at >= 0 and cuts[at] > start + size // 2:
            return cuts[at]
    return start + size


def _find_start(marks: _Marks, start: int, end: int, overlap: int) -> int:
    """The start of the next passage: the best position in the overlap, or `end` where there is none."""
    least = max(end - overlap, start + 1)
    for cuts in marks.cuts if overlap else ():
        at = bisect_left(cuts, least)
        if at < len(cuts) and cuts[at] < end:
            return cuts[at]
    return end


def _mark(text: str) -> _Marks:
    headings: list[int] = []
    trails: list[tuple[str, ...]] = []
    lines: list[int] = []
    paragraphs: list[int] = []
    trail: dict[int, str] = {}
    at, is_code = 0, False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            is_code = not is_code
        elif line[0] == "#" and not is_code and (found := _HEADING.match(line)):
            level = len(found[1])
            trail = {above: title for above, title in trail.items() if above < level} | {level: found[2]}
            headings.append(at)
            trails.append(_shorten(trail))
        at += len(line)
        (paragraphs if line.isspace() and not is_code else lines).append(at)
    sentences, blanks = (list(_find_ends(pattern, text)) for pattern in (_SENTENCE, _BLANK))
    return _Marks((paragraphs, lines, sentences, blanks), headings, trails)


def _find_ends(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    """The ends of all matches. The text is searched in windows, since one search holds the interpreter's lock; a window
    ends behind a letter or digit, which no match contains."""
    at = 0
    while at < len(text):
        end = at + _WINDOW
        while end < len(text) and not text[end - 1].isalnum():
            end += 1
        yield from (found.end() for found in pattern.finditer(text, at, end))
        at = end


def _shorten(trail: dict[int, str]) -> tuple[str, ...]:
    left, kept = _TRAIL_CHARS, []
    for title in reversed([trail[level] for level in sorted(trail)]):
        if left > 0:
            kept.append(title[:left])
        left -= len(title)
    return tuple(reversed(kept))


def _find_trail(marks: _Marks, at: int) -> tuple[str, ...]:
    index = bisect_right(marks.headings, at) - 1
    return marks.trails[index] if index >= 0 else ()


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _is_in(places: Sequence[int], place: int) -> bool:
    at = bisect_left(places, place)
    return at < len(places) and places[at] == place
