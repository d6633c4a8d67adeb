"""Patterns of paths, such as `knowledge/**/*.{md,pdf}`: what is wrong with one, and which paths it means.

A path is matched part by part, so that no pattern takes longer than the path is long.
"""

import fnmatch
import re
from functools import lru_cache

_MOST_PATTERNS = 64
_PATTERN_CHARS = 300
_BRACES = re.compile(r"\{([^{}]*)\}")

PathPattern = tuple["re.Pattern[str] | None", ...]
"""One expression for each part of a path; None is `**`."""


def explain_pattern(pattern: str) -> str | None:
    """What is wrong with a pattern, as the end of a sentence about it; None where nothing is."""
    if not pattern or len(pattern) > _PATTERN_CHARS or not pattern.isprintable():
        return f"has 1 to {_PATTERN_CHARS} printable characters"
    if pattern.startswith(("/", "~")) or "\\" in pattern or re.match(r"[A-Za-z]:", pattern):
        return "counts from the flows folder and has `/` between its parts, like knowledge/**/*.md"
    if any(part in ("", ".", "..") for part in pattern.split("/")):
        return "stays inside the flows folder: it has no part that is empty, `.` or `..`"
    if len(expand_braces(pattern)) > _MOST_PATTERNS:
        return f"stands for {_MOST_PATTERNS} patterns at most"
    if any(one.count("{") or one.count("}") for one in expand_braces(pattern)):
        return "has a brace without its other one"
    return None


def match_path(path: str, pattern: str) -> bool:
    """Whether a pattern means this path; a wrong one means none."""
    for one in _compile_pattern(pattern) if len(pattern) <= _PATTERN_CHARS else ():
        states = add_empty(one, {0})
        for part in path.split("/"):
            states = follow_part(one, states, part)
        if len(one) in states:
            return True
    return False


@lru_cache(64)
def _compile_pattern(pattern: str) -> tuple[PathPattern, ...]:
    """Of one that is asked about thousands of paths; nothing of a wrong one."""
    return () if explain_pattern(pattern) else tuple(map(compile_path, expand_braces(pattern)))


def expand_braces(pattern: str) -> list[str]:
    """`*.{md,txt}` as `*.md` and `*.txt`; of a pattern that stands for too many, more than there may be."""
    done: list[str] = []
    waiting = [pattern]
    while waiting and len(done) <= _MOST_PATTERNS:
        one = waiting.pop()
        if found := _BRACES.search(one):
            waiting += [one[: found.start()] + choice + one[found.end() :] for choice in found[1].split(",")]
            if len(waiting) > _MOST_PATTERNS * 2:
                return [pattern] * (_MOST_PATTERNS + 1)
        else:
            done.append(one)
    return sorted(done)


def compile_path(pattern: str) -> PathPattern:
    """A pattern without braces."""
    return tuple(None if part == "**" else re.compile(fnmatch.translate(part)) for part in pattern.split("/"))


def follow_part(pattern: PathPattern, states: set[int], name: str) -> set[int]:
    """Where in the pattern one stands after one more part of a path."""
    after = set()
    for at in states:
        if at < len(pattern):
            part = pattern[at]
            if part is None:
                after.add(at)
            elif part.match(name):
                after.add(at + 1)
    return add_empty(pattern, after)


def add_empty(pattern: PathPattern, states: set[int]) -> set[int]:
    """`**` may stand for no part at all."""
    closed = set(states)
    for at in range(len(pattern)):
        if at in closed and pattern[at] is None:
            closed.add(at + 1)
    return closed
