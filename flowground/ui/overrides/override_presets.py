"""Overrides that outlive the visit: presets under a name, and a link for colleagues."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowgroundError
from flowground.overrides import Values, to_link
from flowground.store.flows import presets
from flowground.store.flows.presets import Preset
from flowground.ui.overrides import override_state
from flowground.ui.page import addresses, bridge, failure, words
from flowground.ui.page.caller import for_its_caller
from flowground.wiring import WiredFlow

PARAMETER = "overrides"
"""What a link to the playground calls them in its address."""


def draw_presets(caller: Caller, flow: WiredFlow) -> None:
    """The menu of this person's presets for the flow: load, delete, keep the present overrides under a name."""
    menu = st.popover("Presets", icon=":material/bookmark:", key=f"presets:{flow.id}", on_change="rerun")
    if not menu.open:
        return
    with menu:
        found = bridge.call(runtime.current().store.read(presets.list_presets, flow_id=flow.id, owner=caller.key))
        if not found:
            st.caption("Overrides that you keep under a name stand here. Only you see them.")
        for preset in found:
            _draw_row(caller, flow, preset)
        values = override_state.without_secrets(flow, override_state.in_force(flow, sees_inside=caller.sees_inside))
        if values:
            _draw_form(caller, flow, values)
        else:
            st.caption("Change a field, and it can be kept here.")
        if refused := st.session_state.pop(_refused(flow), None):
            failure.draw_refusal(refused)


def draw_link(flow: WiredFlow, values: Values) -> None:
    """The link to the playground that carries the overrides; its reader sees them and accepts them first."""
    with st.popover("Link", icon=":material/link:", key=f"overrides:link:{flow.id}", disabled=not values):
        try:
            word = to_link(override_state.without_secrets(flow, values))
        except FlowgroundError as error:
            failure.draw_refusal(error)
            return
        query = urlencode({"flow": flow.id, PARAMETER: word})
        st.caption("For authors: who opens it sees these overrides and accepts them before they apply.")
        st.code(f"{addresses.base_url()}/playground?{query}", language=None, wrap_lines=True)


def _draw_row(caller: Caller, flow: WiredFlow, preset: Preset) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
        st.button(
            f"{words.plain(preset.name)} :gray[:small[{override_state.words_for(preset.values)}]]",
            key=f"presets:load:{flow.id}:{preset.name}",
            type="tertiary",
            on_click=_load,
            args=(caller, flow, preset),
        )
        st.space("stretch")
        st.button(
            "Delete",
            key=f"presets:delete:{flow.id}:{preset.name}",
            type="tertiary",
            on_click=_remove,
            args=(caller, flow, preset),
        )


def _draw_form(caller: Caller, flow: WiredFlow, values: Values) -> None:
    with (
        st.form(f"presets:new:{flow.id}", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        key = f"presets:name:{flow.id}"
        st.text_input("Keep these overrides as", key=key, max_chars=presets.LONGEST_NAME, placeholder="A name")
        st.form_submit_button("Save", type="primary", on_click=_save, args=(caller, flow, values, key))


@for_its_caller
def _save(caller: Caller, flow: WiredFlow, values: Values, key: str) -> None:
    name = st.session_state[key]
    _change(caller, flow, partial(presets.save, name=name, values=values))


@for_its_caller
def _load(caller: Caller, flow: WiredFlow, preset: Preset) -> None:
    try:
        override_state.overrides_of(flow, sees_inside=caller.sees_inside).replace(preset.values)
    except FlowgroundError as error:
        error.hint = "The flow has changed since this preset was kept."
        st.session_state[_refused(flow)] = error


@for_its_caller
def _remove(caller: Caller, flow: WiredFlow, preset: Preset) -> None:
    _change(caller, flow, partial(presets.remove, name=preset.name))


def _change(caller: Caller, flow: WiredFlow, job: Callable[..., object]) -> None:
    try:
        bridge.call(_changed(caller, flow, job))
    except FlowgroundError as error:
        st.session_state[_refused(flow)] = error


async def _changed(caller: Caller, flow: WiredFlow, job: Callable[..., object]) -> None:
    """A preset outlives the visit: whoever keeps one is asked again who they are, the local owner for the code."""
    app = runtime.current()
    present = await app.access.recheck(caller)
    app.access.require_lasting(present)
    await app.store.write(job, flow_id=flow.id, owner=present.key)


def _refused(flow: WiredFlow) -> str:
    return f"presets:refused:{flow.id}"
