"""What a person overrides on this page: kept by flow for the visit, in no file; and how pages describe it."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError
from flowground.core.words import show
from flowground.flows.field_values import read_typed
from flowground.flows.fields import FieldPolicy
from flowground.flows.tweaks import FieldValues, find_changes
from flowground.flows.wiring import WiredFlow
from flowground.ui.page import words

_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that was typed into an editor and refused, with the reason."""

    value: Any
    why: str


@dataclass(slots=True)
class Overrides:
    """One visit's overrides of a flow.

    `good`: the last values that fit, which calls carry. `refused`: by `Component.field`, shown in editors only.
    `generation` is a part of the editors' keys; it grows when many editors get new values.
    """

    wired: WiredFlow
    caller: Caller
    good: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    generation: int = 0

    def edit(self, item: FieldPolicy, value: Any) -> None:
        """Takes one field's new value, or keeps why it is refused."""
        try:
            self._set(item.component, item.name, read_typed(item, value))
        except FlowgroundError as error:
            self.refused[item.key] = Refused(value, error.message)
        else:
            self.refused.pop(item.key, None)

    def reset(self, item: FieldPolicy) -> None:
        """Sets the field back to the author's value."""
        self.refused.pop(item.key, None)
        left = {name: value for name, value in self.good.get(item.component, {}).items() if name != item.name}
        self.good = {name: fields for name, fields in {**self.good, item.component: left}.items() if fields}

    def replace(self, values: FieldValues) -> None:
        """Sets exactly these overrides, checked like any tweak. Raises TweaksRefused, and changes nothing then."""
        self.good = find_changes(self.wired, values, self.caller)
        self.refused.clear()
        self.generation += 1

    def clear(self) -> None:
        """Sets all fields back to the author's values."""
        self.replace({})

    def keep_fitting(self) -> None:
        """Drops overrides that a newer flow file does not take."""
        values = self.good
        self.clear()
        for component, fields in values.items():
            for name, value in fields.items():
                with suppress(FlowgroundError):
                    self._set(component, name, value)

    def _set(self, component: str, name: str, value: Any) -> None:
        wanted = {**self.good, component: {**self.good.get(component, {}), name: value}}
        self.good = find_changes(self.wired, wanted, self.caller)


def find_overrides_state(caller: Caller, wired: WiredFlow) -> Overrides:
    """This visit's overrides of the flow."""
    kept: Overrides = st.session_state.setdefault(f"overrides:{wired.id}", Overrides(wired, caller))
    is_newer = kept.wired.version != wired.version
    kept.wired, kept.caller = wired, caller
    if is_newer:
        kept.keep_fitting()
    return kept


def describe_chip(overrides: FieldValues) -> dict[str, Any] | None:
    """The chip at the message field: how many overrides apply, and a line for each; None without any."""
    if not overrides:
        return None
    lines = [
        f"{component}.{name} {write_value(value)}"
        for component, fields in overrides.items()
        for name, value in fields.items()
    ]
    return {"label": write_count(overrides), "lines": lines}


def count(values: FieldValues) -> int:
    """The number of overridden fields."""
    return sum(len(fields) for fields in values.values())


def write_count(values: FieldValues) -> str:
    """ "1 override", "2 overrides"."""
    return words.count(count(values), "override")


def write_value(value: Any) -> str:
    """A value on one line, cut where it is long; plain text, not Markdown."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == "":
        return "empty"
    if isinstance(value, dict | list):
        return show(value)
    return words.cut(" ".join(str(value).split()), _SHOWN)
