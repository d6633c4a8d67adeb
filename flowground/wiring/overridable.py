"""`api.overridable` against the flow it stands in: every entry names a field that callers can set."""

from collections.abc import Mapping

from flowground.components.base import Component
from flowground.components.facts import Facts, fact_of, facts_of, takes_variables
from flowground.flow import Flow, Overridable, Place
from flowground.flow.words import list_names, show
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
        facts = _named(flow, types, entry, place, problems)
        if facts is None:
            continue
        if text := connections.get(name, {}).get(field):
            source = " and ".join(dict.fromkeys(str(reference) for reference in text.references[:10]))
            problems.add(
                place.value, f"`{entry.field}` is filled by {source}: nobody can override it", value=entry.field
            )
        elif wrong := _wrong_bounds(entry, facts):
            problems.add(place.value, f"`{entry.field}`: {wrong}", value=entry.field)


def _named(
    flow: Flow, types: Mapping[str, type[Component]], entry: Overridable, place: Place, problems: Problems
) -> Facts | None:
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
    known_fields = [*facts_of(kind), *(spec.fields if takes_variables(kind) else ())]
    if field not in known_fields:
        problems.add(
            place.value,
            f"{spec.type} has no field `{field}`",
            value=entry.field,
            choices=[f"{name}.{known}" for known in known_fields],
            otherwise=f"; it has {list_names(known_fields)}",
        )
        return None
    return fact_of(kind, field)


def _wrong_bounds(entry: Overridable, facts: Facts) -> str | None:
    if not facts.number and (entry.min is not None or entry.max is not None):
        return f"`min` and `max` are for numbers, and this is {facts.kind}"
    if entry.min is not None and entry.max is not None and entry.min > entry.max:
        return f"`min` {entry.min:g} is greater than `max` {entry.max:g}"
    wrong = next((choice for choice in entry.choices or () if not _may_be(choice, facts)), None)
    return None if wrong is None else f"{show(wrong)} in `choices` cannot be: the field is {facts.kind}"


def _may_be(choice: str | bool | float, facts: Facts) -> bool:
    if "enum" in facts.schema:
        return choice in facts.schema["enum"]
    if isinstance(choice, bool):
        return not facts.text and not facts.number
    return facts.text if isinstance(choice, str) else facts.number
