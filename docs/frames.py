"""The frames that a page sends, as types of the page's JavaScript: frontend/src/frames.d.ts."""

import inspect
import json
from typing import Any, get_args

from flowground.ui.conversation.frames import ClientFrame, ResumePoint

_HEAD = "/** What a page may send: made by `python -m docs.generate` of flowground/ui/conversation/frames.py. */"
_NAMES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def frames_page() -> str:
    frames = get_args(ClientFrame)
    union = f"export type ClientFrame = {' | '.join(frame.__name__ for frame in frames)};"
    return "\n\n".join([_HEAD, *(_write(model) for model in (ResumePoint, *frames)), union]) + "\n"


def _write(model: Any) -> str:
    schema = model.model_json_schema()
    needed = schema.get("required", ())
    members = [f"  {name}{'' if name in needed else '?'}: {_name(one)};" for name, one in schema["properties"].items()]
    text = " ".join((inspect.getdoc(model) or "").split())
    return "\n".join([f"/** {text} */", f"export interface {model.__name__} {{", *members, "}"])


def _name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return " | ".join(json.dumps(value) for value in values)
    if "anyOf" in schema:
        return " | ".join(_name(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"{_name(schema['items'])}[]"
    if schema.get("type") == "object":
        within = schema.get("additionalProperties")
        return f"Record<string, {_name(within) if isinstance(within, dict) else 'unknown'}>"
    return _NAMES.get(schema.get("type", ""), "unknown")
