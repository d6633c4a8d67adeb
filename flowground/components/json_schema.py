"""JSON Schemas that authors write: what is wrong with one, and what of a value does not fit it.

Nothing is fetched, no pattern is tried by backtracking, and a check ends after `MOST_STEPS`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from flowground.components.patterns import WrongPattern, compile_pattern, is_match

MOST_STEPS = 200_000
"""Words of a schema that are tried on values, in one check: some seconds of CPU time. A schema that refers to itself in
several ways tries each of them at each level of a value, twice as many with every level."""
_STEPS_OF_ERROR = 20
"""What a mistake counts: all those of each way that was tried are kept, with what they are about, and freed at once."""
_DEEPEST = 180
"""Steps within each other: where Python's own bound is met in the middle of one, jsonschema's other half panics."""
_SHOWN = 300
_LEFT_OUT = ("patternProperties", "$dynamicRef", "$recursiveRef", "$id")
"""Words of JSON Schema that are not read here."""


class _TooManySteps(Exception):
    """A check has taken `MOST_STEPS`."""


@dataclass(slots=True)
class _Steps:
    """Those that a check may take still, and within how many others each is."""

    left: int
    depth: int = 0

    def take(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise _TooManySteps


_steps: ContextVar[_Steps] = ContextVar("steps")


def find_misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """The first thing that does not fit, as a sentence; None where all does. May take seconds: call it in a thread."""
    try:
        with _count_steps():
            error = next(_make_validator()(schema).iter_errors(value), None)
    except RecursionError:
        return "it is nested too deeply."
    except _TooManySteps:
        return f"it is no nearer after {MOST_STEPS:,} steps of comparing."
    return None if error is None else _explain(error)


def find_wrong_schema(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema itself, as a sentence; None where nothing is."""
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


def _explain(error: Any) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    place = "".join(parts).lstrip(".")
    return f"{f'`{place}`: ' if place else ''}{error.message[:_SHOWN].rstrip('.')}."


def _find_left_out(schema: Mapping[str, Any]) -> str | None:
    """A word of the schema that is not read here, or a reference that leads nowhere inside it."""
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
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - as above

    checks = {**Draft202012Validator.VALIDATORS, "pattern": _check_pattern, "uniqueItems": _check_unique}
    return validators.extend(Draft202012Validator, {word: partial(_take_step, check) for word, check in checks.items()})


@contextmanager
def _count_steps() -> Iterator[None]:
    token = _steps.set(_Steps(MOST_STEPS))
    try:
        yield
    finally:
        _steps.reset(token)


def _take_step(check: Callable[..., Any], *given: Any) -> Iterator[Any]:
    steps = _steps.get()
    steps.take()
    if steps.depth == _DEEPEST:
        raise RecursionError
    steps.depth += 1
    try:
        for error in check(*given) or ():
            steps.take(_STEPS_OF_ERROR)
            yield error
    finally:
        steps.depth -= 1


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - as above

    if isinstance(value, str) and not is_match(compile_pattern(pattern), value):
        yield ValidationError(f"it does not match {pattern!r}")


def _check_unique(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - as above

    if wanted and isinstance(value, list) and len({repr(item) for item in value}) < len(value):
        yield ValidationError("two items of the list are alike")
