"""The values of tweaks: what is made of them, and what does not fit."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from flowground.components.base import Component
from flowground.components.facts import Facts, fact_of
from flowground.flow import Overridable
from flowground.flow.words import list_names, show
from flowground.tweaks.doors import Refusal
from flowground.wiring import changed


def applied(
    name: str, component: Component, change: Mapping[str, Any], listed: Mapping[str, Overridable] | None
) -> tuple[Component | None, list[Refusal]]:
    """The component with other values in some fields, None where nothing changes; or what does not fit.

    A field given as null keeps the author's value.
    """
    refusals: list[Refusal] = []
    values: dict[str, Any] = {}
    for key, value in change.items():
        if isinstance(value, Mapping) and value.get("load_from_db"):
            says = f"`{name}.{key}`: there are no global variables here, `load_from_db` has no meaning."
            refusals.append(Refusal(key, says))
        elif (given := unwrap(value)) is not None:
            values[key] = _coerced(given, fact_of(type(component), key))
    if not values:
        return None, refusals
    try:
        made = changed(component, values)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]): detail.get("ctx", {}) for detail in error.errors(include_url=False)}
        misfits = [_misfit(name, component, key, unwrap(change.get(key)), limits) for key, limits in wrong.items()]
        return None, refusals + misfits
    refusals += [
        Refusal(mistake.field, f"{name}: {mistake.message}")
        for mistake in made.mistakes()
        if mistake.field in values or mistake.missing in values
    ]
    for key in values:
        if entry := (listed or {}).get(f"{name}.{key}"):
            refusals += out_of_bounds(entry, key, getattr(made, key))
    return (None, refusals) if refusals else (made, [])


def unwrap(value: Any) -> Any:
    """A tweak's value, without the object that Langflow's clients put around it."""
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def _coerced(value: Any, facts: Facts | None) -> Any:
    """As Langflow does: 17.9 is 17 for a whole number. The rest ("0.9", true) pydantic does alike."""
    if facts and facts.whole and isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value


def _misfit(name: str, component: Component, key: str, value: Any, limits: Mapping[str, Any]) -> Refusal:
    facts = fact_of(type(component), key)
    assert facts is not None  # noqa: S101 - the doors let no unknown field through
    if isinstance(value, str) and "max_length" in limits:
        says = f"`{name}.{key}` has {len(value):,} characters; {limits['max_length']:,} is the limit."
        return Refusal(key, says)
    shown = "" if facts.secret else f", not {show(value)}"
    return Refusal(key, f"`{name}.{key}` is {facts.kind}{shown}.")


def out_of_bounds(entry: Overridable, key: str, value: Any) -> Iterator[Refusal]:
    """What the author's own bounds forbid."""
    field = entry.field
    if entry.choices is not None and value not in entry.choices:
        choices = list_names(show(choice) for choice in entry.choices)
        yield Refusal(key, f"`{field}` is one of {choices} here, not {show(value)}.")
    elif entry.min is not None and value < entry.min:
        yield Refusal(key, f"`{field}` is at least {entry.min:g} here, not {show(value)}.")
    elif entry.max is not None and value > entry.max:
        yield Refusal(key, f"`{field}` is at most {entry.max:g} here, not {show(value)}.")
