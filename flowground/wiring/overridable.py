"""`api.overridable` against the flow it stands in: every entry names a field that callers can set."""

from collections.abc import Mapping

from flowground.components.base import Component
from flowground.fields import FieldType, find_wrong_bounds, takes_variables, type_of, types_of
from flowground.flow import Flow, Overridable, Place
from flowground.flow.words import list_names
from flowground.graph import Text
from flowground.wiring.problems import Problems


def check_overridable(
    flow: Flow,
    types: Mapping[str, type[Component]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    """Notes entries that name nothing, name what another component fills, or have bounds that cannot be."""
    for index, entry in enumerate(flow.api.overridable or ()):
        place = flow.places[f"api.overridable.{index}"]
        name, _, field = entry.field.partition(".")
        found = _find_type(flow, types, entry, place, problems)
        if found is None:
            continue
        if text := connections.get(name, {}).get(field):
            source = " and ".join(dict.fromkeys(str(reference) for reference in text.references[:10]))
            problems.add(
                place.value, f"`{entry.field}` is filled by {source}: nobody can override it", value=entry.field
            )
        elif wrong := find_wrong_bounds(found, entry):
            problems.add(place.value, f"`{entry.field}`: {wrong}", value=entry.field)


def _find_type(
    flow: Flow, types: Mapping[str, type[Component]], entry: Overridable, place: Place, problems: Problems
) -> FieldType | None:
    name, dot, field = entry.field.partition(".")
    spec = flow.components.get(name)
    if spec is None or not dot:
        known = [f"{key}.{field}" for key in flow.components] if dot else list(flow.components)
        says = (
            f"`{entry.field}` names no field: write `Component.field`" if not dot else f"There is no component {name!r}"
        )
        problems.add(place.value, says, value=entry.field, choices=known)
        return None
    kind = types.get(spec.type)
    if kind is None:
        return None
    known_fields = [*types_of(kind), *(spec.fields if takes_variables(kind) else ())]
    if field not in known_fields:
        problems.add(
            place.value,
            f"{spec.type} has no field `{field}`",
            value=entry.field,
            choices=[f"{name}.{known}" for known in known_fields],
            otherwise=f"; it has {list_names(known_fields)}",
        )
        return None
    return type_of(kind, field)
