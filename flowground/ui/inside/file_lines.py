"""A flow file's text as it is shown: its lines, or of a long one the beginning and what stands around its mistakes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowground.errors import Problem

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""As YAML counts lines."""
MOST_LINES = 2_000
MOST_CHARS = 300_000
"""Of a file that is shown whole; a longer one begins with as much of it."""
_LINE_CHARS = 1_000
_AROUND = 4
"""Lines before and after a mistake behind that."""
MOST_MISTAKES = 100
_WORD = re.compile(r"\$\{[^{}]*\}|[^\s,:\]}]*")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def write_file(text: str, problems: Sequence[Problem]) -> Mapping[str, Any]:
    """`parts` are stretches of lines, each from its `start` on, of `count` lines in all; `mistakes` by their places."""
    lines = _BREAK.split(text)
    if lines[-1] == "":
        lines.pop()
    shown = problems[:MOST_MISTAKES]
    wanted = {*range(_count_whole(lines)), *_list_around(shown, len(lines))}
    return {
        "count": len(lines),
        "parts": [
            {"start": first + 1, "lines": [_write_line(line) for line in lines[first:end]]}
            for first, end in _find_stretches(wanted)
        ],
        "mistakes": [_write_mistake(problem, lines) for problem in shown],
        "more": len(problems) - len(shown),
    }


def _count_whole(lines: Sequence[str]) -> int:
    """How many are shown from the beginning on."""
    left = MOST_CHARS
    for number, line in enumerate(lines[:MOST_LINES]):
        left -= min(len(line), _LINE_CHARS) + 1
        if left < 0:
            return number
    return min(len(lines), MOST_LINES)


def _list_around(problems: Iterable[Problem], count: int) -> Iterable[int]:
    for line in {problem.line - 1 for problem in problems}:
        yield from range(max(0, line - _AROUND), min(count, line + _AROUND + 1))


def _find_stretches(wanted: Iterable[int]) -> list[tuple[int, int]]:
    """Begin and end of each row of numbers without a gap."""
    found: list[tuple[int, int]] = []
    for number in sorted(wanted):
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


def _write_line(line: str) -> str:
    short = line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]} …"
    return _NO_CHARACTER.sub("\ufffd", short)


def _write_mistake(problem: Problem, lines: Sequence[str]) -> Mapping[str, Any]:
    """`length` is that of the words which it is about, as far as they stand there."""
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    here = line[problem.column - 1 :]
    value = problem.value or ""
    found = None if value and here.startswith(value) else _WORD.match(here)
    word = found.group() if found else value
    hint = f"Did you mean `{problem.suggestion}`?" if problem.suggestion else ""
    return {
        "line": problem.line,
        "column": problem.column,
        "length": max(1, min(len(word), _LINE_CHARS)),
        "text": problem.message,
        "hint": hint,
        "is_warning": problem.is_warning,
    }
