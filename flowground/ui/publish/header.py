"""The top of a flow's page: its name, its description, and its actions."""

import streamlit as st

from flowground.access.sharing import find_shared
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.yaml_file import write_link_color
from flowground.flows.wiring import WiredFlow
from flowground.ui.api_access import pane
from flowground.ui.chat.chat_menu import find_session, render_chat_menu
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.parts import begin_sentence, spell_reach
from flowground.ui.publish import publish
from flowground.ui.shell import access_requests, opening

_HEAD = "page-head"
"""The key of the page's head, which stays visible while the page scrolls (frontend/src/chat.css)."""
_SHARED = "Others can chat with this flow. Nobody sees your chats with it unless you share one."


def render_branding(caller: Caller, wired: WiredFlow) -> None:
    """The top of a shareable playground: the author's title, icon and notice, else name and description."""
    chat = wired.flow.chat
    title = chat.title or wired.name
    st.set_page_config(page_title=title)
    with st.container(horizontal=True, vertical_alignment="center", key=_HEAD):
        st.title(_write_title(wired, title), anchor=False)
        with st.container(horizontal=True, width="content", gap="small", key=f"{_HEAD}-actions"):
            render_chat_menu(caller, wired)
    _render_description(wired)
    if chat.notice:
        st.caption(chat.notice)
    if chat.accent:
        link = '[data-testid="stMain"] [data-testid="stCaptionContainer"] a'
        st.html(f"<style>{link} {{ color: {write_link_color(chat.accent)} !important; }}</style>")
    if not bridge.call(runtime.get().access.is_shared(wired.id)):
        st.caption(":material/lock: Not shared: only authors and admins can open this page.")
    parts.open_scheduled(wired.id)


def render_header(caller: Caller, wired: WiredFlow) -> bool:
    """Name, sharing, *API access* and *Publish*, as far as allowed; returns whether the caller may run the flow by
    API."""
    shared, may_run_api = bridge.call(_read_standing(caller, wired))
    asking = publish.count_requests(caller, wired)
    st.set_page_config(page_title=wired.name)
    with st.container(horizontal=True, vertical_alignment="center", key=_HEAD):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.title(_write_title(wired, wired.name), anchor=False, width="content")
            if shared:
                st.badge(shared, icon=":material/group:", color="green", help=_SHARED)
        with st.container(horizontal=True, width="content", gap="small", key=f"{_HEAD}-actions"):
            if caller.sees_inside:
                # The steps of this conversation light up there; the link can be opened in another tab.
                query = {"flow": wired.id, "session": find_session(wired.id)}
                with st.container(key="header:inside", width="content"):
                    st.page_link(browser.INSIDE, label="Inside", icon=":material/account_tree:", query_params=query)
            if may_run_api and st.button("API access", icon=":material/code:", key=f"header:api:{wired.id}"):
                pane.open_drawer(wired)
            if asking is not None:
                publish.render_menu(caller, wired, asking, is_shared=bool(shared))
            render_chat_menu(caller, wired)
    _render_description(wired)
    parts.open_scheduled(wired.id)
    if asking is not None:
        access_requests.watch_requests(caller, wired, asking)
    return may_run_api


def _write_title(wired: WiredFlow, title: str) -> str:
    """The title with the flow's icon; the chat below repeats neither."""
    return " ".join(filter(None, (wired.flow.chat.icon, words.escape(title))))


async def _read_standing(caller: Caller, wired: WiredFlow) -> tuple[str, bool]:
    """How the flow is shared, "" if it is not; and whether this person may run it over the API.

    The sharing is shown only to who sees the inside: others would take it for the sharing of their own chat.
    """
    access = runtime.get().access
    shared, named = await find_shared(access, wired.id)
    may_run_api = await access.may_run_api(caller, wired)
    if shared is None or not caller.sees_inside:
        return "", may_run_api
    return begin_sentence(spell_reach(shared, *named)), may_run_api


def _render_description(wired: WiredFlow) -> None:
    if wired.flow.description:
        st.markdown(f":gray[{words.escape(wired.flow.description)}]")


def render_stale(caller: Caller, wired: WiredFlow) -> None:
    """A warning while the last good version answers because the file has a mistake, for who sees the inside."""
    mistake = runtime.get().catalogue.find_stale(wired.id)
    if mistake and caller.sees_inside:
        st.warning(
            "The file of this flow has a mistake; the last good version answers until it is corrected.  \n"
            + "  \n".join(words.write_sentence(str(problem)) for problem in mistake.problems[:3]),
            icon=":material/history:",
        )
        opening.render_file_link(wired.flow.file)
