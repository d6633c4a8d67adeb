"""Lists and tables of what a model's fields take, written from its JSON Schema."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from flowground.core.words import describe_kind

Row = tuple[str, str, str, str]
"""A field's name, kind, default and description."""
_MARKS = {"secret": " *Secret.*", "protected": " *Protected.*", "fixed": " *Fixed.*"}


def field_rows(model: type[BaseModel], before: str = "") -> dict[str, Row]:
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


def field_list(rows: Iterable[Row]) -> str:
    """One line each: `name` (kind; default): description."""
    return "\n".join(f"- {name} ({_join(kind, default)}): {said}" for name, kind, default, said in rows)


def field_table(rows: Iterable[Row]) -> str:
    """The same as a table; fields that are alike in all but the name share a line."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, kind, default, said in rows:
        names.setdefault((_join(kind, default), said), []).append(name)
    lines = [f"| {', '.join(alike)} | {takes} | {said} |" for (takes, said), alike in names.items()]
    return "\n".join(["| setting | kind; default | what it does |", "|---|---|---|", *lines])


def _join(kind: str, default: str) -> str:
    return kind if default == "–" else f"{kind}; {default}"


def _show_default(value: Any) -> str:
    if value in (None, "", []) or isinstance(value, dict):
        return "–"
    return f"`{value if isinstance(value, str) and value.isprintable() else json.dumps(value)}`"
