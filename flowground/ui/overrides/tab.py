"""The tab *Temporary overrides*: every field that may be changed for one's own calls, and the locked ones."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, assert_never

import streamlit as st

from flowground.core.caller import Caller
from flowground.flows.fields import FieldPolicy, Widget
from flowground.flows.tweaks import FieldValues
from flowground.flows.wiring import WiredFlow
from flowground.ui.overrides import links
from flowground.ui.overrides.state import Overrides, count, find_overrides_state, write_value
from flowground.ui.page import words
from flowground.ui.page.parts import render_action

_EXACT = 2**53 - 1
"""The largest number that a browser can hold to the last digit."""
_TEXTS = ("text", "area", "json")


def write_title(values: FieldValues) -> str:
    """The tab's label, with the number of overridden fields."""
    changed = count(values)
    return f"Temporary overrides ({changed})" if changed else "Temporary overrides"


def render_overrides(caller: Caller, wired: WiredFlow, *, sent: FieldValues) -> None:
    """Editors by component in the flow's order; for who does not see the inside, only of fields that the author opened.

    `sent`: the tweaks of the code, which are all overrides except an input's text, since that is the message.
    """
    seen = wired.policy.list_fields(caller)
    if not seen:
        st.caption("The author of this flow has opened none of its fields.")
        return
    st.caption("What you change here goes into the code and into your own chat. The flow itself stays as it is.")
    state = find_overrides_state(caller, wired)
    wanted = _render_tools(caller, state)
    found = [fields for every in seen.values() if (fields := _search(wired, every.values(), wanted))]
    for fields in found:
        _render_component(state, fields)
    if not found:
        st.caption(f"No field has “{words.escape(wanted)}” in its name.")
    if sent:
        st.caption("Every call carries this as `tweaks`:")
        st.code(json.dumps(sent, indent=2, ensure_ascii=False), language="json", wrap_lines=True)


def _render_tools(caller: Caller, state: Overrides) -> str:
    """Search field, link and reset; returns the searched text."""
    wired = state.wired
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = st.text_input(
            "Search fields",
            key=f"overrides:search:{wired.id}",
            placeholder="Search fields",
            icon=":material/search:",
            live=True,
            label_visibility="collapsed",
            width=220,
        )
        if caller.sees_inside:
            links.render_link(wired, state.good)
        st.button(
            "Reset all",
            key=f"overrides:reset:{wired.id}",
            type="tertiary",
            icon=":material/undo:",
            disabled=not (state.good or state.refused),
            on_click=state.clear,
        )
    return (wanted or "").strip()


def _search(wired: WiredFlow, fields: Iterable[FieldPolicy], wanted: str) -> list[FieldPolicy]:
    asked = wanted.casefold().split()
    found = []
    for item in fields:
        name = f"{wired.display_names[item.component]} {item.key} {item.type.title} {item.type.description}".casefold()
        if all(word in name for word in asked):
            found.append(item)
    return found


def _render_component(state: Overrides, fields: Sequence[FieldPolicy]) -> None:
    """The fields of one component; closed ones last, each with its reason."""
    name, wired = fields[0].component, state.wired
    shown = wired.display_names[name]
    with st.container(border=True, gap="small", key=f"overrides:{wired.id}:{name}"):
        also = "" if shown == name else f" :gray[:small[{words.escape(name)}]]"
        st.markdown(f"**{words.escape(shown)}**{also}")
        policy = state.wired.policy
        closed = [item for item in fields if not policy.may_set(item, state.caller)]
        for item in fields:
            if item not in closed:
                _render_field(state, item)
        if closed:
            with st.container(gap=None):
                for item in closed:
                    why = words.escape(policy.explain_lock(item) or "")
                    st.caption(f":material/lock: **{words.escape(item.type.title)}** · {why}")


