"""JSON Schemas that authors write: what is wrong with one, and what of a value does not fit it.

Nothing is fetched, no pattern is tried by backtracking, and no check takes longer than the value is long.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from flowground.components.patterns import WrongPattern, compile_pattern, is_match

_SHOWN = 300
_LEFT_OUT = ("patternProperties", "$dynamicRef", "$recursiveRef", "$id")
"""Words of JSON Schema that are not read here."""


def find_misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """The first thing that does not fit, as a sentence; None where all does."""
    try:
        error = next(_make_validator()(schema).iter_errors(value), None)
    except RecursionError:
        return "it is nested too deeply."
    return None if error is None else _explain(error)


def find_wrong_schema(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema itself, as a sentence; None where nothing is."""
    from jsonschema import SchemaError  # noqa: PLC0415 - 40 ms, and few flows need it

    validator = _make_validator()
    if word := _find_left_out(schema):
        return f"`{word}` is not read here."
    try:
        validator.check_schema(schema)
        for _ in validator(schema).iter_errors({}):
            pass
    except SchemaError as error:
        return _explain(error)
    except RecursionError:
        return "it refers to itself without end."
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

    return validators.extend(Draft202012Validator, {"pattern": _check_pattern, "uniqueItems": _check_unique})


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - as above

    if isinstance(value, str) and not is_match(compile_pattern(pattern), value):
        yield ValidationError(f"it does not match {pattern!r}")


def _check_unique(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError  # noqa: PLC0415 - as above

    if wanted and isinstance(value, list) and len({repr(item) for item in value}) < len(value):
        yield ValidationError("two items of the list are alike")
