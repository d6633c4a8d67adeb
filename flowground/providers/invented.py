"""JSON that fits a schema, made of what was said: how the scripted model answers where an object is wanted."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def make_json(schema: Mapping[str, Any], said: str) -> Any:
    """The same for the same words: numbers in their order, a choice that is named, else the whole text."""
    return _make(schema, said, iter(_NUMBER.findall(said)))


def _make(schema: Mapping[str, Any], said: str, numbers: Iterator[str]) -> Any:
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices:
        return next((choice for choice in choices if str(choice).casefold() in said.casefold()), choices[0])
    match schema.get("type"):
        case "object":
            return {name: _make(part, said, numbers) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_make(schema.get("items", {}), said, numbers)]
        case "integer":
            return int(_fit(schema, float(next(numbers, "0"))))
        case "number":
            return _fit(schema, float(next(numbers, "0")))
        case "boolean":
            return "yes" in said.casefold()
        case "null":
            return None
    return said


def _fit(schema: Mapping[str, Any], number: float) -> float:
    """The nearest number within the bounds, where there are some."""
    return float(min(max(number, schema.get("minimum", number)), schema.get("maximum", number)))
