"""`api.overridable` against the flow it stands in: every entry names a field that callers can set."""

from collections.abc import Mapping

from flowground.components.base import Component
from flowground.fields.policy import find_wrong_bounds
from flowground.fields.types import takes_variables, type_of, types_of
from flowground.flow import ComponentSpec, Flow, Overridable
from flowground.graph import Text
from flowground.words import list_names
from flowground.yaml_file.document import Problems


def check_overridable(
    flow: Flow,
    types: Mapping[str, type[Component]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    """Notes entries that name nothing, name what another component fills, or have bounds that cannot be."""
    for index, entry in enumerate(flow.api.overridable or ()):
        at = flow.places[f"api.overridable.{index}"].value
        name, dot, key = entry.field.partition(".")
        spec = flow.components.get(name)
        if not dot:
            says = f"`{entry.field}` names no field: write `Component.field`"
            problems.add(at, says, value=entry.field, choices=flow.components)
        elif spec is None:
            known = [f"{component}.{key}" for component in flow.components]
            problems.add(at, f"There is no component {name!r}", value=entry.field, choices=known)
        elif kind := types.get(spec.type):
            mistake, known = _find_mistake(spec, kind, entry, connections.get(name, {}).get(key))
            if mistake:
                choices = [f"{name}.{field}" for field in known]
                has = f"; it has {list_names(known)}" if known else ""
                problems.add(at, mistake, value=entry.field, choices=choices, otherwise=has)


def _find_mistake(
    spec: ComponentSpec, kind: type[Component], entry: Overridable, filled_by: Text | None
) -> tuple[str | None, list[str]]:
    """What is wrong with an entry for a component, and the names of which one may be meant."""
    key = entry.field.partition(".")[2]
    known = [*types_of(kind), *(spec.fields if takes_variables(kind) else ())]
    field = type_of(kind, key)
    if key not in known or field is None:
        return f"{spec.type} has no field `{key}`", known
    if filled_by:
        source = " and ".join(dict.fromkeys(str(reference) for reference in filled_by.references[:10]))
        return f"`{entry.field}` is filled by {source}: nobody can override it", []
    wrong = find_wrong_bounds(field, entry)
    return wrong and f"`{entry.field}`: {wrong}", []
