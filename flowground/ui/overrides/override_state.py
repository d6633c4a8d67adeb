"""What a person overrides on this page: kept for the visit, by flow. No flow file ever learns of it."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from flowground.errors import FlowgroundError
from flowground.fields.policy import FieldPolicy
from flowground.overrides import Values, find_changes
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Refused:
    """What was typed into an editor and cannot be, with the reason in words."""

    value: Any
    why: str


@dataclass(slots=True)
class Overrides:
    """One visit's overrides of a flow.

    `good` is what calls carry: the last values that fit. `refused` stands in editors only, by `Component.field`.
    `generation` grows where many editors are filled anew; it is a part of their keys.
    """

    wired: WiredFlow
    sees_inside: bool
    good: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    generation: int = 0

    def edit(self, item: FieldPolicy, value: Any) -> None:
        """Takes one field's new value into the calls, or keeps why it cannot be."""
        try:
            self.good = self._with(item.component, item.name, value)
        except FlowgroundError as error:
            self.refused[item.key] = Refused(value, error.message)
        else:
            self.refused.pop(item.key, None)

    def reset(self, item: FieldPolicy) -> None:
        """The author's value again."""
        self.refused.pop(item.key, None)
        left = {**self.good.get(item.component, {})}
        left.pop(item.name, None)
        self.good = {name: fields for name, fields in {**self.good, item.component: left}.items() if fields}

    def replace(self, values: Values) -> None:
        """These overrides and no others, checked like any tweak. Raises TweaksRefused; then nothing changed."""
        self.good = find_changes(self.wired, values, sees_inside=self.sees_inside)
        self.refused.clear()
        self.generation += 1

    def clear(self) -> None:
        """The author's values everywhere."""
        self.replace({})

    def keep_fitting(self) -> None:
        """Drops those that a newer flow file does not take."""
        values, self.good = self.good, {}
        for component, fields in values.items():
            for name, value in fields.items():
                with suppress(FlowgroundError):
                    self.good = self._with(component, name, value)
        self.refused.clear()
        self.generation += 1

    def _with(self, component: str, name: str, value: Any) -> dict[str, dict[str, Any]]:
        wanted = {**self.good, component: {**self.good.get(component, {}), name: value}}
        return find_changes(self.wired, wanted, sees_inside=self.sees_inside)


def overrides_of(wired: WiredFlow, *, sees_inside: bool) -> Overrides:
    """This visit's overrides of the flow."""
    kept: Overrides = st.session_state.setdefault(f"overrides:{wired.id}", Overrides(wired, sees_inside))
    is_newer = kept.wired.version != wired.version
    kept.wired, kept.sees_inside = wired, sees_inside
    if is_newer:
        kept.keep_fitting()
    return kept


def in_force(wired: WiredFlow, *, sees_inside: bool) -> Values:
    """What the person's calls carry."""
    return overrides_of(wired, sees_inside=sees_inside).good


def without_secrets(wired: WiredFlow, values: Values) -> Values:
    """What of them may be written down."""
    kept_values = {
        name: {key: value for key, value in fields.items() if not wired.policy.is_secret(name, key)}
        for name, fields in values.items()
    }
    return {name: fields for name, fields in kept_values.items() if fields}


def count(values: Values) -> int:
    """How many fields."""
    return sum(len(fields) for fields in values.values())


def words_for(values: Values) -> str:
    """ "1 override", "2 overrides"."""
    found = count(values)
    return "1 override" if found == 1 else f"{found} overrides"