def _render_field(state: Overrides, item: FieldPolicy) -> None:
    """The editor, the author's value below it, and why a typed value is refused."""
    key = f"override:{state.wired.id}:{state.wired.version}:{state.generation}:{item.key}"
    refused = state.refused.get(item.key)
    changed = state.good.get(item.component, {})
    is_changed = item.name in changed
    is_new = key not in st.session_state
    if is_new:
        st.session_state[key] = _fit(item, refused.value if refused else changed.get(item.name, item.value))
    _render_editor(item, key, lambda: _take_edit(state, item, key), is_new=is_new)
    if refused:
        kept_on = "the previous value stays" if is_changed else "the author's value stays"
        st.error(f"{words.write_sentence(refused.why)}  \n:small[Not in the code: {kept_on}.]", icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_write_facts(item, is_changed=is_changed or refused is not None))
        if is_changed or refused:
            render_action("Reset", _reset, state, item, key, key=f"{key}:reset", icon="undo")


def _take_edit(state: Overrides, item: FieldPolicy, key: str) -> None:
    value = st.session_state[key]
    if value == "" and item.type.is_optional:
        value = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as it was typed, for the sentence of a refusal
    state.edit(item, value)
    if value is None:
        st.session_state.pop(key, None)  # an emptied editor shows the author's value again


def _reset(state: Overrides, item: FieldPolicy, key: str) -> None:
    state.reset(item)
    st.session_state.pop(key, None)


def _write_facts(item: FieldPolicy, *, is_changed: bool) -> str:
    bounds = ""
    if item.widget in ("number", "integer"):
        low, high = ("" if bound is None else f"{bound:,.10g}" for bound in (item.min, item.max))
        bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
    own = "" if item.type.is_secret or (item.widget in _TEXTS and not is_changed) else write_value(item.value)
    return words.join((f"Author's value: {words.escape(own)}" if own else "", bounds, f"`{item.key}`"))


def _fit(item: FieldPolicy, value: Any) -> Any:
    """The value in the type of its editor."""
    widget = _choose_widget(item, value)
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False)
    if widget in _TEXTS:
        return "" if value is None else str(value)
    if widget == "switch":
        return bool(value)
    if value is None or widget == "choice":
        return value
    return int(value) if item.type.is_whole else float(value)


def _choose_widget(item: FieldPolicy, value: Any) -> Widget:
    """The field's widget; text for a number that a browser would round."""
    if item.widget in ("integer", "number") and (
        isinstance(value, str) or (isinstance(value, int | float) and abs(value) > _EXACT)
    ):
        return "text"
    return item.widget


def _is_one_line(item: FieldPolicy, key: str) -> bool:
    """Whether a short text gets a field of one line; an editor keeps its first shape."""
    is_line = item.is_short and str(st.session_state[key]).isprintable()
    return bool(st.session_state.setdefault(f"{key}:line", is_line))


def _render_editor(item: FieldPolicy, key: str, on_change: Callable[[], None], *, is_new: bool) -> None:
    """The editor. `is_new`: this run of the page sets its value.

    A slow browser may render the editor first in a later run. It would then send Streamlit's default back as an edit,
    so each later run repeats the value as the default.
    """
    held = st.session_state[key]
    default = {} if is_new else {"value": held}
    every: dict[str, Any] = {
        "label": item.type.title,
        "help": item.type.description,
        "key": key,
        "on_change": on_change,
    }
    is_whole = item.type.is_whole
    match _choose_widget(item, held):
        case "slider":
            low, high, step = ((int if is_whole else float)(bound or 0) for bound in (item.min, item.max, item.step))
            st.slider(min_value=low, max_value=high, step=step, **default, **every)
        case "integer" | "number":
            form = "%d" if is_whole else "%g"
            # The default is None: with another one the field could not be emptied.
            st.number_input(value=None, step=item.step, format=form, placeholder="not set", **every)
        case "choice":
            choices = item.list_choices(held)
            place = 0 if is_new else next(place for place, choice in enumerate(choices) if _is_same(choice, held))
            st.selectbox(options=choices, index=place, format_func=write_value, placeholder="not set", **every)
        case "switch":
            st.toggle(**default, **every)
        case "text":
            kind: Literal["password", "default"] = "password" if item.type.is_secret else "default"
            st.text_input(type=kind, placeholder="not set", **default, **every)
        case "area" if _is_one_line(item, key):
            st.text_input(**default, **every)
        case "area":
            st.text_area(height="content", **default, **every)
        case "json":
            st.text_area(height="content", placeholder="not set", **default, **every)
        case unknown:
            assert_never(unknown)


def _is_same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from True and from 1.0."""
    return type(one) is type(other) and one == other
