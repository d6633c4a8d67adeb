"""Links that carry overrides to another visit, or to a colleague who accepts them first."""

import json
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError
from flowground.flows.tweaks import FieldValues, drop_secrets, find_changes, read_link, write_link
from flowground.flows.wiring import WiredFlow
from flowground.ui.overrides.state import count, find_overrides_state, write_count, write_value
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller
from flowground.ui.page.parts import render_action

_PARAMETER = "overrides"
"""The parameter of a playground's address that carries overrides."""
_LONG = 80


def render_link(wired: WiredFlow, values: FieldValues) -> None:
    """A popover with a link to the playground that carries the overrides."""
    menu = st.popover("Link", icon=":material/link:", key=f"overrides:link:{wired.id}", disabled=not values)
    with menu, bridge.render_refusals():
        query = urlencode({"flow": wired.id, _PARAMETER: write_link(drop_secrets(wired, values))})
        st.caption("For authors: whoever opens the link sees these overrides, and accepts them before they apply.")
        link = f"{browser.find_base_url()}/playground?{query}"
        with parts.hide_other_button(f"link:{wired.id}"):
            parts.render_copy(link, what="the link", key=f"overrides:{wired.id}")
            st.code(link, language=None, wrap_lines=True)


def render_arrived(caller: Caller, wired: WiredFlow) -> None:
    """The overrides that this page's address carries, if any. They apply once *Apply* is pressed."""
    word = st.query_params.get(_PARAMETER)
    if word is None:
        return
    try:
        values = _read_link(caller, wired, word)
    except FlowgroundError as error:
        _render_useless(words.write_sentence(error.message))
        return
    with st.container(border=True, key=f"arrived:{wired.id}"):
        number = write_count(values)
        pronoun = "It applies" if count(values) == 1 else "They apply"
        st.markdown(
            f":material/tune: **This link brings {number}.** {pronoun} to your own chat and code, once you say so."
        )
        for component, fields in values.items():
            for name, value in fields.items():
                item = wired.policy.fields[component][name]
                _render_value(f"{wired.display_names[component]} · {item.type.title}", value, item.value)
        if find_overrides_state(caller, wired).good:
            st.caption("They replace the ones you have now.")
        with st.container(horizontal=True):
            render_action("Apply", _accept, caller, wired, values, key=f"arrived:apply:{wired.id}", kind="primary")
            render_action("Ignore", _drop_link, key=f"arrived:ignore:{wired.id}", kind="secondary")


def _read_link(caller: Caller, wired: WiredFlow, word: str) -> FieldValues:
    if not caller.sees_inside:
        raise FlowgroundError("Links with overrides are for authors. Here the flow answers without them.")
    if values := find_changes(wired, read_link(word), replace(caller, unlocks="none")):  # whoever made the link
        return values
    raise FlowgroundError("This link changes nothing: its overrides are what the flow says already.")


def _render_value(name: str, value: object, own: object) -> None:
    author = f":gray[:small[author's value: {words.escape(write_value(own))}]]"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, bool | float) and (len(text) > _LONG or "\n" in text):
        st.markdown(f"**{words.escape(name)}** {author}")
        st.code(text, language=None, wrap_lines=True, height=160 if len(text) > 500 else "content")
        return
    st.markdown(f"**{words.escape(name)}:** {words.escape(write_value(value))} {author}")


def _render_useless(why: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="arrived:useless"):
        st.markdown(f":material/link_off: {why}")
        st.space("stretch")
        render_action("Dismiss", _drop_link, key="arrived:dismiss")


@bind_to_caller
def _accept(caller: Caller, wired: WiredFlow, values: FieldValues) -> None:
    with suppress(FlowgroundError):  # the flow changed meanwhile: the rerun shows why the link does not apply
        find_overrides_state(caller, wired).replace(values)
        _drop_link()


def _drop_link() -> None:
    st.query_params.pop(_PARAMETER, None)
