"""What a component type says of its fields, read once from its model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

from flowground.components.base import Component
from flowground.values import ValueKind
from flowground.words import Schema, describe_kind

SMALLEST_STEP = 0.01
_KINDS = {"records": "records, a list of mappings", "files": "files"}
Choices = tuple[str | float | bool, ...]


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a component type. `kind` says in words what it takes, `wants` the kind of value a reference brings.

    `min`, `max` are values that fit, or None; `choices` are the only ones that fit, or None. `is_optional`: null fits.
    `is_template`: its text holds `{variables}`. `is_url`: what fills a part of it is percent-encoded.
    `is_fixed`: nobody but its author sets it, and nobody can open it.
    Where the flow says nothing else, the author may always write a literal, a reference where `takes_references`,
    `${env:NAME}` where `is_secret`; a caller may set it where `callers_may_set`; the model of an agent that calls the
    component gives it where `model_may_set` and the author left it unset.
    """

    name: str
    title: str
    description: str
    kind: str
    wants: ValueKind
    schema: Schema
    is_text: bool
    is_number: bool
    is_whole: bool
    is_required: bool
    is_optional: bool
    min: float | None
    max: float | None
    choices: Choices | None
    is_multiline: bool
    is_template: bool
    is_url: bool
    is_secret: bool
    is_fixed: bool
    takes_references: bool
    callers_may_set: bool
    model_may_set: bool

    @property
    def is_simple(self) -> bool:
        """Whether it takes one text, number, switch or choice."""
        return self.is_text or self.is_number or self.choices is not None or self.schema.get("type") == "boolean"

    @property
    def is_json(self) -> bool:
        """Whether it takes a list or a mapping, which callers send and editors show as JSON."""
        return not self.is_simple and self.wants != "files"

    @property
    def takes_objects(self) -> bool:
        """Whether it takes a mapping."""
        return any(part.get("type") == "object" for part in self.schema.get("anyOf", [self.schema]))


@cache
def list_types(component: type[Component]) -> Mapping[str, FieldType]:
    """The declared fields of a component type, in their order."""
    schema = component.model_json_schema()
    required = schema.get("required", ())
    known = {name: _read_type(name, part, is_required=name in required) for name, part in schema["properties"].items()}
    return MappingProxyType(known)


def takes_variables(component: type[Component]) -> bool:
    """Whether fields beyond the declared ones may be given, as texts."""
    return component.model_config.get("extra") == "allow"


def find_type(component: type[Component], name: str) -> FieldType | None:
    """One field of a component type, a variable too; None where the type can have no such field."""
    if found := list_types(component).get(name):
        return found
    return read_variable(name) if takes_variables(component) else None


@lru_cache(maxsize=4096)
def read_variable(name: str) -> FieldType:
    """A field that a template makes."""
    title = name.replace("_", " ").capitalize()
    schema = {"type": "string", "title": title, "description": "A variable of the template.", "multiline": True}
    return _read_type(name, schema, is_required=False)


def _read_type(name: str, schema: Schema, *, is_required: bool) -> FieldType:
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kinds = {part.get("type") for part in parts}
    choices = tuple(choice for part in parts for choice in part.get("enum", [part["const"]] if "const" in part else []))
    is_text = kinds == {"string"} and not choices
    is_whole = kinds == {"integer"}
    is_number = bool(kinds) and kinds <= {"number", "integer"}
    low, high = _read_bounds(parts, is_whole=is_whole) if is_number else (None, None)
    return FieldType(
        name=name,
        title=schema.get("title", name),
        description=schema.get("description", ""),
        kind=_KINDS.get(schema.get("kind", "")) or describe_kind(schema),
        wants=schema.get("kind") or ("text" if is_text else "data"),
        schema=schema,
        is_text=is_text,
        is_number=is_number,
        is_whole=is_whole,
        is_required=is_required,
        is_optional=len(parts) < len(schema.get("anyOf", [schema])),
        min=low,
        max=high,
        choices=choices or None,
        is_multiline=bool(schema.get("multiline")),
        is_template=bool(schema.get("template")),
        is_url=bool(schema.get("url")),
        is_secret=bool(schema.get("secret")),
        is_fixed=bool(schema.get("fixed")),
        takes_references=not schema.get("literal"),
        callers_may_set=not schema.get("protected") and schema.get("kind") != "files",
        model_may_set=bool(schema.get("model_may_set")) and not schema.get("fixed"),
    )


def _read_bounds(parts: list[Schema], *, is_whole: bool) -> tuple[float | None, float | None]:
    step = 1 if is_whole else SMALLEST_STEP
    lows = [part["minimum"] for part in parts if "minimum" in part]
    lows += [part["exclusiveMinimum"] + step for part in parts if "exclusiveMinimum" in part]
    highs = [part["maximum"] for part in parts if "maximum" in part]
    highs += [part["exclusiveMaximum"] - step for part in parts if "exclusiveMaximum" in part]
    return round_bounds(max(lows, default=None), min(highs, default=None), is_whole=is_whole)


def round_bounds(low: float | None, high: float | None, *, is_whole: bool) -> tuple[float | None, float | None]:
    """The bounds as values that fit: whole numbers for a whole field, floats for another."""
    up, down = (math.ceil, math.floor) if is_whole else (float, float)
    return None if low is None else up(low), None if high is None else down(high)
