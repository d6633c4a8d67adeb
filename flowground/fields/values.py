"""Judges values for fields: what is made of them, and in which words they are refused."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flowground.components.base import LONGEST_TEXT, Component
from flowground.components.schemas import read_json_text
from flowground.errors import RunError
from flowground.fields.callers import Refusal
from flowground.fields.policy import FieldPolicy
from flowground.fields.types import FieldType
from flowground.values import write_text
from flowground.words import list_names, show

_AROUND = {"value", "load_from_db"}
"""What Langflow's clients put around a value."""


def check_values(
    name: str, component: Component, policies: Mapping[str, FieldPolicy], change: Mapping[str, Any]
) -> tuple[Component | None, list[Refusal]]:
    """The component with other values in some fields, None where nothing changes; or what does not fit.

    `policies` are those of the fields of the component `name`, and have every field of `change`. A field given as null
    keeps the author's value.
    """
    refusals: list[Refusal] = []
    values: dict[str, Any] = {}
    for key, value in change.items():
        field = policies[key].type
        if isinstance(value, Mapping) and value.get("load_from_db") and not field.takes_objects:
            says = f"`{name}.{key}`: there are no global variables here, `load_from_db` has no meaning."
            refusals.append(Refusal(key, says))
        elif not _is_authors((given := unwrap_tweak(value, field)), field):
            values[key] = _coerce(given, field)
            if field.is_json and (wrong := _find_wrong_json(f"`{name}.{key}`", given)):
                refusals.append(Refusal(key, wrong))
                del values[key]
    if not values:
        return None, refusals
    try:
        made = change_component(component, values)
    except ValidationError as error:
        for key, limits in find_misfits(error).items():
            says = say_misfit(
                f"`{name}.{key}`", policies[key].type, unwrap_tweak(change.get(key), policies[key].type), limits
            )
            refusals.append(Refusal(key, f"{says}."))
        return None, refusals
    refusals += [
        Refusal(mistake.field, f"{name}: {mistake.message}")
        for mistake in made.list_mistakes()
        if mistake.field in values or mistake.missing in values
    ]
    for key in values:
        if broken := check_bounds(policies[key], getattr(made, key)):
            refusals.append(Refusal(key, broken))
    return (None, refusals) if refusals else (made, [])


def check_bounds(policy: FieldPolicy, value: Any) -> str | None:
    """What the author's own bounds forbid; None where nothing."""
    entry = policy.opened
    if entry is None:
        return None
    if entry.choices is not None and value not in entry.choices:
        choices = list_names(show(choice) for choice in entry.choices)
        return f"`{policy.key}` is one of {choices} here, not {show(value)}."
    if entry.min is not None and value < entry.min:
        return f"`{policy.key}` is at least {entry.min:g} here, not {show(value)}."
    if entry.max is not None and value > entry.max:
        return f"`{policy.key}` is at most {entry.max:g} here, not {show(value)}."
    return None


def unwrap_tweak(value: Any, field: FieldType | None = None) -> Any:
    """A tweak's value, without the object that Langflow's clients put around it.

    Where the field takes objects nothing is around them, and one with a `value` is what it says; but for null alone.
    """
    if not isinstance(value, Mapping) or "value" not in value:
        return value
    is_object = field is not None and field.takes_objects
    return value if is_object and (value["value"] is not None or value.keys() - _AROUND) else value["value"]


def read_typed(policy: FieldPolicy, typed: Any) -> Any:
    """The value of what was typed into the field's editor: JSON is a text there. Raises RunError where it is none."""
    return read_json_text(typed) if policy.widget == "json" and isinstance(typed, str) else typed


def change_component(component: Component, change: Mapping[str, Any]) -> Component:
    """A component with other values in some fields.

    Only this component is validated again; connected fields are the caller's business. A value of a class of its own
    stays what it is where nobody changes it. Raises pydantic's ValidationError.
    """
    own = {field: getattr(component, field) for field in component.model_fields_set}
    made = type(component).model_validate(own | dict(change))
    lost = {
        key: value for key, value in own.items() if key not in change and type(value) is not type(getattr(made, key))
    }
    return made.model_copy(update=lost) if lost else made


def find_misfits(error: ValidationError) -> dict[str, Mapping[str, Any]]:
    """The fields that a component did not take, each with the limits that its value broke."""
    return {str(detail["loc"][0]): detail.get("ctx", {}) for detail in error.errors(include_url=False)}


def say_misfit(what: str, field: FieldType, value: Any, limits: Mapping[str, Any]) -> str:
    """Why the field, called `what`, does not take the value; without a full stop. A secret's value is not shown."""
    if isinstance(value, str) and "max_length" in limits:
        return f"{what} has {len(value):,} characters; {limits['max_length']:,} is the limit"
    return f"{what} is {field.kind}" + ("" if field.is_secret else f", not {show(value)}")


def _is_authors(given: Any, field: FieldType) -> bool:
    """Whether a tweak leaves the field as its author has it: null, "" where no text fits, and Langflow's word for no
    limit of tokens."""
    if given == "" and field.is_simple and not field.is_text:
        return "" not in (field.choices or ())
    is_no_limit = field.name == "max_tokens" and field.is_whole and given == 0 and not isinstance(given, bool)
    return given is None or is_no_limit


def _find_wrong_json(what: str, value: Any) -> str | None:
    """Why a list or a mapping cannot be, however it fits; None where it can."""
    try:
        size = len(write_text(value, "data").encode())
    except RunError:
        return f"{what} is nested too deeply."
    return f"{what} has {size:,} bytes as JSON; {LONGEST_TEXT:,} is the limit." if size > LONGEST_TEXT else None


def _coerce(value: Any, field: FieldType) -> Any:
    """As Langflow does: 17.9 is 17 for a whole number. The rest ("0.9", true) pydantic does alike."""
    if field.is_whole and isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value
