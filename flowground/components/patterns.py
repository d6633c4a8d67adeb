"""Regular expressions for texts and patterns of whoever: matched in time that grows with the text, never by trying."""

from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

LONGEST_PATTERN = 1_000
"""Characters of a pattern."""
LONGEST_MATCHED = 100_000
"""Characters of a text that are looked at."""


class WrongPattern(ValueError):
    """The pattern cannot be read; the message says why."""


def matches(pattern: str, text: str, *, is_case_sensitive: bool = True) -> bool:
    """Whether the text begins with what the pattern says. Raises WrongPattern.

    Its words are those of Rust's regex, which pydantic brings: as Python's, without look-around and back-references.
    """
    compile_pattern(pattern)  # by itself first, so that a mistake is told of what its author wrote
    flags = "" if is_case_sensitive else "(?i)"
    return is_match(_compile(rf"\A{flags}(?:{pattern})"), text)


def is_match(compiled: TypeAdapter[str], text: str) -> bool:
    """Whether the text has somewhere what the pattern says."""
    try:
        compiled.validate_python(text[:LONGEST_MATCHED])
    except ValidationError:
        return False
    return True


def compile_pattern(pattern: str) -> TypeAdapter[str]:
    """The pattern, for `is_match`. Raises WrongPattern."""
    if len(pattern) > LONGEST_PATTERN:
        raise WrongPattern(f"it has {len(pattern):,} characters; {LONGEST_PATTERN:,} is the limit")
    return _compile(pattern)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> TypeAdapter[str]:
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        raise WrongPattern(_find_reason(str(error))) from None


def _find_reason(said: str) -> str:
    """The last line of Rust's picture of the mistake."""
    *_, last = said.strip().splitlines()
    return last.strip().removeprefix("error: ").removeprefix("SchemaError: ").rstrip(".")
