"""Tables of what a model's fields take, written from its JSON Schema."""

import json
from typing import Any

from pydantic import BaseModel

from flowground.core.words import describe_kind

_MARKS = {"secret": " *Secret.*", "protected": " *Protected.*", "fixed": " *Fixed.*"}


def field_rows(model: type[BaseModel], before: str = "") -> dict[str, tuple[str, str, str, str]]:
    """By field: its name with `before` before it, kind, default and description, as Markdown."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    rows = {}
    for name, part in schema["properties"].items():
        if model.model_fields[name].exclude:
            continue
        default = "needed" if name in schema.get("required", ()) else _show_default(part.get("default"))
        section = definitions.get(part.get("$ref", "").rpartition("/")[2], {})
        said = part.get("description") or section.get("description", "")
        flags = part | {"protected": part.get("protected") and not part.get("fixed")}
        marks = "".join(mark for flag, mark in _MARKS.items() if flags.get(flag))
        rows[name] = (f"`{before}{name}`", describe_kind(part, definitions), default, said + marks)
    return rows


def field_table(first: str, rows: list[tuple[str, str, str, str]]) -> str:
    """The table, its first column called `first`."""
    head = (first, "kind", "default", "what it does")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _show_default(value: Any) -> str:
    if value in (None, "", []) or isinstance(value, dict):
        return "–"
    return f"`{value if isinstance(value, str) and value.isprintable() else json.dumps(value)}`"
