"""The values of tweaks: what is made of them, and what does not fit."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from flowground.components.base import Component
from flowground.components.facts import Facts, fact_of
from flowground.flow import Overridable
from flowground.flow.words import show
from flowground.tweaks.doors import Refusal
from flowground.wiring import changed


def applied(
    name: str, component: Component, change: Mapping[str, Any], listed: Mapping[str, Overridable] | None
) -> tuple[Component | None, list[Refusal]]:
    """The component with other values in some fields, or what does not fit."""
    refusals: list[Refusal] = []
    values: dict[str, Any] = {}
    for key, value in change.items():
        if isinstance(value, Mapping) and value.get("load_from_db"):
            says = f"`{name}.{key}`: there are no global variables here, `load_from_db` has no meaning."
            refusals.append(Refusal(key, says))
        else:
            values[key] = _coerced(_unwrapped(value), fact_of(type(component), key))
    try:
        made = changed(component, values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors(include_url=False))
        return None, refusals + [_misfit(name, component, key, _unwrapped(change.get(key))) for key in wrong]
    refusals += [
        Refusal(mistake.field, f"{name}: {mistake.message}")
        for mistake in made.mistakes()
        if mistake.field in values or mistake.missing in values
    ]
    for key in values:
        refusals += _out_of_bounds(f"{name}.{key}", key, getattr(made, key, None), listed)
    return (None, refusals) if refusals else (made, [])


def _unwrapped(value: Any) -> Any:
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def _coerced(value: Any, facts: Facts | None) -> Any:
    """As Langflow does: 17.9 is 17 for a whole number. The rest ("0.9", true) pydantic does alike."""
    if facts and facts.whole and isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value


def _misfit(name: str, component: Component, key: str, value: Any) -> Refusal:
    facts = fact_of(type(component), key)
    if facts is None or value is None:
        return Refusal(key, f"`{name}.{key}` has no default: it needs a value.")
    shown = "" if facts.secret else f", not {show(value)}"
    return Refusal(key, f"`{name}.{key}` is {facts.kind}{shown}.")


def _out_of_bounds(field: str, key: str, value: Any, listed: Mapping[str, Overridable] | None) -> Iterator[Refusal]:
    """What the author's own bounds forbid."""
    entry = (listed or {}).get(field)
    if entry is None or value is None:
        return
    if entry.choices is not None and value not in entry.choices:
        choices = ", ".join(show(choice) for choice in entry.choices)
        yield Refusal(key, f"`{field}` is one of {choices} here, not {show(value)}.")
    elif entry.min is not None and value < entry.min:
        yield Refusal(key, f"`{field}` is at least {entry.min:g} here, not {show(value)}.")
    elif entry.max is not None and value > entry.max:
        yield Refusal(key, f"`{field}` is at most {entry.max:g} here, not {show(value)}.")
