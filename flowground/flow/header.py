"""All that a flow file says beside its components, validated."""

from typing import Any

from pydantic import ValidationError

from flowground.errors import nearest
from flowground.flow.document import Document, Path
from flowground.flow.format import Header
from flowground.flow.words import Schema, kind_of, show

_SCHEMA = Header.model_json_schema()


def read_header(document: Document) -> Header | None:
    """All but the components; None where there are mistakes, which the document then holds."""
    assert document.root is not None  # noqa: S101 - the caller looked
    given = {key: node.plain() for key, node in document.root.value.items() if key != "components"}
    try:
        return Header.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            _header_problem(document, detail["loc"], detail["type"])
        return None


def _header_problem(document: Document, loc: Path, kind: str) -> None:
    if kind == "extra_forbidden":
        known = [*_schema_at(loc[:-1]).get("properties", {}), *(["components"] if len(loc) == 1 else [])]
        name, where = str(loc[-1]), f"`{_dotted(loc[:-1])}`" if loc[:-1] else "a flow"
        word = nearest(name, known)
        message = f"There is no `{name}` in {where}" + ("." if word else f"; it has {', '.join(known)}.")
        document.problem(document.place(loc).key, message, value=name, suggestion=word)
    elif kind == "missing":
        document.problem(document.place(loc[:-1]).value, f"`{_dotted(loc)}` is missing.")
    else:
        path = document.existing(loc)
        value = _value_at(document, path)
        message = f"`{_dotted(path)}` is {_bounded(_schema_at(path))}, not {show(value)}."
        document.problem(document.place(path).value, message, value=value)


def _schema_at(path: Path) -> Schema:
    """The schema of the value at `path` of the header."""
    schema: Schema = _SCHEMA
    for part in path:
        schema = _resolved(schema)
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return _resolved(schema)


def _resolved(schema: Schema) -> Schema:
    if "anyOf" in schema:
        schema = next((part for part in schema["anyOf"] if part.get("type") != "null"), schema)
    if "$ref" in schema:
        schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _bounded(schema: Schema) -> str:
    kind = kind_of(schema, _SCHEMA["$defs"])
    if schema.get("type") == "string" and "maxLength" in schema:
        return f"{kind} of 1 to {schema['maxLength']} characters"
    if schema.get("type") == "array" and "maxItems" in schema:
        return f"{kind}, up to {schema['maxItems']}"
    return kind


def _value_at(document: Document, path: Path) -> Any:
    value: Any = document.root.plain() if document.root else None
    for part in path:
        value = value[part]
    return value


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)
