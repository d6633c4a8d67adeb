"""Which conversation a page shows, and its menu: pin, rename, share, export, delete.

The page's address names the conversation (`?session=…`), so that a refresh and a link find it again. The menu stands in
the page's head and at each line of the list of conversations; there is none before something is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from flowground.access import account, shared_chats
from flowground.core.caller import SESSION_ID_CHARS, Caller, make_id
from flowground.flows.tweaks import FieldValues
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import conversations, session_lists, transcripts
from flowground.store.runs.session_lists import ListedSession
from flowground.store.runs.shared_chats import SharedChat
from flowground.store.runs.transcripts import ChatHead
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import change_later, read_shared_flow, require_caller
from flowground.ui.page.parts import mark_gone, render_action, render_confirm, render_list

_EXPORT_PATH = "/export/chat"
"""The route in flowground/web/sent_files.py."""
_EXPORT_FORMATS: Mapping[str, tuple[str, str]] = {
    "markdown": ("Markdown", "To read, print, or paste into a document."),
    "json": ("JSON", "For programs: each message with its time and state."),
}

_SHARED_DAYS = 30
"""Days from today to the default last day."""
_LINKS_REFUSED = "shared:refused"
SHARED_CHAT_PATH = "/shared_chat"

_MENU_REFUSED = "chat:menu:refused"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that a page shows.

    `sees_inside`: steps and reasons of failures are shown. `offers_code`: each answer has a button for its code.
    `overrides` apply to the messages to come. `is_draft`: `wired` is the caller's draft, not the saved flow.
    """

    caller: Caller
    wired: WiredFlow
    session_id: str
    sees_inside: bool = False
    overrides: FieldValues = field(default_factory=dict)
    offers_code: bool = False
    is_draft: bool = False


def name_flow(wired: WiredFlow) -> str:
    """The flow's name on this page: the shareable playground may have a title of its own."""
    return (wired.flow.chat.title if read_shared_flow() is not None else None) or wired.name


