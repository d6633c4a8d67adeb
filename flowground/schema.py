"""What a flow file may say, for editors: a JSON Schema, from the models.

`python -m docs.generate` writes it into docs/, `python -m flowground schema` prints the schema. The first line of a
flow file, `# yaml-language-server: $schema=…/flow.schema.json`, gives an editor completion and checks.
"""

import json
from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.fields.types import list_types, takes_variables
from flowground.flow import Header, StepSection
from flowground.flow.parse import ADDRESS, COMPONENT_ID, UUID

_DIALECT = "http://json-schema.org/draft-07/schema#"
_OURS = ("secret", "literal", "protected", "multiline", "template", "kind")


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
    """The schema as docs/flow.schema.json holds it."""
    return json.dumps(build_flow_schema(), indent=2, ensure_ascii=False) + "\n"


def _build_component() -> dict[str, Any]:
    """By `type`, one of the types' own schemas: `if` and `then` give an editor the one mistake instead of seven."""
    choices = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/definitions/{name}"},
        }
        for name in COMPONENTS
    ]
    described = {"type": {"enum": list(COMPONENTS), "description": "What the component is."}}
    return {"type": "object", "required": ["type"], "properties": described, "allOf": choices}


def _build_type(kind: type[Component]) -> dict[str, Any]:
    types = list_types(kind)
    step = {"$ref": "#/definitions/StepSection"}
    steps = [step, {"type": "string", "description": "A variable of the template."}]
    own = {name: {key: field.schema[key] for key in field.schema if key not in _OURS} for name, field in types.items()}
    return {
        "title": kind.title,
        "description": getdoc(kind),
        "type": "object",
        "required": ["type", *(name for name, field in types.items() if field.is_required)],
        "properties": {
            "type": {"const": kind.type_name},
            "display_name": {"type": "string", "description": f"What pages call it; {kind.title} when left out."},
            "step": {"anyOf": steps if takes_variables(kind) else [step], "description": getdoc(StepSection)},
        }
        | own,
        "additionalProperties": {"type": "string"} if takes_variables(kind) else False,
    }


def _loosen(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A section may stand without anything behind its name."""
    if "$ref" not in schema:
        return dict(schema)
    return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}], "default": {}}


def _add_pattern(schema: dict[str, Any]) -> None:
    for part in schema["anyOf"]:
        if part.get("type") == "string":
            part["pattern"] = f"^({ADDRESS.pattern}|{UUID.pattern})$"
