"""The list of a person's conversations with a flow, in the sidebar: links, by day, searched, a page at a time.

The list is a fragment: searching and ticking draw it alone; opening one draws the page. It asks who is here each time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from itertools import groupby
from urllib.parse import urlencode

import streamlit as st

from flowground import runtime
from flowground.access import gallery
from flowground.caller import Caller
from flowground.store.runs import session_lists
from flowground.store.runs.session_lists import ListedSession, SessionPage, SessionPlace
from flowground.ui.chat import chat_menu, session_changes
from flowground.ui.chat.conversation import Conversation, begin_new, find_session, name_flow
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import draw_action, mark_gone
from flowground.ui.page.caller import read_shared_flow, require_visitor
from flowground.ui.shell.navigation import find_page_part

_PAGE = 40
_TITLE_CHARS = 60
_REFUSED = "sessions:refused"


@dataclass(slots=True)
class _ListState:
    """Where the page of the list begins, behind which others were shown; and what is ticked, while one ticks."""

    places: list[SessionPlace] = field(default_factory=list)
    is_selecting: bool = False
    ticked: set[str] = field(default_factory=set)


def draw_sessions(conversation: Conversation, *, noun: str = "chat") -> None:
    """The person's conversations with the flow; `noun` is what one of them is called."""
    flow_id = conversation.wired.id
    with find_page_part():
        st.button(
            f"New {noun}",
            icon=":material/edit_square:",
            key=f"sessions:new:{flow_id}",
            width="stretch",
            on_click=lambda: begin_new(flow_id),
        )
        _draw_list(flow_id, conversation.session_id, noun, name_flow(conversation.wired))


@st.fragment
def _draw_list(flow_id: str, shown: str, noun: str, name: str) -> None:
    if find_session(flow_id) != shown:
        st.rerun(scope="app")  # another one was chosen in the list
    caller = require_visitor()
    state: _ListState = st.session_state.setdefault(session_changes.make_state_key(flow_id), _ListState())
    searched = str(st.session_state.get(_make_search_key(flow_id)) or "").strip()
    page = _read_page(caller, flow_id, searched, state)
    is_empty = not page.sessions and not page.pinned and not searched and not state.places
    if is_empty:
        return
    _draw_head(flow_id, noun, state)
    failure.draw_kept(_REFUSED)
    with st.container(gap=None, key="sessions:rows"):
        for day, sessions in _split_by_day(page):
            st.caption(day)
            for session in sessions:
                _draw_row(caller, flow_id, session, state, noun, is_shown=session.session_id == shown)
        if searched and not page.sessions and not page.end:
            st.caption(f"No results in {noun}s with {words.escape(name)}.")
        if searched and not state.places:
            _draw_found_elsewhere(caller, flow_id, searched)
        _draw_foot(flow_id, page, state, is_searching=bool(searched))


def _read_page(caller: Caller, flow_id: str, searched: str, state: _ListState) -> SessionPage:
    owner, after = str(caller.owner), state.places[-1] if state.places else None
    if searched:
        return bridge.read(session_lists.search, flow_id=flow_id, owner=owner, words=searched, after=after, limit=_PAGE)
    return bridge.read(session_lists.list_page, flow_id=flow_id, owner=owner, after=after, limit=_PAGE)


def _draw_head(flow_id: str, noun: str, state: _ListState) -> None:
    st.text_input(
        f"Search {noun}s",
        key=_make_search_key(flow_id),
        type="search",
        placeholder=f"Search {noun}s",
        label_visibility="collapsed",
        icon=":material/search:",
        max_chars=session_lists.SEARCHED_CHARS,
        live="400ms",
        on_change=_begin_anew,
        args=(state,),
    )
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", key="sessions:head"):
        st.markdown(f":small[**Your {noun}s**]", width="stretch")
        word = "Cancel" if state.is_selecting else "Select"
        draw_action(word, _select, state, not state.is_selecting, key=f"sessions:select:{flow_id}")
    if state.is_selecting:
        count = len(state.ticked)
        label = f"Delete {words.count(count, noun)}" if count else f"Delete {noun}s"
        if st.button(label, key=f"sessions:delete_ticked:{flow_id}", icon=":material/delete:", disabled=not count):
            session_changes.delete(flow_id, tuple(sorted(state.ticked)), noun)


