"""The tab *Temporary overrides*: every field that may be changed for one's own calls, and the locked ones."""

import json
from collections.abc import Iterable, Sequence

import streamlit as st

from flowground.caller import Caller
from flowground.fields import FieldPolicy
from flowground.overrides import Values
from flowground.ui import override_editors, override_presets, override_state, words
from flowground.wiring import WiredFlow


def title(values: Values) -> str:
    """The tab's label, with how many fields differ from the author's."""
    changed = override_state.count(values)
    return f"Temporary overrides ({changed})" if changed else "Temporary overrides"


def draw_overrides(caller: Caller, flow: WiredFlow, *, sent: Values) -> None:
    """Editors by component in the flow's order. Who sees the flow from outside gets what its author opened.

    `sent` is what the code carries as tweaks: all but a changed input's text, which is the message.
    """
    inside = caller.sees_inside
    seen = flow.policy.list_fields(inside=inside)
    if not seen:
        st.caption("The author of this flow has opened none of its fields.")
        return
    st.caption("What you change here goes into the code and into your own chat. The flow itself stays as it is.")
    wanted = _draw_tools(caller, flow)
    found = {name: fields for name, every in seen.items() if (fields := _search(flow, every.values(), wanted))}
    for name, fields in found.items():
        _draw_component(flow, name, fields, inside=inside)
    if not found:
        st.caption(f"No field has “{words.plain(wanted)}” in its name.")
    if sent:
        st.caption("Every call carries this as `tweaks`:")
        st.code(json.dumps(sent, indent=2, ensure_ascii=False), language="json", wrap_lines=True)


def _draw_tools(caller: Caller, flow: WiredFlow) -> str:
    """Search, presets, link, reset; returns what is searched for."""
    inside = caller.sees_inside
    state = override_state.kept(flow, inside=inside)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = st.text_input(
            "Search fields",
            key=f"overrides:search:{flow.id}",
            placeholder="Search fields",
            icon=":material/search:",
            live=True,
            label_visibility="collapsed",
            width=220,
        )
        override_presets.draw_presets(caller, flow)
        if inside:
            override_presets.draw_link(flow, state.good)
        st.button(
            "Reset all",
            key=f"overrides:reset:{flow.id}",
            type="tertiary",
            icon=":material/undo:",
            disabled=not (state.good or state.refused),
            on_click=override_state.clear,
            args=(flow,),
            kwargs={"inside": inside},
        )
    return (wanted or "").strip()


def _search(flow: WiredFlow, fields: Iterable[FieldPolicy], wanted: str) -> list[FieldPolicy]:
    asked = wanted.casefold().split()
    return [
        item
        for item in fields
        if all(
            word
            in f"{flow.display_names[item.component]} {item.key} {item.type.title} {item.type.description}".casefold()
            for word in asked
        )
    ]


def _draw_component(flow: WiredFlow, name: str, fields: Sequence[FieldPolicy], *, inside: bool) -> None:
    shown = flow.display_names[name]
    with st.container(border=True, key=f"overrides:{flow.id}:{name}"):
        also = "" if shown == name else f" :gray[:small[{words.plain(name)}]]"
        st.markdown(f"**{words.plain(shown)}**{also}")
        for item in fields:
            if not item.closed:
                override_editors.draw_editor(flow, item, inside=inside)
        if closed := [item for item in fields if item.closed]:
            with st.container(gap=None):
                for item in closed:
                    override_editors.draw_locked(flow, item)
