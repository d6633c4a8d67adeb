"""What the playground asks people for beside their message: the opened fields of which the flow's author says so.

The page's component draws them (frontend/src/chat/options.js); what is chosen goes along with each message as tweaks.
"""

from collections import Counter
from typing import Any

from flowground.caller import Caller
from flowground.components.base import INPUT
from flowground.components.io import input_kind
from flowground.fields.policy import FieldPolicy
from flowground.tweaks import name_option
from flowground.ui.overrides.state import write_value
from flowground.wiring import WiredFlow
from flowground.words import describe_kind

_PAGES_OWN = ("flow", "session", "overrides", "embed", "embed_options")
"""What the address of a page says by itself, in small letters."""
_NOT_CHOSEN = "Please choose"
"""The first of a choice that begins with none."""
_EXACT = 2**53 - 1
"""The largest number that a browser can hold to the last digit; what is larger is told as text."""


def describe_asked_fields(wired: WiredFlow, caller: Caller) -> list[dict[str, Any]]:
    """In the author's order; `address` is the name by which the page's address fills a field."""
    asked = [field for field in wired.policy.asked if wired.policy.may_set(field, caller)]
    titles = Counter(name_option(wired, field) for field in asked)
    return [_describe(wired, field, is_alone=titles[name_option(wired, field)] == 1) for field in asked]


def _describe(wired: WiredFlow, field: FieldPolicy, *, is_alone: bool) -> dict[str, Any]:
    is_own_input = _is_own_input(wired, field)
    title = name_option(wired, field)
    kind = "integer" if field.type.is_whole else "number"
    bounds = {"minimum": field.min, "maximum": field.max}
    schema = {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}
    return {
        "component": field.component,
        "name": field.name,
        "address": field.component if is_own_input and field.component.lower() not in _PAGES_OWN else field.key,
        "title": title if is_alone else f"{_name_component(wired, field)} · {title}",
        "help": "" if is_own_input else field.type.description,
        "widget": "text" if field.widget == "area" and field.is_short else field.widget,
        "kind": describe_kind(schema) if field.type.is_number else field.type.kind,
        "value": _make_exact(field.value),
        "min": field.min,
        "max": field.max,
        "step": field.step,
        "choices": [{"value": _make_exact(one), "label": _name_choice(one, field)} for one in _list_choices(field)],
        "is_whole": field.type.is_whole,
        "is_optional": field.type.is_optional,
        "is_required": field.is_required,
    }


def _name_component(wired: WiredFlow, field: FieldPolicy) -> str:
    """As its author calls it: the id says more than a type's title."""
    return wired.flow.components[field.component].display_name or field.component


def _is_own_input(wired: WiredFlow, field: FieldPolicy) -> bool:
    return field.name == INPUT and input_kind(wired.components[field.component]) is not None


def _list_choices(field: FieldPolicy) -> list[Any]:
    return field.list_choices() if field.widget == "choice" else []


def _name_choice(choice: Any, field: FieldPolicy) -> str:
    is_none = choice == "" or (choice is None and field.is_required)
    return _NOT_CHOSEN if is_none else write_value(choice)


def _make_exact(value: Any) -> Any:
    is_large = isinstance(value, int | float) and abs(value) > _EXACT
    return str(value) if is_large else value
