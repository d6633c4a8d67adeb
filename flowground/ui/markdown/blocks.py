"""A model's Markdown line by line: what is code stays as it is, all else goes through `inline`.

Blocks are told apart as CommonMark 0.31 and GitHub's tables do it, which is what Streamlit's pages read. Raw HTML and
directives need no rules: they are made letters. One pass; a line costs its own length.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from flowground.ui.markdown.inline import BEGINS_BLOCK, is_definitions, rewrite, rewrite_formula

_FENCE = re.compile(r"(`{3,}+)[^`]*+$|(~{3,}+)")
_HEADING = re.compile(r"#{1,6}+(?:[ \t]|$)")
_UNDERLINE = re.compile(r"(?:=++|-++)[ \t]*+$")
_RULE = re.compile(r"(?:(?:\*[ \t]*+){3,}|(?:_[ \t]*+){3,}|(?:-[ \t]*+){3,})$")
_ITEM = re.compile(r"(?:[*+-]|(\d{1,9})[.)])(?=[ \t]|$)", re.A)
_FOOTNOTE = re.compile(r"\[\^(?:[^\s\[\]\\]|\\[\[\]\\])++\]:")
_MATH = re.compile(r"\$\$[^$`]*+$")
_COLUMNS = re.compile(r"\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+$")
_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED_TWICE = re.compile(r"(?<!\\)((?:\\\\)++)(?=\|)")
_QUOTE = -1
_DEEPEST = 24
"""Quotes and lists in one another; marks beyond are letters. A page draws each level by a call of its own."""


@dataclass(slots=True)
class _Cursor:
    """A place in a line. A tab may be taken in part: `column` says how far, `at` stays on it until its end."""

    line: str
    at: int = 0
    column: int = 0

    def look(self) -> tuple[int, int]:
        """Where the next letter stands, and how many columns before it are blank."""
        rest = self.line[self.at :]
        blanks = rest[: len(rest) - len(rest.lstrip(" \t"))]
        before = self.column % 4
        return self.at + len(blanks), len((" " * before + blanks).expandtabs(4)) - before

    def take(self, columns: int) -> None:
        """Goes over so many blank columns."""
        while columns > 0 and self.at < len(self.line) and self.line[self.at] in " \t":
            width = 1 if self.line[self.at] == " " else 4 - self.column % 4
            step = min(width, columns)
            self.column += step
            columns -= step
            self.at += step == width

    def skip(self, letters: int) -> None:
        self.at += letters
        self.column += letters


class _TextLine(NamedTuple):
    """A line of a paragraph: its containers' marks, its text, and whether a table may begin with it."""

    marks: str
    text: str
    is_plain: bool


