"""JSON, JSON Schemas and regular expressions from anybody, read and checked in bounded time."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from flowground.core.errors import RunError
from flowground.core.messages import join_surrogates
from flowground.core.words import show

_FENCE = "```"
_EMPTY = "The text is no JSON: it is empty."
MOST_PARTS = 200_000
"""The most lists and objects in one JSON text: Python builds each of them, and blocks everything else meanwhile."""
LONGEST_PATTERN = 1_000
"""The most characters of a pattern."""
LONGEST_WRITTEN_OUT = 2_000
"""The most letters and classes of a pattern in which each `{…}` is written out as often as it repeats."""
LONGEST_MATCHED = 100_000
"""The most characters of a text that are searched."""
_MOST_WORK = 3_000_000
"""The most characters searched, multiplied by the length of the pattern written out."""
_TOKEN = re.compile(
    r"""(?P<letter>\\[pPxuU]\{[^}]*\}|\\.|\[\^?+\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\[\\])*\])   # a class is one, too
    |(?P<times>\{[0-9,\s]+\})|(?P<mark>[*+?|^$])|(?P<open>\()|(?P<close>\))|.""",
    re.VERBOSE | re.DOTALL,
)
_IS_SPACED = re.compile(r"(?<!\\)(?:\\\\)*\(\?[a-zA-Z-]*x")
"""The pattern may contain comments."""
MOST_STEPS = 200_000
"""The most keywords of a schema that one check tries on values: some seconds of CPU time. A schema that refers to
itself several times tries each reference at each level of a value, so that every level doubles the work."""
_STEPS_OF_ERROR = 20
"""The steps that an error counts: the errors of all alternatives are kept, with their values, and freed at once."""
_DEEPEST = 180
"""The most nested steps: if Python's own recursion limit were hit inside a step, the Rust part of jsonschema would
panic."""
_SHOWN = 300
_LEFT_OUT = ("patternProperties", "$dynamicRef", "$recursiveRef", "$id")
"""Keywords of JSON Schema that are not supported."""


def read_json_text(text: str) -> Any:
    """The value of a JSON text. Raises RunError with line and column where the text is no JSON."""
    text = join_surrogates(text)
    begin, end = _find_json(text)
    json_text = text[begin:end]
    if json_text.count("[") + json_text.count("{") > MOST_PARTS:
        raise RunError(f"The text holds more than {MOST_PARTS:,} lists and objects.")
    try:
        return orjson.loads(json_text)
    except orjson.JSONDecodeError as error:
        at = begin + error.pos
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        found = f"{show(text[at : at + 40])} stands there" if text[at:end].strip() else "it ends there"
        raise RunError(
            f"The text is no JSON: line {line}, column {column}: {error.msg}; {found}." if json_text.strip() else _EMPTY
        ) from None


class WrongPattern(ValueError):
    """The pattern cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `size` is its length written out."""

    compiled: TypeAdapter[str]
    size: int


def matches(pattern: str, text: str, *, is_case_sensitive: bool = True) -> bool:
    """Whether the text begins with a match of the pattern. Raises WrongPattern.

    The syntax is that of Rust's regex, which pydantic includes: Python's, without look-around and back-references.
    """
    compile_pattern(pattern)  # compiled unchanged first, so that errors are about the author's text
    flags = "" if is_case_sensitive else "(?i)"
    return is_match(_compile(rf"\A{flags}(?:{pattern})"), text)


def is_match(pattern: Pattern, text: str) -> bool:
    """Whether the text contains a match of the pattern."""
    try:
        pattern.compiled.validate_python(text[: min(LONGEST_MATCHED, _MOST_WORK // pattern.size)])
    except ValidationError:
        return False
    return True


def compile_pattern(pattern: str) -> Pattern:
    """The compiled pattern, for `is_match`. Raises WrongPattern."""
    if len(pattern) > LONGEST_PATTERN:
        raise WrongPattern(f"it has {len(pattern):,} characters; {LONGEST_PATTERN:,} is the limit")
    if _measure(pattern) > LONGEST_WRITTEN_OUT:
        raise WrongPattern(f"its repeats make it longer than {LONGEST_WRITTEN_OUT:,} letters")
    return _compile(pattern)


def find_misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """The first mismatch, as a sentence; None where the value fits. May take seconds: call it in a thread."""
    try:
        with _count_steps():
            error = next(_make_validator()(schema).iter_errors(value), None)
    except RecursionError:
        return "it is nested too deeply."
    except _TooManySteps:
        return f"it is no nearer after {MOST_STEPS:,} steps of comparing."
    return None if error is None else _explain(error)


def find_wrong_schema(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with the schema itself, as a sentence; None where nothing is."""
    from jsonschema import SchemaError  # noqa: PLC0415 - 40 ms, and few flows need it

    validator = _make_validator()
    if word := _find_left_out(schema):
        return f"`{word}` is not read here."
    try:
        validator.check_schema(schema)
        with _count_steps():
            for _ in validator(schema).iter_errors({}):
                pass
    except SchemaError as error:
        return _explain(error)
    except RecursionError:
        return "it refers to itself without end."
    except _TooManySteps:
        return f"comparing with it takes more than {MOST_STEPS:,} steps."
    return None


