"""Tweaks: fields of a flow changed for one request, or refused with the reason. Nothing is left out in silence.

Keys are component ids, display names (the last of several alike) or, with a plain value, field names: a global tweak
sets every open field of that name. Values may be wrapped as `{"value": v}`; null means the field's default.
Source: Langflow 1.13's tweaks as recorded, with Flowground's departures: the specific tweak beats the global one; what
is unknown, connected, protected, of a wrong type or out of bounds is refused.
A value is taken literally: `${…}` in it refers to nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from flowground.components.facts import Facts, fact_of, facts_of
from flowground.errors import InputConflict, TweaksRefused, nearest
from flowground.flow import Overridable
from flowground.flow.words import show
from flowground.request import RunRequest
from flowground.wiring import WiredFlow, changed, replaced

_PROTECTED = "The field is protected and keeps the value set by the flow author"
_IGNORED = "session_id"
"""Langflow ignores it in tweaks: the request's own field decides."""


@dataclass(frozen=True, slots=True)
class Tweaked:
    """The flow of one request. `warnings` name tweaks left out because they are unknown or connected."""

    flow: WiredFlow
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one tweak cannot be; `mild` ones are warnings where the settings say so."""

    field: str
    message: str
    mild: bool = False


def apply_tweaks(flow: WiredFlow, request: RunRequest, *, unknown: Literal["refuse", "warn"]) -> Tweaked:
    """The flow with the request's tweaks; without any, the very same object.

    Raises InputConflict where the input is given twice, and TweaksRefused with every reason; then none is applied.
    """
    if not request.tweaks:
        return Tweaked(flow)
    tweaks = _Tweaks(flow, request)
    tweaks.read()
    components = {name: tweaks.applied(name, change) for name, change in tweaks.changes.items() if change}
    refused = [refusal for refusal in tweaks.refusals if unknown == "refuse" or not refusal.mild]
    if refused:
        message = " ".join(dict.fromkeys(refusal.message for refusal in refused))
        raise TweaksRefused(message, fields=dict.fromkeys(refusal.field for refusal in refused))
    warnings = tuple(dict.fromkeys(refusal.message for refusal in tweaks.refusals))
    return Tweaked(replaced(flow, {name: made for name, made in components.items() if made}), warnings)


@dataclass(slots=True)
class _Tweaks:
    flow: WiredFlow
    request: RunRequest
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def read(self) -> None:
        """Sorts the tweaks into changes of components; the specific ones first, so that they win."""
        everywhere: dict[str, Any] = {}
        for key, value in self.request.tweaks.items():
            name = self._component(key)
            if isinstance(value, Mapping) and name is not None:
                self._specific(name, value)
            elif isinstance(value, Mapping):
                self._unknown_component(key)
            elif name is not None or isinstance(value, list):
                self._refuse(key, f"The tweak of `{key}` is an object of fields and values, not {show(value)}.")
            elif key != _IGNORED:
                everywhere[key] = value
        for key, value in everywhere.items():
            self._global(key, value)

    def applied(self, name: str, change: Mapping[str, Any]) -> Any:
        """The component with the change, or None where its values do not fit."""
        component = self.flow.components[name]
        values = {key: _coerced(value, fact_of(type(component), key)) for key, value in change.items()}
        before = len(self.refusals)
        try:
            made = changed(component, values)
        except ValidationError as error:
            for key in dict.fromkeys(str(detail["loc"][0]) for detail in error.errors(include_url=False)):
                self._misfit(name, key, change.get(key))
            return None
        for mistake in made.mistakes():
            if mistake.field in change or mistake.missing in change:
                self._refuse(mistake.field, f"{name}: {mistake.message}")
        for key in change:
            self._check_bounds(name, key, getattr(made, key, None))
        return made if len(self.refusals) == before else None

    def _component(self, key: str) -> str | None:
        if key in self.flow.components:
            return key
        return next((name for name, shown in reversed(tuple(self.flow.display_names.items())) if shown == key), None)

    def _specific(self, name: str, fields: Mapping[str, Any]) -> None:
        takes = self.flow.components[name].takes_input
        if fields.get("input_value") is not None and takes and self._takes_input(name):
            raise InputConflict(
                f"If you pass an input_value to the {takes} input, you cannot pass a tweak with the same name."
            )
        for key, value in fields.items():
            if refusal := self._closed(name, key):
                if key != _IGNORED:
                    self.refusals.append(refusal)
            elif (plain := self._unwrapped(name, key, value)) is not _NOTHING:
                self.changes.setdefault(name, {})[key] = plain

    def _global(self, key: str, value: Any) -> None:
        holders = [name for name in self.flow.components if self._has(name, key)]
        taking = [name for name in holders if key == "input_value" and self._takes_input(name)]
        refusals = {name: self._closed(name, key) for name in holders if name not in taking}
        if opened := [name for name, refusal in refusals.items() if refusal is None]:
            for name in opened:
                self.changes.setdefault(name, {}).setdefault(key, value)
        elif taking:
            takes = self.flow.components[taking[0]].takes_input
            raise InputConflict(
                f"If you pass an input_value to the {takes} input, you cannot pass a tweak with the same name."
            )
        elif closed := sorted((refusal for refusal in refusals.values() if refusal), key=lambda one: one.mild):
            self.refusals.append(closed[0])
        else:
            self._unknown_field(key)

    def _takes_input(self, name: str) -> bool:
        takes = self.flow.components[name].takes_input
        return self.request.input_value is not None and self.request.input_type in (takes, "any")

    def _has(self, name: str, key: str) -> bool:
        component = self.flow.components[name]
        return key in facts_of(type(component)) or key in (component.model_extra or {})

    def _closed(self, name: str, key: str) -> Refusal | None:
        """Why nobody may tweak this field, None where callers may."""
        allowed = self._allowed()
        if not self._has(name, key):
            if key == "code":  # the field that Langflow's components have, and its words
                return Refusal(key, f"{_PROTECTED}: `{name}.{key}`.")
            return self._no_field(name, key)
        if text := self.flow.connections.get(name, {}).get(key):
            source = " and ".join(dict.fromkeys(f"`{reference}`" for reference in text.references))
            return Refusal(key, f"`{name}.{key}` is filled by {source}: a tweak has no effect there.", mild=True)
        if allowed is not None:
            return (
                None
                if f"{name}.{key}" in allowed
                else Refusal(key, f"`{name}.{key}` cannot be set here: {_only(allowed)}")
            )
        facts = fact_of(type(self.flow.components[name]), key)
        return Refusal(key, f"{_PROTECTED}: `{name}.{key}`.") if facts and facts.protected else None

    def _allowed(self) -> Mapping[str, Overridable] | None:
        listed = self.flow.flow.api.overridable
        return None if listed is None else {entry.field: entry for entry in listed}

    def _no_field(self, name: str, key: str) -> Refusal:
        component = self.flow.components[name]
        allowed = self._allowed()
        if allowed is not None:
            return Refusal(key, f"`{name}.{key}` cannot be set here: {_only(allowed)}", mild=True)
        known = [*facts_of(type(component)), *(component.model_extra or ())]
        return Refusal(key, f"`{name}` has no field `{key}`{_meant(key, known)}", mild=True)

    def _unknown_component(self, key: str) -> None:
        allowed = self._allowed()
        if allowed is not None:
            self._refuse(key, f"`{key}` cannot be set here: {_only(allowed)}", mild=True)
            return
        known = [*self.flow.components, *self.flow.display_names.values()]
        if any(self._has(name, key) for name in self.flow.components):
            says = f"A tweak of `{key}` everywhere is a plain value, not an object."
        else:
            says = f"The flow has no component `{key}`{_meant(key, known)}"
        self._refuse(key, says, mild=True)

    def _unknown_field(self, key: str) -> None:
        allowed = self._allowed()
        if allowed is not None:
            self._refuse(key, f"`{key}` cannot be set here: {_only(allowed)}", mild=True)
            return
        known = {known for component in self.flow.components.values() for known in facts_of(type(component))}
        word = nearest(key, sorted(known)) or nearest(key, self.flow.components)
        hint = f": did you mean `{word}`?" if word else "."
        self._refuse(key, f"No component of the flow has a field `{key}`{hint}", mild=True)

    def _unwrapped(self, name: str, key: str, value: Any) -> Any:
        if not isinstance(value, Mapping) or "value" not in value:
            return value
        if value.get("load_from_db"):
            self._refuse(key, f"`{name}.{key}`: there are no global variables here, `load_from_db` has no meaning.")
            return _NOTHING
        return value["value"]

    def _misfit(self, name: str, key: str, value: Any) -> None:
        facts = fact_of(type(self.flow.components[name]), key)
        if facts is None or value is None:
            self._refuse(key, f"`{name}.{key}` has no default: it needs a value.")
            return
        shown = "" if facts.secret else f", not {show(value)}"
        self._refuse(key, f"`{name}.{key}` is {facts.kind}{shown}.")

    def _check_bounds(self, name: str, key: str, value: Any) -> None:
        entry = (self._allowed() or {}).get(f"{name}.{key}")
        if entry is None or value is None:
            return
        if entry.choices is not None and value not in entry.choices:
            choices = ", ".join(show(choice) for choice in entry.choices)
            self._refuse(key, f"`{name}.{key}` is one of {choices} here, not {show(value)}.")
        elif entry.min is not None and value < entry.min:
            self._refuse(key, f"`{name}.{key}` is at least {entry.min:g} here, not {show(value)}.")
        elif entry.max is not None and value > entry.max:
            self._refuse(key, f"`{name}.{key}` is at most {entry.max:g} here, not {show(value)}.")

    def _refuse(self, key: str, message: str, *, mild: bool = False) -> None:
        self.refusals.append(Refusal(key, message, mild))


_NOTHING = object()


def _coerced(value: Any, facts: Facts | None) -> Any:
    """As Langflow does: 17.9 is 17 for a whole number. The rest ("0.9", true) pydantic does alike."""
    if facts and facts.whole and isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value


def _meant(word: str, known: "list[str]") -> str:
    found = nearest(word, known)
    return f": did you mean `{found}`?" if found else f"; it has {', '.join(dict.fromkeys(known))}."


def _only(allowed: Mapping[str, Overridable]) -> str:
    names = ", ".join(f"`{name}`" for name in allowed)
    return f"the flow's author opened {names}." if names else "the flow's author opened no field."
