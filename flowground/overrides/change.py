"""What a person changed: as tweaks, checked by the code that checks the API's."""

from collections.abc import Mapping
from typing import Any

from flowground.overrides.fields import OverrideField, override_fields
from flowground.request import InputType, RunRequest
from flowground.tweaks import apply_tweaks
from flowground.tweaks.values import unwrap
from flowground.wiring import WiredFlow

Values = Mapping[str, Mapping[str, Any]]
"""Component id -> field -> value; None means the author's value."""


def changed(flow: WiredFlow, values: Values, *, inside: bool) -> dict[str, dict[str, Any]]:
    """Only what differs from the author's values, in the flow's order, each as the run will take it ("7" as 7).

    Raises TweaksRefused, as the API does, where a value cannot be; one that equals the author's is no override and
    always can, so an editor may hand over all it shows. Presets and links of an older flow file are refused like that.
    """
    shown = {field.key: field for group in override_fields(flow, inside=inside) for field in group.fields}
    touched = {
        name: {key: value for key, value in fields.items() if not _same(shown.get(f"{name}.{key}"), value)}
        for name, fields in values.items()
    }
    request = RunRequest(tweaks={name: fields for name, fields in touched.items() if fields})
    made = apply_tweaks(flow, request, unknown="refuse", inside=inside).flow
    found: dict[str, dict[str, Any]] = {}
    for field in shown.values():
        if unwrap(touched.get(field.component, {}).get(field.name)) is None:
            continue
        runs = getattr(made.components[field.component], field.name)
        if field.secret or runs != getattr(flow.components[field.component], field.name):
            found.setdefault(field.component, {})[field.name] = runs
    return found


def for_message(flow: WiredFlow, overrides: Values, *, input_type: InputType = "chat") -> dict[str, dict[str, Any]]:
    """What `changed` gave, for a call that brings a message of its own: that is what its input components say then.

    A call may not have both (InputConflict); the playground's chat sends this, the snippets make the override the
    message.
    """
    takers = {
        name for name, item in flow.components.items() if item.takes_input and input_type in (item.takes_input, "any")
    }
    kept = {
        name: {key: value for key, value in fields.items() if key != "input_value" or name not in takers}
        for name, fields in overrides.items()
    }
    return {name: fields for name, fields in kept.items() if fields}


def _same(field: OverrideField | None, value: Any) -> bool:
    if field is None or isinstance(value, bool) != isinstance(field.value, bool):
        return False
    return bool(value == field.value)
