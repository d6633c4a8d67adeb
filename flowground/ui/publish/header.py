"""The top of a flow's page: its name, what it is, and what can be done with it."""

import streamlit as st

from flowground.caller import Caller
from flowground.errors import FlowError
from flowground.ui.api_access import api_access
from flowground.ui.page import asked, words
from flowground.ui.publish import publish
from flowground.wiring import WiredFlow


def draw_branding(flow: WiredFlow) -> None:
    """The shareable playground's top: title, icon and notice as the author wrote them, else name and description."""
    chat = flow.flow.chat
    title = chat.title or flow.name
    st.set_page_config(page_title=title)
    st.header(" ".join(filter(None, (chat.icon, words.plain(title)))), anchor=False)
    _draw_description(flow)
    if chat.notice:
        st.caption(words.said(chat.notice))


def draw_header(caller: Caller, flow: WiredFlow, *, shared: bool, api: bool) -> None:
    """Name, state, *API access* (`api`: whether they may run it) and *Publish*, as far as the person may."""
    st.set_page_config(page_title=flow.name)
    with st.container(horizontal=True, vertical_alignment="top", key=f"header:{flow.id}"):
        with st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.header(words.plain(flow.name), anchor=False, width="content")
                if shared:
                    st.badge("Shared", icon=":material/group:", color="green")
            _draw_description(flow)
        _draw_actions(caller, flow, shared=shared, api=api)


def _draw_actions(caller: Caller, flow: WiredFlow, *, shared: bool, api: bool) -> None:
    with st.container(horizontal=True, width="content", gap="small"):
        if api and st.button("API access", icon=":material/code:", key=f"header:api:{flow.id}"):
            api_access.open_drawer(flow)
        elif api and (call := asked.wanted(flow.id)):
            api_access.open_drawer(flow, call)
        publish.draw_menu(caller, flow, shared=shared)


def _draw_description(flow: WiredFlow) -> None:
    if flow.flow.description:
        st.markdown(f":gray[{words.plain(flow.flow.description)}]")


def draw_stale(mistake: FlowError | None) -> None:
    """The banner while the last good version serves."""
    if mistake:
        st.warning(
            "The file of this flow has a mistake; the last good version answers until it is corrected.  \n"
            + "  \n".join(words.sentence(str(problem)) for problem in mistake.problems[:3]),
            icon=":material/history:",
        )