def find_session(flow_id: str) -> str:
    """The conversation id in the address, else a new id, which the page keeps until a message is sent with it."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return named
    fresh: str = st.session_state.setdefault(_make_fresh_key(flow_id), make_id())
    return fresh


def keep_in_address(conversation: Conversation, session_id: str) -> None:
    """Puts the id of a conversation that began into the address; the next new one gets another id."""
    if st.query_params.get("session") != session_id:
        st.query_params["session"] = session_id
    st.session_state.pop(_make_fresh_key(conversation.wired.id), None)


def begin_new(flow_id: str) -> None:
    """The next message begins a new conversation."""
    st.query_params.pop("session", None)
    st.session_state.pop(_make_fresh_key(flow_id), None)


def _make_fresh_key(flow_id: str) -> str:
    return f"chat:draft:{flow_id}"


def render_chat_menu(caller: Caller, wired: WiredFlow) -> None:
    session_id = st.query_params.get("session", "")
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    head = bridge.read(transcripts.find_head, **place) if session_id else None
    if head is None:
        return
    noun, key = "chat" if wired.chat_input_id else "run", f"chat:menu:{wired.id}"
    render_entries(caller, wired.id, head, f"More for this {noun}", key=key, noun=noun, refused=_MENU_REFUSED)
    bridge.render_kept(_MENU_REFUSED)


def render_entries(
    caller: Caller, flow_id: str, chat: ChatHead | ListedSession, label: str, *, key: str, noun: str, refused: str
) -> None:
    """The menu of a conversation; does what was chosen, if anything. A refusal is kept for `bridge.render_kept` under
    the key `refused`.

    Visitors cannot share; for the local owner the dialog explains that sharing needs accounts.
    """
    share, icon = [] if caller.kind == "visitor" else ["Share"], ":material/more_horiz:"
    entries = ["Unpin" if chat.is_pinned else "Pin", "Rename", *share, "Export", "Delete"]
    chosen = st.menu_button(label, entries, key=key, type="tertiary", icon=icon, format_func=mark_gone)
    session_id = chat.session_id
    if chosen == "Rename":
        _rename(flow_id, session_id, chat.title)
    elif chosen == "Delete":
        delete(flow_id, (session_id,), noun)
    elif chosen == "Export":
        # Closing a dialog reruns the page; otherwise Streamlit would take the other menu's dialog for it.
        ask = st.dialog(f"Export this {noun}", icon=":material/download:", on_dismiss="rerun")(_render_export)
        ask(flow_id, session_id)
    elif chosen == "Share":
        _share(flow_id, session_id)
    elif chosen:
        pin = partial(bridge.write_own, flow_id=flow_id, session_id=session_id, is_pinned=chosen == "Pin")
        change_later(caller, refused, pin, session_lists.pin)
        st.rerun()


@st.dialog("Rename", on_dismiss="rerun")
def _rename(flow_id: str, session_id: str, before: str) -> None:
    with st.form(f"sessions:rename:{session_id}", border=False):
        title = st.text_input(
            "Title", value=before, max_chars=conversations.TITLE_CHARS, key=f"sessions:title:{session_id}"
        )
        with st.container(horizontal=True):
            is_wanted = st.form_submit_button("Save", type="primary")
            if st.form_submit_button("Cancel", key="rename:no"):
                st.rerun()
        if is_wanted and title.strip():
            bridge.ask(
                bridge.write_own,
                require_caller(),
                conversations.rename_session,
                flow_id=flow_id,
                session_id=session_id,
                title=title,
            )
            st.rerun()


def delete(flow_id: str, sessions: Sequence[str], noun: str) -> None:
    """Asks whether these conversations shall be deleted."""
    title = f"Delete this {noun}?" if len(sessions) == 1 else f"Delete {len(sessions)} {noun}s?"
    st.dialog(title, on_dismiss="rerun")(_ask_before_deleting)(flow_id, sessions)


def _ask_before_deleting(flow_id: str, sessions: Sequence[str]) -> None:
    them = "Its messages are" if len(sessions) == 1 else "Their messages are"
    st.write(f"{them} deleted for good.")
    if render_confirm("Delete", key=f"sessions:delete:{sessions[0]}"):
        caller = require_caller()
        for session_id in sessions:
            bridge.ask(account.delete_conversation, caller, flow_id=flow_id, session_id=session_id)
        st.session_state.pop(make_state_key(flow_id), None)  # ends the ticking
        if st.query_params.get("session") in sessions:
            begin_new(flow_id)
        st.rerun()


def make_state_key(flow_id: str) -> str:
    """The session's key for the state of this flow's list."""
    return f"sessions:state:{flow_id}"


def _render_export(flow_id: str, session_id: str) -> None:
    st.write("The file has what was said until now: questions and answers, with their times.")
    for how, (label, says) in _EXPORT_FORMATS.items():
        asked = {"flow": flow_id, "session": session_id, "as": how}
        if read_shared_flow() is not None:
            asked["at"] = "public"
        address = f"{_EXPORT_PATH}?{urlencode(asked, errors='replace')}"
        st.link_button(f"Export as {label}", address, icon=":material/download:", width="stretch", key=f"export:{how}")
        st.caption(says)


def write_link(key: str) -> str:
    """The full address of a shared chat."""
    return f"{browser.find_base_url()}{SHARED_CHAT_PATH}?id={key}"


@st.dialog("Share this chat", icon=":material/share:", on_dismiss="rerun")
def _share(flow_id: str, session_id: str) -> None:
    caller = require_caller()
    if caller.kind != "member":
        st.write(
            "Colleagues sign in to open the link, so sharing a chat needs accounts. Make the first one for yourself."
        )
        st.html('<a class="fg-way-out" href="/first_account">Create the first account</a>', width="content")
        return
    st.markdown(
        "Colleagues who can open this flow read **the questions and answers as they are now**, and can go on in a copy "
        "of their own. What you write later is shared once you press *Update* at the link."
    )
    bridge.render_kept(_LINKS_REFUSED)
    last, says = browser.find_today() + timedelta(_SHARED_DAYS), "A link that you create now works"
    expires_at = parts.render_last_day("shared", session_id, last, is_on=True, says=says)
    links = bridge.ask(shared_chats.list_links, caller, flow_id=flow_id, session_id=session_id)
    render_action(
        "Create another link" if links else "Create link",
        change_later,
        caller,
        _LINKS_REFUSED,
        partial(shared_chats.share_chat, flow_id=flow_id, session_id=session_id, expires_at=expires_at),
        key=f"shared:create:{session_id}",
        icon="link",
        kind="secondary" if links else "primary",
    )
    for number, link in enumerate(links):
        _render_link(caller, link, is_newest=number == 0)


def _render_link(caller: Caller, link: SharedChat, *, is_newest: bool) -> None:
    address = write_link(link.id)
    with st.container(border=True, key=f"shared:link:{link.id}"):
        with parts.hide_other_button(f"shared:{link.id}"):
            st.code(address, language=None, wrap_lines=True)
        st.caption(_describe(link))
        browser.render_reach(is_admin=caller.role == "admin")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            parts.render_copy(address, label="Copy link", key=f"shared:{link.id}", is_primary=is_newest)
            act, key = shared_chats.renew_link, f"shared:update:{link.id}"
            render_action("Update", change_later, caller, _LINKS_REFUSED, act, link.id, key=key, kind="secondary")
            _render_revoke(caller, link)


def _render_revoke(caller: Caller, link: SharedChat) -> None:
    act, told = shared_chats.revoke_link, partial(change_later, says="The link no longer works.")
    key = f"shared:revoke:{link.id}"
    render_action("Revoke", told, caller, _LINKS_REFUSED, act, link.id, key=key, kind="secondary")


def _describe(link: SharedChat) -> str:
    end = link.expires_at
    until = "no expiry" if end is None else f"until {browser.spell_day(browser.find_last_day(end))}"
    if link.is_expired:
        until = "expired"
    size = words.count(link.messages, "message")
    newest = f"the newest {size}" if link.is_cut else size
    return words.join((newest, f"as of {browser.write_moment(link.created_at)}", until))


def render_own_links(caller: Caller) -> None:
    """All links of this person, a page at a time."""
    bridge.render_kept(_LINKS_REFUSED)
    empty = "None. *Share* in a chat's menu makes a link that colleagues can open."
    render = partial(_render_own, caller)
    render_list("shared", "Search shared chats", shared_chats.list_own, caller, render, empty=empty)


def _render_own(caller: Caller, links: Sequence[SharedChat]) -> None:
    for link in links:
        with st.container(border=True, key=f"shared:own:{link.id}"):
            title = words.escape(link.title or "Untitled")
            st.markdown(f"**{title}**  \n:small[:gray[{words.escape(link.flow_id)} · {_describe(link)}]]")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                parts.render_copy(write_link(link.id), label="Copy link", what=link.title, key=f"shared:own:{link.id}")
                _render_revoke(caller, link)
