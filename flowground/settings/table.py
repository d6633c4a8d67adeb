"""docs/settings.md, generated from the fields (docs/generate.py writes it)."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from flowground.providers import KINDS
from flowground.providers.base import ProviderSettings
from flowground.settings import Settings

_INTRODUCTION = """# Settings

Generated from `flowground/settings/` by `make fix`; `make check` compares.

The environment variable `FLOWGROUND_CONFIG` names the config file; without it the app reads `config.yaml` beside
`app.py`. A missing file means the defaults below. Relative paths count from the config file's folder.
`${env:NAME}` is replaced in `providers.*.api_key`, `cookie.key` and `database`, and refused everywhere else. A setting
that does not exist stops the start with its line and the nearest right name.
"""
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret",
}

_TYPE = ProviderSettings.model_fields["type"]


def settings_page() -> str:
    """The Markdown page, one table a section."""
    top = [(name, field) for name, field in _fields(Settings) if not _section(field)]
    parts = [_INTRODUCTION, "## Top level\n", *_table(top)]
    for name, field in _fields(Settings):
        if section := _section(field):
            parts += [f"\n## {name}\n", *_table(list(_flat(section)), before=f"{name}.")]
    parts += ["\n## providers.NAME\n", *_table(list(_fields(ProviderSettings)), before="providers.NAME.")]
    parts += [_row(f"providers.NAME.{name}", field, of=kind) for kind, name, field in _fields_of_kinds()]
    return "\n".join(parts) + "\n"


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    return ((name, field) for name, field in model.model_fields.items() if not field.exclude)


def _fields_of_kinds() -> Iterator[tuple[str, str, FieldInfo]]:
    """Kind, name and field of what one kind of provider only has, or has in its own way."""
    for kind, settings in KINDS.items():
        for name, field in _fields(settings):
            if name in settings.__annotations__ and name != "type":
                yield kind, name, field


def _flat(section: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """A section's settings, those of its groups with the group's name before them."""
    for name, field in _fields(section):
        if group := _section(field):
            yield from _flat(group, f"{before}{name}.")
        else:
            yield f"{before}{name}", field


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(fields: list[tuple[str, FieldInfo]], *, before: str = "") -> Iterator[str]:
    yield "| setting | kind | default | what it does |"
    yield "| --- | --- | --- | --- |"
    for name, field in fields:
        yield _row(f"{before}{name}", field)


def _row(name: str, field: FieldInfo, *, of: str = "") -> str:
    mark = f"`{of}`: " if name.rpartition(".")[2] in ProviderSettings.model_fields else f"`{of}` only: "
    said = f"{mark}{field.description}" if of else field.description
    return f"| `{name}` | {_kind(field)} | {_default(field)} | {said} |"


def _kind(field: FieldInfo) -> str:
    word = ", ".join(f"`{kind}`" for kind in KINDS) if field is _TYPE else _word(field.annotation)
    bounds = [
        f"{sign} {getattr(rule, name):,}" for rule in field.metadata for name, sign in _SIGNS if hasattr(rule, name)
    ]
    return word + (f", {' and '.join(bounds)}" if bounds else "")


_SIGNS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if isinstance(kind, UnionType) or get_origin(kind) is not None:
        inner = [part for part in get_args(kind) if part not in (type(None), Ellipsis)]
        return {dict: "mapping", tuple: "list"}.get(get_origin(kind) or kind) or _word(inner[0])
    return _WORDS[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or field.is_required():
        return "–"
    return f"`{value if isinstance(value, Path) else json.dumps(value)}`".replace('"', "")