def _draw_found_elsewhere(caller: Caller, flow_id: str, searched: str) -> None:
    """Other flows' conversations that have the words, where there are pages to lead to."""
    if caller.kind == "visitor" or read_shared_flow() is not None:
        return
    found, _ = bridge.ask(gallery.search_chats, caller, words=searched, without=flow_id)
    flows = runtime.get().catalogue.list_flows()
    there = [session for session in found if session.flow_id in flows]  # a file may have gone meanwhile
    if there:
        st.caption("With other flows")
    for session in there:
        query = {"flow": session.flow_id, "session": session.session_id}
        key = f"{session.flow_id}:{session.session_id}"  # ids may come again with another flow
        with st.container(key=f"sessions:row:else:{key}"):
            _draw_link(key, session.title, query, flow=flows[session.flow_id].name)


def _draw_foot(flow_id: str, page: SessionPage, state: _ListState, *, is_searching: bool) -> None:
    """How far a search has read, and the ways to older ones and back."""
    if page.read_to:
        st.caption(f"Searched back to {browser.write_day(page.read_to)}.")
    if page.end:
        word = "Search further back" if is_searching else "Show older"
        draw_action(word, state.places.append, page.end, key=f"sessions:older:{flow_id}", icon="expand_more")
    if state.places:
        draw_action(
            "Back to the newest", _begin_anew, state, key=f"sessions:newest:{flow_id}", icon="vertical_align_top"
        )


def _draw_row(
    caller: Caller, flow_id: str, session: ListedSession, state: _ListState, noun: str, *, is_shown: bool
) -> None:
    key, title = session.session_id, words.cut(session.title or "Untitled", _TITLE_CHARS)
    if state.is_selecting:
        st.checkbox(
            words.escape(title),
            value=key in state.ticked,
            key=f"sessions:tick:{key}",
            width="stretch",
            on_change=_mark,
            args=(state, key),
        )
        return
    mark = "on" if is_shown else "off"
    with st.container(
        horizontal=True, wrap=False, vertical_alignment="center", gap=None, key=f"sessions:row:{mark}:{key}"
    ):
        _draw_link(key, session.title, st.query_params.to_dict() | {"session": key}, is_shown=is_shown)
        chosen = st.menu_button(
            f"More about {words.escape(title)}",
            chat_menu.list_entries(caller, is_pinned=session.is_pinned),
            key=f"sessions:more:{key}",
            type="tertiary",
            icon=":material/more_horiz:",
            format_func=mark_gone,
        )
    chat_menu.follow_entry(caller, flow_id, key, chosen, title=session.title, noun=noun, refused=_REFUSED)


def _draw_link(key: str, title: str, query: Mapping[str, str], *, flow: str = "", is_shown: bool = False) -> None:
    """To a conversation, at an address of this page; pressed, it does what the button does (web/head.js).

    Streamlit's own link to the page where it stands leaves the address as it was.
    """
    current = ' aria-current="page"' if is_shown else ""
    said = escape(words.cut(title or "Untitled", _TITLE_CHARS)) + (f" <span>{escape(flow)}</span>" if flow else "")
    st.html(f'<a class="fg-nav"{current} href="?{escape(urlencode(query))}">{said}</a>', width="stretch")
    if not is_shown:
        draw_action("Open", st.query_params.from_dict, query, key=f"sessions:open:{key}")


def _begin_anew(state: _ListState) -> None:
    state.places.clear()


def _select(state: _ListState, is_selecting: bool) -> None:
    state.is_selecting = is_selecting
    state.ticked.clear()


def _mark(state: _ListState, session_id: str) -> None:
    state.ticked ^= {session_id}


def _make_search_key(flow_id: str) -> str:
    return f"sessions:search:{flow_id}"


def _split_by_day(page: SessionPage) -> Iterator[tuple[str, Iterable[ListedSession]]]:
    """Pinned ones first, then by the visitor's days."""
    if page.pinned:
        yield "Pinned", page.pinned
    yield from groupby(page.sessions, key=lambda session: _name_day(session.updated_at))


def _name_day(moment: datetime) -> str:
    days = (browser.find_today() - browser.find_day(moment)).days
    names = ((0, "Today"), (1, "Yesterday"), (7, "Last 7 days"), (30, "Last 30 days"))
    return next((name for most, name in names if days <= most), "Older")
