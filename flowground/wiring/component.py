"""One component of a flow file -> its validated model and what is connected to it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from flowground.components.base import Component, Mistake
from flowground.fields.types import FieldType, type_of, types_of
from flowground.fields.values import find_misfits, say_misfit
from flowground.flow import ComponentSpec
from flowground.flow.parse import ENV
from flowground.graph import Text, parse_text
from flowground.words import list_names
from flowground.yaml_file.document import Place, Problems

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Wired:
    """`component` is None where its fields do not validate; `connections` are there all the same."""

    component: Component | None = None
    connections: dict[str, Text] = field(default_factory=dict)


def wire_component(spec: ComponentSpec, kind: type[Component], problems: Problems) -> Wired:
    """Separates references from values, validates the rest, and notes what is wrong."""
    wired = Wired()
    values: dict[str, Any] = {}
    bad = False
    for name, value in spec.fields.items():
        field = type_of(kind, name)
        if field is None:
            _unknown(spec, kind, name, problems)
            bad = True
            continue
        values[name] = value
        if isinstance(value, str) and "${" in value:
            bad |= not _separate(spec, field, wired, values, problems)
    wired.component = _validated(spec, kind, values, problems)
    if wired.component is not None and not bad:
        for mistake in wired.component.mistakes():
            _told(spec, mistake, wired.component, problems)
    return wired


def _unknown(spec: ComponentSpec, kind: type[Component], name: str, problems: Problems) -> None:
    known = [*types_of(kind), "display_name"]
    problems.add(
        spec.places[name].key,
        f"{spec.type} has no field `{name}`",
        value=name,
        choices=known,
        otherwise=f"; it has {list_names(known)}",
    )


def _separate(spec: ComponentSpec, field: FieldType, wired: Wired, values: dict[str, Any], problems: Problems) -> bool:
    """Takes references out of one text; False when that cannot be."""
    value, place = spec.fields[field.name], spec.places[field.name]
    if found := ENV.search(value):
        return (
            _fill_secret(spec, field, values, found[1], problems)
            if field.secret
            else _no_secret(spec, field, found, problems)
        )
    text = parse_text(value, template=field.template)
    if text is None:
        return True
    if not text.references:
        values[field.name] = text.fill({})
        return True
    if not field.takes_references:
        why = "protected" if field.text else field.kind
        says = f"`{field.name}` of {spec.type} is {why}: it is written in the file, no reference can fill it"
        problems.add(place.at(value, text.references[0].offset), says, value=str(text.references[0]))
        del values[field.name]
        return False
    wired.connections[field.name] = text
    values[field.name] = _placeholder(text) if field.template else ""
    return True


def _placeholder(text: Text) -> str:
    """A template without its references, every variable where it stood."""
    return "".join(part if isinstance(part, str) else " " * len(str(part)) for part in text.parts)


def _no_secret(spec: ComponentSpec, field: FieldType, found: "re.Match[str]", problems: Problems) -> bool:
    says = f"`${{env:…}}` is read in secret fields only, and `{field.name}` of {spec.type} is none"
    problems.add(spec.places[field.name].at(found.string, found.start()), says, value=found[0])
    return False


def _fill_secret(
    spec: ComponentSpec, field: FieldType, values: dict[str, Any], variable: str, problems: Problems
) -> bool:
    value = spec.fields[field.name]
    place = spec.places[field.name].value
    if value != f"${{env:{variable}}}" or not _ENV_NAME.fullmatch(variable):
        problems.add(place, f"A secret is `${{env:NAME}}` as a whole: `{field.name}` is not")
        return False
    if variable not in os.environ:
        problems.add(place, f"The environment variable {variable} is not set", value=f"${{env:{variable}}}")
        return False
    values[field.name] = os.environ[variable]
    return True


def _validated(
    spec: ComponentSpec, kind: type[Component], values: Mapping[str, Any], problems: Problems
) -> Component | None:
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return kind.model_validate(given, strict=True)
    except ValidationError as error:
        for name, limits in find_misfits(error).items():
            _invalid(spec, kind, name, limits, problems)
        return None


def _invalid(
    spec: ComponentSpec, kind: type[Component], name: str, limits: Mapping[str, Any], problems: Problems
) -> None:
    field = type_of(kind, name)
    assert field is not None  # noqa: S101 - unknown fields were taken out
    value = spec.fields.get(name)
    if value is None:
        at = spec.places[name].key if name in spec.places else spec.position
        problems.add(at, f"{spec.id} ({spec.type}) needs `{name}`")
        return
    hint = "; without quotes it would be one" if isinstance(value, str) and _unquoted(value, field) else ""
    if field.text and isinstance(value, int | float):
        hint = "; in quotes it would be"
    is_long = isinstance(value, str) and "max_length" in limits
    problems.add(
        spec.places[name].value,
        say_misfit(f"`{name}` of {spec.type}", field, value, limits) + hint,
        value=None if field.secret or is_long else value,
        choices=[choice for choice in field.choices or () if isinstance(choice, str)],
    )


def _unquoted(value: str, field: FieldType) -> bool:
    if field.number:
        return re.fullmatch(r"-?[0-9]+" + ("" if field.whole else r"(\.[0-9]+)?"), value) is not None
    return field.kind == "true or false" and value in ("true", "false")


def _told(spec: ComponentSpec, mistake: Mistake, component: Component, problems: Problems) -> None:
    place = spec.places.get(mistake.field) or Place(spec.position, spec.position)
    raw = spec.fields.get(mistake.field)
    position = place.key
    if mistake.field in types_of(type(component)) and isinstance(raw, str):
        position = place.at(raw, mistake.offset)
    shown = mistake.missing or mistake.field
    close = mistake.choices or tuple(name for name in spec.fields if mistake.missing and name != mistake.field)
    problems.add(position, mistake.message, value=shown, choices=close)
