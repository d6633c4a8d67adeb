"""What a person overrides on this page: kept for the visit, by flow. No flow file ever learns of it."""

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from flowground.errors import FlowgroundError
from flowground.fields import FieldPolicy
from flowground.overrides import Values, find_changes
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Refused:
    """What was typed into an editor and cannot be, with the reason in words."""

    value: Any
    why: str


@dataclass(slots=True)
class Kept:
    """`good` is what calls carry: the last values that fit. `refused` stands in editors only, by `Component.field`.

    `generation` grows where many editors are filled anew; it is a part of their keys.
    """

    version: str
    good: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    generation: int = 0


def kept(flow: WiredFlow, *, inside: bool) -> Kept:
    """This visit's overrides of the flow; those that a newer flow file does not take are dropped."""
    key = f"overrides:{flow.id}"
    found: Kept | None = st.session_state.get(key)
    if found is None:
        found = st.session_state[key] = Kept(flow.version)
    if found.version != flow.version:
        st.session_state[key] = found = Kept(
            flow.version, _still_good(flow, found.good, inside=inside), generation=found.generation + 1
        )
    return found


def in_force(flow: WiredFlow, *, inside: bool) -> Values:
    """What the person's calls carry."""
    return kept(flow, inside=inside).good


def edit(flow: WiredFlow, item: FieldPolicy, value: Any, *, inside: bool) -> None:
    """Takes one field's new value into the calls, or keeps why it cannot be."""
    state = kept(flow, inside=inside)
    wanted = {**state.good, item.component: {**state.good.get(item.component, {}), item.name: value}}
    try:
        state.good = find_changes(flow, wanted, inside=inside)
    except FlowgroundError as error:
        state.refused[item.key] = Refused(value, error.message)
    else:
        state.refused.pop(item.key, None)


def reset(flow: WiredFlow, item: FieldPolicy, *, inside: bool) -> None:
    """The author's value again."""
    state = kept(flow, inside=inside)
    state.refused.pop(item.key, None)
    left = {name: value for name, value in state.good.get(item.component, {}).items() if name != item.name}
    state.good = {name: left if name == item.component else fields for name, fields in state.good.items()}
    state.good = {name: fields for name, fields in state.good.items() if fields}


def replace(flow: WiredFlow, values: Values, *, inside: bool) -> None:
    """These overrides and no others, checked like any tweak. Raises TweaksRefused; then nothing changed."""
    state = kept(flow, inside=inside)
    state.good = find_changes(flow, values, inside=inside)
    state.refused.clear()
    state.generation += 1


def clear(flow: WiredFlow, *, inside: bool) -> None:
    """The author's values everywhere."""
    replace(flow, {}, inside=inside)


def without_secrets(flow: WiredFlow, values: Values) -> Values:
    """What of them may be written down."""
    kept_values = {
        name: {key: value for key, value in fields.items() if not flow.policy.is_secret(name, key)}
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


def _still_good(flow: WiredFlow, values: Values, *, inside: bool) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for component, fields in values.items():
        for name, value in fields.items():
            wanted = {**found, component: {**found.get(component, {}), name: value}}
            try:
                found = find_changes(flow, wanted, inside=inside)
            except FlowgroundError:
                continue
    return found
