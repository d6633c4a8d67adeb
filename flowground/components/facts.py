"""What is known of a component type's fields, read once from its model: for mistakes, tweaks, forms and docs alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from flowground.components.base import Component
from flowground.flow.words import Schema, kind_of


@dataclass(frozen=True, slots=True)
class Facts:
    """One field. `kind` says in words what it takes; `text` whether a reference may stand in it."""

    name: str
    title: str
    description: str
    kind: str
    schema: Schema
    text: bool = False
    number: bool = False
    whole: bool = False
    required: bool = False
    default: Any = None
    secret: bool = False
    protected: bool = False
    advanced: bool = False
    multiline: bool = False
    template: bool = False


@cache
def facts_of(component: type[Component]) -> Mapping[str, Facts]:
    """The declared fields of a component type, in their order."""
    schema = component.model_json_schema()
    required = schema.get("required", ())
    known = {name: _facts(name, part, name in required) for name, part in schema["properties"].items()}
    return MappingProxyType(known)


def takes_variables(component: type[Component]) -> bool:
    """Whether fields beyond the declared ones may be given, as texts."""
    return component.model_config.get("extra") == "allow"


def fact_of(component: type[Component], name: str) -> Facts | None:
    """One field of a component type, a variable too; None where the type can have no such field."""
    if found := facts_of(component).get(name):
        return found
    return _variable(name) if takes_variables(component) else None


def _variable(name: str) -> Facts:
    title = name.replace("_", " ").capitalize()
    return Facts(name, title, "A variable of the template.", "text", {"type": "string"}, text=True, multiline=True)


def _facts(name: str, schema: Schema, required: bool) -> Facts:
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kinds = {part.get("type") for part in parts}
    flags = ("secret", "protected", "advanced", "multiline", "template")
    return Facts(
        name=name,
        title=schema.get("title", name),
        description=schema.get("description", ""),
        kind=kind_of(schema),
        schema=schema,
        text=kinds == {"string"} and not any("enum" in part or "const" in part for part in parts),
        number=bool(kinds) and kinds <= {"number", "integer"},
        whole=kinds == {"integer"},
        required=required,
        default=schema.get("default"),
        **{flag: bool(schema.get(flag)) for flag in flags},
    )
