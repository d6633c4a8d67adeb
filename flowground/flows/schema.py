"""A JSON Schema of flow files for editors, made from the models.

`python -m docs.generate` writes it into docs/, `python -m flowground schema` prints it. The first line of a flow file,
`# yaml-language-server: $schema=…/flow.schema.json`, gives an editor completion and checks.
"""

import json
from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from flowground.components import COMPONENTS
from flowground.components.base import FIELD_MARKS, Component, ToolComponent
from flowground.flows.fields import FieldType, list_types, takes_variables
from flowground.flows.flow import Header, StepSection
from flowground.flows.parse import ADDRESS, COMPONENT_ID, OLD_FIELDS, OLD_TYPES, UUID

_DIALECT = "http://json-schema.org/draft-07/schema#"
_ABOUT = ("title", "description", "default")
_REFERENCES = {"type": "string", "pattern": r"^(\$\{[^{}]+\})+$", "description": "A reference, `${Component.output}`."}
"""The alternative for a field that is no text: one whole reference, or a join of several."""


def build_flow_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7, which editors know best) of a flow file."""
    header = Header.model_json_schema(ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = header.pop("$defs")
    definitions["Overridable"] = {
        "anyOf": [{"type": "string", "pattern": r"^[^.]+\.[^.]+$"}, definitions["Overridable"]],
        "description": definitions["Overridable"].pop("description"),
    }
    definitions["Component"] = _build_component()
    definitions["StepSection"] = StepSection.model_json_schema()
    definitions |= {name: _build_type(kind) for name, kind in COMPONENTS.items()}
    _add_pattern(definitions["ApiSection"]["properties"]["endpoint_name"])
    _add_pattern(header["properties"]["id"])
    components = {
        "type": "object",
        "minProperties": 1,
        "description": "The flow's steps: a name of your own -> what it is.",
        "propertyNames": {"pattern": f"^{COMPONENT_ID.pattern}$"},
        "additionalProperties": {"$ref": "#/definitions/Component"},
    }
    return {
        "$schema": _DIALECT,
        "title": "Flowground flow",
        "type": "object",
        "required": ["components"],
        "properties": {"components": components} | {key: _loosen(part) for key, part in header["properties"].items()},
        "additionalProperties": False,
        "definitions": definitions,
    }


def write_flow_schema() -> str:
    """The text of docs/flow.schema.json."""
    return json.dumps(build_flow_schema(), indent=2, ensure_ascii=False) + "\n"


def _build_component() -> dict[str, Any]:
    """The schema of a component, chosen by `type`: with `if` and `then`, editors report one mistake instead of
    seven."""
    choices = [
        {
            "if": {"properties": {"type": {"enum": [name, *_list_old(OLD_TYPES, name)]}}, "required": ["type"]},
            "then": {"$ref": f"#/definitions/{name}"},
        }
        for name in COMPONENTS
    ]
    types = [{"enum": list(COMPONENTS)}, *({"const": old} | _mark_old(new) for old, new in OLD_TYPES.items())]
    described = {"type": {"anyOf": types, "description": "What the component is."}}
    return {"type": "object", "required": ["type"], "properties": described, "allOf": choices}


def _build_type(kind: type[Component]) -> dict[str, Any]:
    types = list_types(kind)
    step = {"$ref": "#/definitions/StepSection"}
    steps = [step, {"type": "string", "description": "A variable of the template."}]
    own = {name: _build_field(field) for name, field in types.items()}
    words = OLD_FIELDS.get(kind.type_name, {})
    is_tool = issubclass(kind, ToolComponent)
    given = [field.name for field in types.values() if is_tool and field.model_may_set]  # a model may set these
    required = [name for name, field in types.items() if field.is_required and name not in given]
    needed = [[name, *_list_old(words, name)] for name in required]
    either = [{"anyOf": [{"required": [name]} for name in names]} for names in needed if len(names) > 1]
    return {
        "title": kind.title,
        "description": getdoc(kind),
        "type": "object",
        "required": ["type", *(names[0] for names in needed if len(names) == 1)],
        "properties": {
            "type": {"enum": [kind.type_name, *_list_old(OLD_TYPES, kind.type_name)]},
            "display_name": {"type": "string", "description": f"What pages call it; {kind.title} when left out."},
            "step": {"anyOf": steps if takes_variables(kind) else [step], "description": getdoc(StepSection)},
        }
        | own
        | {old: own[new] | _mark_old(new) for old, new in words.items()},
        "additionalProperties": {"type": "string"} if takes_variables(kind) else False,
        **({"allOf": either} if either else {}),
    }


def _build_field(field: FieldType) -> dict[str, Any]:
    schema = {key: field.schema[key] for key in field.schema if key not in FIELD_MARKS}
    if field.is_text or not field.takes_references:
        return schema
    about = {key: schema.pop(key) for key in _ABOUT if key in schema}
    return {"anyOf": [*schema.get("anyOf", [schema]), _REFERENCES], **about}


def _list_old(words: Mapping[str, str], word: str) -> list[str]:
    return [old for old, now in words.items() if now == word]


def _mark_old(now: str) -> dict[str, Any]:
    return {"deprecated": True, "deprecationMessage": f"Write `{now}`."}


def _loosen(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Allows a section to be empty: its name with nothing behind it."""
    if "$ref" not in schema:
        return dict(schema)
    return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}], "default": {}}


def _add_pattern(schema: dict[str, Any]) -> None:
    for part in schema["anyOf"]:
        if part.get("type") == "string":
            part["pattern"] = f"^({ADDRESS.pattern}|{UUID.pattern})$"