@dataclass(slots=True)
class Blocks:
    """Reads lines, writes lines. `settled`: how many letters, and how many lines, are final whatever follows."""

    done: list[str] = field(default_factory=list)
    settled: tuple[int, int] = (0, 0)
    _lines: list[str] = field(default_factory=list)
    _containers: list[int] = field(default_factory=list)
    """From the outside in: a quote, or a list's item by the columns that its lines are indented."""
    _fence: str = ""
    _paragraph: list[_TextLine] = field(default_factory=list)
    _is_in_table: bool = False
    _item_is_empty: bool = False

    def read(self, text: str) -> str:
        """The whole text, rewritten."""
        self._lines = text.split("\n")
        at, offset = 0, 0
        while at < len(self._lines):
            after = self._read_line(at, offset)
            offset += sum(len(line) + 1 for line in self._lines[at:after])
            at = after
        self._end_paragraph()
        return "\n".join(self.done)

    def _read_line(self, at: int, offset: int) -> int:
        """Takes one line, or a formula of several; the number of the next."""
        cursor = _Cursor(self._lines[at])
        was_empty, self._item_is_empty = self._item_is_empty, False
        matched = self._match(cursor, was_empty=was_empty)
        if matched < len(self._containers) and not self._paragraph:
            self._leave(matched)
        if self._fence:
            self._read_code(cursor)
            return at + 1
        if not self._containers and not self._paragraph and not self._is_in_table:
            self.settled = (offset, len(self.done))
        return self._begin(cursor, at, matched)

    def _match(self, cursor: _Cursor, *, was_empty: bool = False) -> int:
        """Goes over the marks of the containers that a line continues; how many they are."""
        for depth, container in enumerate(self._containers):
            start, blank = cursor.look()
            is_blank = start == len(cursor.line)
            if container == _QUOTE:
                if is_blank or blank > 3 or cursor.line[start] != ">":
                    return depth
                cursor.take(blank)
                cursor.skip(1)
                cursor.take(1)
            elif is_blank:
                if was_empty and depth == len(self._containers) - 1:
                    return depth
                cursor.take(blank)
            elif blank < container:
                return depth
            else:
                cursor.take(container)
        return len(self._containers)

    def _read_code(self, cursor: _Cursor) -> None:
        start, blank = cursor.look()
        rest = cursor.line[start:].rstrip(" \t")
        if blank <= 3 and len(rest) >= len(self._fence) and not rest.strip(self._fence[0]):
            self._fence = ""
        self.done.append(cursor.line)

    def _begin(self, cursor: _Cursor, at: int, matched: int) -> int:
        """What a line begins or continues after its containers' marks; the number of the next line."""
        while True:
            start, blank = cursor.look()
            rest = cursor.line[start:]
            if not rest or (blank > 3 and not self._paragraph):
                self._leave(matched)  # a blank line, or code by its indent
                self.done.append(cursor.line)
                return at + 1
            is_inside = matched == len(self._containers)
            if blank > 3 or not self._begins_container(rest, is_inside=is_inside):
                break
            if matched >= _DEEPEST:
                number = len(rest) - len(rest.lstrip("0123456789"))
                self._read_text(cursor, matched, rest[:number] + "\\" + rest[number:])
                return at + 1
            self._leave(matched)
            self._enter(cursor, rest)
            matched = len(self._containers)
        if blank <= 3 and self._is_leaf(cursor.line, start, matched):
            return at + 1
        if blank <= 3 and is_inside and _MATH.match(rest) and (end := self._find_formula_end(at)):
            self._leave(matched)
            self.done += map(rewrite_formula, self._lines[at:end])
            return end
        self._read_text(cursor, matched, "\\" + rest if blank <= 3 and BEGINS_BLOCK.match(rest) else rest)
        return at + 1

    def _begins_container(self, rest: str, *, is_inside: bool) -> bool:
        if rest[0] == ">" or _FOOTNOTE.match(rest):
            return True
        found = _ITEM.match(rest)
        if found is None or _RULE.match(rest):
            return False
        if not (self._paragraph and is_inside):
            return True
        return found[1] in (None, "1", "01", "001") and bool(rest[found.end() :].strip(" \t"))

    def _enter(self, cursor: _Cursor, rest: str) -> None:
        """Into a quote, a footnote or an item."""
        blank = cursor.look()[1]
        cursor.take(blank)
        if footnote := _FOOTNOTE.match(rest):
            cursor.skip(footnote.end())
            cursor.take(cursor.look()[1])
            self._containers.append(4)
            return
        found = _ITEM.match(rest)
        if found is None:
            cursor.skip(1)
            cursor.take(1)
            self._containers.append(_QUOTE)
            return
        cursor.skip(found.end())
        start, gap = cursor.look()
        self._item_is_empty = start == len(cursor.line)
        gap = 1 if self._item_is_empty or gap > 4 else gap
        cursor.take(gap)
        self._containers.append(blank + found.end() + gap)

    def _is_leaf(self, line: str, start: int, matched: int) -> bool:
        """Takes the line of a heading, a rule or a fence."""
        rest, fence = line[start:], None
        if self._paragraph and matched == len(self._containers) and _UNDERLINE.match(rest):
            if is_definitions("\n".join(line.text for line in self._paragraph)):
                self._paragraph.append(_TextLine(line[:start], "\\" + rest, False))  # nothing is there to underline
                return True
        elif _HEADING.match(rest):
            line = line[:start] + rewrite(rest)
        elif not _RULE.match(rest) and not (fence := _FENCE.match(rest)):
            return False
        self._leave(matched)
        self._fence = fence[1] or fence[2] if fence else ""
        self.done.append(line)
        return True

    def _find_formula_end(self, at: int) -> int | None:
        """The line after a formula of whole lines, `$$` above and below it; None when it has no end."""
        for number in range(at + 1, len(self._lines)):
            cursor = _Cursor(self._lines[number])
            if self._match(cursor) < len(self._containers):
                return None
            start, blank = cursor.look()
            rest = cursor.line[start:]
            if "`" in rest or "~~~" in rest:
                return None
            if blank <= 3 and rest.startswith("$$"):
                return number + 1 if rest.rstrip(" \t") == "$$" else None
        return None

    def _read_text(self, cursor: _Cursor, matched: int, rest: str) -> None:
        """A line of a paragraph or a table."""
        start, blank = cursor.look()
        marks = cursor.line[:start]
        is_inside = matched == len(self._containers)
        if self._is_in_table:
            self.done.append(marks + _rewrite_row(rest))
            return
        if self._paragraph and is_inside and blank <= 3 and "|" in self._paragraph[-1].text and _COLUMNS.match(rest):
            head = self._paragraph[-1]
            if not head.is_plain or not _is_clear_head(head.text):
                rest = "\\" + rest  # readers differ: no table
            elif len(_split_cells(head.text)) == len(_split_cells(rest)):
                del self._paragraph[-1]
                self._end_paragraph()
                self.done += [head.marks + _rewrite_row(head.text), marks + rest]
                self._is_in_table = True
                return
        self._paragraph.append(_TextLine(marks, rest, is_inside and blank <= 3))

    def _leave(self, matched: int) -> None:
        """Ends what stands in the innermost container, and all containers but so many."""
        self._end_paragraph()
        self._fence = ""
        self._is_in_table = False
        del self._containers[matched:]

    def _end_paragraph(self) -> None:
        lines = self._paragraph
        if lines:
            texts = rewrite("\n".join(line.text for line in lines), is_paragraph=True).split("\n")
            self.done += [line.marks + text for line, text in zip(lines, texts, strict=True)]
            self._paragraph = []


def _split_cells(row: str) -> list[str]:
    cells = _BAR.split(row.strip(" \t"))
    return cells[not cells[0] : len(cells) - (not cells[-1])]


def _is_clear_head(row: str) -> bool:
    """Whether all readers count the same cells in a table's first row."""
    return all(_split_cells(row)) and not _ESCAPED_TWICE.search(row) and not is_definitions(row)


def _rewrite_row(row: str) -> str:
    """A bar ends a cell, and whatever is open in it, also in code."""
    return "|".join(rewrite(cell) for cell in _BAR.split(_ESCAPED_TWICE.sub(r"\1 ", row)))
