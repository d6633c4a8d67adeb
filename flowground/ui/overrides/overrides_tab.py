"""The tab *Temporary overrides*: every field that may be changed for one's own calls, and the locked ones."""

import json
from collections.abc import Iterable, Sequence

import streamlit as st

from flowground.caller import Caller
from flowground.fields.policy import FieldPolicy
from flowground.overrides import Values
from flowground.ui.overrides import override_editors, override_presets, override_state
from flowground.ui.overrides.override_state import Overrides
from flowground.ui.page import words
from flowground.wiring import WiredFlow


def title(values: Values) -> str:
    """The tab's label, with how many fields differ from the author's."""
    changed = override_state.count(values)
    return f"Temporary overrides ({changed})" if changed else "Temporary overrides"


def draw_overrides(caller: Caller, wired: WiredFlow, *, sent: Values) -> None:
    """Editors by component in the flow's order. Who sees the flow from outside gets what its author opened.

    `sent` is what the code carries as tweaks: all but a changed input's text, which is the message.
    """
    seen = wired.policy.list_fields(sees_inside=caller.sees_inside)
    if not seen:
        st.caption("The author of this flow has opened none of its fields.")
        return
    st.caption("What you change here goes into the code and into your own chat. The flow itself stays as it is.")
    state = override_state.overrides_of(wired, sees_inside=caller.sees_inside)
    wanted = _draw_tools(caller, state)
    found = [fields for every in seen.values() if (fields := _search(wired, every.values(), wanted))]
    for fields in found:
        _draw_component(state, fields)
    if not found:
        st.caption(f"No field has “{words.plain(wanted)}” in its name.")
    if sent:
        st.caption("Every call carries this as `tweaks`:")
        st.code(json.dumps(sent, indent=2, ensure_ascii=False), language="json", wrap_lines=True)


def _draw_tools(caller: Caller, state: Overrides) -> str:
    """Search, presets, link, reset; returns what is searched for."""
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
        override_presets.draw_presets(caller, wired)
        if state.sees_inside:
            override_presets.draw_link(wired, state.good)
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


def _draw_component(state: Overrides, fields: Sequence[FieldPolicy]) -> None:
    """The fields of one component, the closed ones last."""
    name = fields[0].component
    shown = state.wired.display_names[name]
    with st.container(border=True, key=f"overrides:{state.wired.id}:{name}"):
        also = "" if shown == name else f" :gray[:small[{words.plain(name)}]]"
        st.markdown(f"**{words.plain(shown)}**{also}")
        for item in fields:
            if not item.closed:
                override_editors.draw_editor(state, item)
        if closed := [item for item in fields if item.closed]:
            with st.container(gap=None):
                for item in closed:
                    override_editors.draw_locked(state.wired, item)
