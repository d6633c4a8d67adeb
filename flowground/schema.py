"""What a flow file may say, for editors and readers: a JSON Schema and the page docs/components.md, from the models.

`python -m docs.generate` writes both into docs/, `python -m flowground schema` prints the schema. The first line of a
flow file, `# yaml-language-server: $schema=…/flow.schema.json`, gives an editor completion and checks.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.fields.types import FieldType, takes_variables, types_of
from flowground.flow import ApiSection, ChatSection, Header, Overridable
from flowground.flow.parse import ADDRESS, COMPONENT_ID, UUID
from flowground.words import kind_of

_DIALECT = "http://json-schema.org/draft-07/schema#"
_OURS = ("secret", "literal", "protected", "multiline", "template")
_SECTIONS: dict[str, type[BaseModel]] = {
    "The file": Header,
    "chat": ChatSection,
    "api": ApiSection,
    "api.overridable": Overridable,
}


def flow_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7, which editors know best) of a flow file."""
    header = Header.model_json_schema(ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = header.pop("$defs")
    definitions["Overridable"] = {
        "anyOf": [{"type": "string", "pattern": r"^[^.]+\.[^.]+$"}, definitions["Overridable"]],
        "description": definitions["Overridable"].pop("description"),
    }
    definitions["Component"] = _component_schema()
    definitions |= {name: _type_schema(kind) for name, kind in COMPONENTS.items()}
    _address(definitions["ApiSection"]["properties"]["endpoint_name"])
    _address(header["properties"]["id"])
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
        "properties": {"components": components} | {key: _optional(part) for key, part in header["properties"].items()},
        "additionalProperties": False,
        "definitions": definitions,
    }


def flow_schema_text() -> str:
    """The schema as docs/flow.schema.json holds it."""
    return json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n"


def component_docs() -> str:
    """The text of docs/components.md."""
    parts = [
        "# Components and settings of a flow file\n\n"
        "Generated from `flowground/components/` and `flowground/flow/` by `make fix`; `make check` compares.\n"
        "How they work together is in [flow-format.md](flow-format.md).\n\n"
        "Every component has `type` and, if you like, `display_name`. A field of text may hold references: `${Name}`\n"
        "is the text of the component `Name`, alone or inside other text. *Protected* fields are not open to tweaks\n"
        "unless the flow's author lists them in `api.overridable`.\n"
    ]
    parts += [_component_page(kind) for kind in COMPONENTS.values()]
    parts += [_section_page(title, section) for title, section in _SECTIONS.items()]
    return "\n".join(parts)


def _component_schema() -> dict[str, Any]:
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


def _type_schema(kind: type[Component]) -> dict[str, Any]:
    own = {name: _field_schema(field) for name, field in types_of(kind).items()}
    return {
        "title": kind.title,
        "description": _doc(kind),
        "type": "object",
        "required": ["type", *(name for name, field in types_of(kind).items() if field.required)],
        "properties": {
            "type": {"const": kind.type_name},
            "display_name": {"type": "string", "description": f"What pages call it; {kind.title} when left out."},
        }
        | own,
        "additionalProperties": {"type": "string"} if takes_variables(kind) else False,
    }


def _field_schema(field: FieldType) -> dict[str, Any]:
    return {key: value for key, value in field.schema.items() if key not in _OURS}


def _optional(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A section may stand without anything behind its name."""
    if "$ref" not in schema:
        return dict(schema)
    return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}], "default": {}}


def _address(schema: dict[str, Any]) -> None:
    for part in schema["anyOf"]:
        if part.get("type") == "string":
            part["pattern"] = f"^({ADDRESS.pattern}|{UUID.pattern})$"


def _component_page(kind: type[Component]) -> str:
    outputs = ", ".join(f"`{output}`" for output in kind.outputs)
    rows = [_row(field) for field in types_of(kind).values()]
    if takes_variables(kind):
        rows.append("| *a variable's name* | text | needed | One for each `{variable}` of the template. |")
    table = "\n".join(["| field | kind | default | what it does |", "| --- | --- | --- | --- |", *rows])
    return f"## {kind.type_name}\n\n{_doc(kind)}\n\nDisplay name: {kind.title}. Output: {outputs}.\n\n{table}\n"


def _section_page(title: str, section: type[BaseModel]) -> str:
    schema = section.model_json_schema()
    rows = ["| `components` | a mapping | needed | The flow's steps. |"] if section is Header else []
    for name, part in schema["properties"].items():
        default = "needed" if name in schema.get("required", ()) else "–"
        kind = kind_of(part, schema.get("$defs", {}))
        described = part.get("description") or _doc_of(schema["$defs"], part)
        rows.append(f"| `{name}` | {kind} | {default} | {described} |")
    table = "\n".join(["| name | kind | default | what it does |", "| --- | --- | --- | --- |", *rows])
    return f"## {title}\n\n{_doc(section)}\n\n{table}\n"


def _doc_of(definitions: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    description: str = definitions[part["$ref"].rpartition("/")[2]]["description"]
    return description


def _row(field: FieldType) -> str:
    default = "needed" if field.required else _default(field.default)
    marks = " *Secret.*" * field.secret + " *Protected.*" * (not field.callers_may_set)
    return f"| `{field.name}` | {field.kind} | {default} | {field.description}{marks} |"


def _default(value: Any) -> str:
    return "–" if value in (None, "") else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _doc(kind: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (kind.__doc__ or "").strip().splitlines())
