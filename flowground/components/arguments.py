"""What a file says of a tool's own arguments: in words, or with a type."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import orjson
from pydantic import WithJsonSchema

from flowground.components.base import Mistake
from flowground.errors import RunError
from flowground.words import Schema, describe_kind, show

_TYPES = ("string", "integer", "number", "boolean")
_SCHEMA: Schema = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": [*_TYPES]}, "description": {"type": "string"}},
            "additionalProperties": False,
        },
    ]
}
ToldArgument = Annotated[Any, WithJsonSchema(_SCHEMA)]
"""Words, or `{type: integer, description: …}`; what it really is, is looked at by `is_said`."""


def is_said(said: Any) -> bool:
    """Whether this can be said of an argument."""
    if not isinstance(said, dict):
        return isinstance(said, str)
    is_known = said.get("type") in _TYPES and said.keys() <= {"type", "description"}
    return is_known and isinstance(said.get("description", ""), str)


def find_mistakes(arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """What cannot be said of an argument."""
    for name, said in arguments.items():
        if not is_said(said):
            says = f"`arguments` says of `{name}` in words what it is, or `{{type: integer, description: …}}`"
            yield Mistake("arguments", f"{says}; a type is string, integer, number or boolean.")


def list_typed(arguments: Mapping[str, Any]) -> Mapping[str, Schema]:
    """The arguments of which a type is said."""
    return {name: build_schema(said, "") for name, said in arguments.items() if isinstance(said, dict)}


def write_typed(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a model gave: what has a type as a text that says it, the rest as it is. Raises RunError."""
    typed = list_typed(arguments)
    return {
        name: write_value(read_typed(name, value, typed[name])) if name in typed else value
        for name, value in given.items()
    }


def write_value(value: Any) -> str:
    """As a text, as JSON says it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_schema(said: Any, otherwise: str) -> Schema:
    """JSON Schema of one argument: its type, and what it is; `otherwise`, where nothing is said of that."""
    if not isinstance(said, dict):
        said = {} if said is None else {"description": str(said)}
    return {"type": said.get("type", "string"), "description": said.get("description", otherwise)}


def read_typed(name: str, value: Any, schema: Schema) -> Any:
    """A text as the value of the type that the argument has; such a value as it is. Raises RunError."""
    wanted = schema["type"]
    if wanted == "string" and isinstance(value, str):
        return value
    read = _read_json(value)
    if wanted == "integer" and isinstance(read, float) and read.is_integer() and abs(read) < 2**53:
        read = int(read)
    fits = {"integer": (int,), "number": (int, float), "boolean": (bool,)}.get(wanted, ())
    if not isinstance(read, fits) or (isinstance(read, bool) and wanted != "boolean"):
        raise RunError(f"`{name}` is {describe_kind(schema)}, not {show(value)}.")
    return read


def _read_json(value: Any) -> Any:
    """As the request will hold it: whole numbers of 64 bits at most, and nothing that is no JSON, which is None."""
    try:
        return orjson.loads(value if isinstance(value, str) else json.dumps(value))
    except ValueError:
        return None