def _find_json(text: str) -> tuple[int, int]:
    """The begin and end of the JSON in a text: the whole text, or the part between its first two fences."""
    fence = text.find(_FENCE)
    if fence < 0 or text[:fence].lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"'):
        return len(text) - len(text.lstrip("\ufeff")), len(text)
    begin = fence + len(_FENCE)
    if text[begin : begin + 4].lower() == "json":
        begin += 4
    end = text.find(f"\n{_FENCE}", begin)  # no string in JSON contains a line break, so none contains this
    end = text.find(_FENCE, begin) if end < 0 else end
    return begin, len(text) if end < 0 else end


def _measure(pattern: str) -> int:
    """The length of the pattern written out. Raises WrongPattern for what cannot be measured."""
    if _IS_SPACED.search(pattern):
        raise WrongPattern("it has the flag `x`")
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
            case None if token[0] == "[":
                raise WrongPattern("a class stands inside a class")
            case _:
                last = 1
                groups[-1] += 1
    return sum(groups) + 1


def _read_times(said: str) -> int:
    """The largest number in `{2,5}`."""
    return max((1, *(min(int(number[:9]), 10_000_000) for number in re.findall(r"[0-9]+", said))))


@lru_cache(maxsize=64)
def _compile(pattern: str) -> Pattern:
    try:
        return Pattern(TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)]), _measure(pattern))
    except SchemaError as error:
        raise WrongPattern(_find_reason(str(error))) from None


def _find_reason(message: str) -> str:
    """The last line of Rust's error message, which has the reason."""
    *_, last = message.strip().splitlines()
    return last.strip().removeprefix("error: ").removeprefix("SchemaError: ").rstrip(".")


class _TooManySteps(Exception):
    """A check has taken `MOST_STEPS`."""


@dataclass(slots=True)
class _Steps:
    """The steps that a check may still take, and how deeply they are nested."""

    left: int
    depth: int = 0

    def take(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise _TooManySteps


_steps: ContextVar[_Steps] = ContextVar("steps")


def _explain(error: Any) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    place = "".join(parts).lstrip(".")
    return f"{f'`{place}`: ' if place else ''}{error.message[:_SHOWN].rstrip('.')}."


def _find_left_out(schema: Mapping[str, Any]) -> str | None:
    """An unsupported keyword in the schema, or a reference that leads nowhere in it."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        for word, inner in part.items() if isinstance(part, Mapping) else ():
            if word in _LEFT_OUT:
                return str(word)
            if (word == "$ref" and not _is_inside(schema, inner)) or (word == "pattern" and _is_wrong(inner)):
                return f"{word}: {inner}"[:_SHOWN]
            waiting.append(inner)
        if isinstance(part, list):
            waiting += part
    return None


def _is_inside(schema: Mapping[str, Any], reference: Any) -> bool:
    """Whether a reference is a path inside the schema: nothing is fetched."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return False
    found: Any = schema
    for name in reference.split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return isinstance(found, Mapping)


def _is_wrong(pattern: Any) -> bool:
    try:
        return isinstance(pattern, str) and not compile_pattern(pattern)
    except WrongPattern:
        return True


@cache
def _make_validator() -> Any:
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - 40 ms, and few flows need it

    checks = {**Draft202012Validator.VALIDATORS, "pattern": _check_pattern, "uniqueItems": _check_unique}
    return validators.extend(Draft202012Validator, {word: partial(_take_step, check) for word, check in checks.items()})


@contextmanager
def _count_steps() -> Iterator[None]:
    token = _steps.set(_Steps(MOST_STEPS))
    try:
        yield
    finally:
        _steps.reset(token)


def _take_step(check: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    steps = _steps.get()
    steps.take()
    if steps.depth == _DEEPEST:
        raise RecursionError
    steps.depth += 1
    try:
        for error in check(*arguments) or ():
            steps.take(_STEPS_OF_ERROR)
            yield error
    finally:
        steps.depth -= 1


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - 40 ms, and few flows need it

    if isinstance(value, str) and not is_match(compile_pattern(pattern), value):
        yield ValidationError(f"it does not match {pattern!r}")


def _check_unique(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - 40 ms, and few flows need it

    if wanted and isinstance(value, list) and len({repr(item) for item in value}) < len(value):
        yield ValidationError("two items of the list are alike")
