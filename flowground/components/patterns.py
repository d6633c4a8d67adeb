"""Regular expressions for texts and patterns of whoever: matched in time that grows with the text, never by trying.

That time grows with the pattern too, its repeats written out: `(a{0,1000}){0,40}` is forty thousand letters long, and
nothing else runs meanwhile. So both are bounded.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

LONGEST_PATTERN = 1_000
"""Characters of a pattern."""
LONGEST_WRITTEN_OUT = 2_000
"""Of a pattern in which each `{…}` stands as often as it repeats, its letters and classes."""
LONGEST_MATCHED = 100_000
"""Characters of a text that are looked at."""
_MOST_WORK = 3_000_000
"""Characters that are looked at, times the length of the pattern written out."""
_TOKEN = re.compile(
    r"""(?P<letter>\\[pPxuU]\{[^}]*\}|\\.|\[\^?+(?:\\.|[^\]\[\\])+\])   # a class too, but for one within another
    |(?P<times>\{[0-9,\s]+\})|(?P<mark>[*+?|^$])|(?P<open>\()|(?P<close>\))|.""",
    re.VERBOSE | re.DOTALL,
)
_TIMES = re.compile(r"\{[0-9,\s]+\}")
_IS_SPACED = re.compile(r"\(\?[a-zA-Z-]*x")
"""Comments may stand in it."""


class WrongPattern(ValueError):
    """The pattern cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One that was read. `size` is how long it is written out."""

    compiled: TypeAdapter[str]
    size: int


def matches(pattern: str, text: str, *, is_case_sensitive: bool = True) -> bool:
    """Whether the text begins with what the pattern says. Raises WrongPattern.

    Its words are those of Rust's regex, which pydantic brings: as Python's, without look-around and back-references.
    """
    compile_pattern(pattern)  # by itself first, so that a mistake is told of what its author wrote
    flags = "" if is_case_sensitive else "(?i)"
    return is_match(_compile(rf"\A{flags}(?:{pattern})"), text)


def is_match(pattern: Pattern, text: str) -> bool:
    """Whether the text has somewhere what the pattern says."""
    try:
        pattern.compiled.validate_python(text[: min(LONGEST_MATCHED, _MOST_WORK // pattern.size)])
    except ValidationError:
        return False
    return True


def compile_pattern(pattern: str) -> Pattern:
    """The pattern, for `is_match`. Raises WrongPattern."""
    if len(pattern) > LONGEST_PATTERN:
        raise WrongPattern(f"it has {len(pattern):,} characters; {LONGEST_PATTERN:,} is the limit")
    if _measure(pattern) > LONGEST_WRITTEN_OUT:
        raise WrongPattern(f"its repeats make it longer than {LONGEST_WRITTEN_OUT:,} letters")
    return _compile(pattern)


def _measure(pattern: str) -> int:
    """How long the pattern is written out, or more than that."""
    if _IS_SPACED.search(pattern):
        return _measure_at_most(pattern)
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "times":
                groups[-1] += last * (_read_times(token[0]) - 1)
                last *= _read_times(token[0])
            case "open":
                groups.append(0)
            case "close" if len(groups) > 1:
                last = groups.pop()
                groups[-1] += last
            case "mark":
                pass
            case None if token[0] == "[":  # a class within another
                return _measure_at_most(pattern)
            case _:
                last = 1
                groups[-1] += 1
    return sum(groups) + 1


def _measure_at_most(pattern: str) -> int:
    """As if all of it were repeated as often as each part of it is."""
    return len(pattern) * prod(_read_times(token[0]) for token in _TIMES.finditer(pattern))


def _read_times(said: str) -> int:
    """The largest number of `{2,5}`."""
    return max((1, *(min(int(number[:9]), 10_000_000) for number in re.findall(r"[0-9]+", said))))


@lru_cache(maxsize=64)
def _compile(pattern: str) -> Pattern:
    try:
        return Pattern(TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)]), _measure(pattern))
    except SchemaError as error:
        raise WrongPattern(_find_reason(str(error))) from None


def _find_reason(said: str) -> str:
    """The last line of Rust's picture of the mistake."""
    *_, last = said.strip().splitlines()
    return last.strip().removeprefix("error: ").removeprefix("SchemaError: ").rstrip(".")
