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


def draw_presets(caller: Caller, wired: WiredFlow) -> None:
    """The menu of this person's presets for the flow: load, delete, keep the present overrides under a name."""
    menu = st.popover("Presets", icon=":material/bookmark:", key=f"presets:{wired.id}", on_change="rerun")
    if not menu.open:
        return
    with menu:
        found = bridge.call(runtime.current().store.read(presets.list_presets, flow_id=wired.id, owner=caller.key))
        if not found:
            st.caption("Overrides that you keep under a name stand here. Only you see them.")
        for preset in found:
            _draw_row(caller, wired, preset)
        values = override_state.without_secrets(wired, override_state.in_force(wired, sees_inside=caller.sees_inside))
        if values:
            _draw_form(caller, wired, values)
        else:
            st.caption("Change a field, and it can be kept here.")
        if refused := st.session_state.pop(_refused(wired), None):
            failure.draw_refusal(refused)


def draw_link(wired: WiredFlow, values: Values) -> None:
    """The link to the playground that carries the overrides; its reader sees them and accepts them first."""
    with st.popover("Link", icon=":material/link:", key=f"overrides:link:{wired.id}", disabled=not values):
        try:
            word = to_link(override_state.without_secrets(wired, values))
        except FlowgroundError as error:
            failure.draw_refusal(error)
            return
        query = urlencode({"flow": wired.id, PARAMETER: word})
        st.caption("For authors: who opens it sees these overrides and accepts them before they apply.")
        st.code(f"{addresses.base_url()}/playground?{query}", language=None, wrap_lines=True)


def _draw_row(caller: Caller, wired: WiredFlow, preset: Preset) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
        st.button(
            f"{words.plain(preset.name)} :gray[:small[{override_state.words_for(preset.values)}]]",
            key=f"presets:load:{wired.id}:{preset.name}",
            type="tertiary",
            on_click=_load,
            args=(caller, wired, preset),
        )
        st.space("stretch")
        st.button(
            "Delete",
            key=f"presets:delete:{wired.id}:{preset.name}",
            type="tertiary",
            on_click=_remove,
            args=(caller, wired, preset),
        )


def _draw_form(caller: Caller, wired: WiredFlow, values: Values) -> None:
    with (
        st.form(f"presets:new:{wired.id}", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        key = f"presets:name:{wired.id}"
        st.text_input("Keep these overrides as", key=key, max_chars=presets.LONGEST_NAME, placeholder="A name")
        st.form_submit_button("Save", type="primary", on_click=_save, args=(caller, wired, values, key))


@for_its_caller
def _save(caller: Caller, wired: WiredFlow, values: Values, key: str) -> None:
    name = st.session_state[key]
    _change(caller, wired, partial(presets.save, name=name, values=values))


@for_its_caller
def _load(caller: Caller, wired: WiredFlow, preset: Preset) -> None:
    try:
        override_state.overrides_of(wired, sees_inside=caller.sees_inside).replace(preset.values)
    except FlowgroundError as error:
        error.hint = "The flow has changed since this preset was kept."
        st.session_state[_refused(wired)] = error


@for_its_caller
def _remove(caller: Caller, wired: WiredFlow, preset: Preset) -> None:
    _change(caller, wired, partial(presets.remove, name=preset.name))


def _change(caller: Caller, wired: WiredFlow, job: Callable[..., object]) -> None:
    try:
        bridge.call(_changed(caller, wired, job))
    except FlowgroundError as error:
        st.session_state[_refused(wired)] = error


async def _changed(caller: Caller, wired: WiredFlow, job: Callable[..., object]) -> None:
    """A preset outlives the visit: whoever keeps one is asked again who they are, the local owner for the code."""
    app = runtime.current()
    present = await app.access.recheck(caller)
    app.access.require_lasting(present)
    await app.store.write(job, flow_id=wired.id, owner=present.key)


def _refused(wired: WiredFlow) -> str:
    return f"presets:refused:{wired.id}"
