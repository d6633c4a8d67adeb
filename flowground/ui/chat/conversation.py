"""Which conversation a page shows, and the list of all in its sidebar.

The address names it (`?session=…`), so that a refresh and a link find it again.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import streamlit as st

from flowground.caller import SESSION_ID_CHARS, Caller
from flowground.overrides import FieldValues
from flowground.store.runs import conversations
from flowground.store.runs.conversations import SessionInfo
from flowground.ui.page import bridge, words
from flowground.ui.page.actions import draw_action
from flowground.ui.shell.navigation import find_page_part
from flowground.wiring import WiredFlow

_LISTED = 50
_ROW_CHARS = 24


class SessionKey(NamedTuple):
    """One conversation in the store: a session of one caller with one flow."""

    owner: str
    flow_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """`sees_inside`: steps and failures are shown whole here. `offers_code`: each answer has a button for its code.

    `overrides` apply to what is said here.
    """

    caller: Caller
    wired: WiredFlow
    session_id: str
    sees_inside: bool = False
    overrides: FieldValues = field(default_factory=dict)
    offers_code: bool = False

    @property
    def session_key(self) -> SessionKey:
        return SessionKey(self.caller.key, self.wired.id, self.session_id)

    def make_key(self, subject: str) -> str:
        """A widget key of this conversation's own."""
        return f"{subject}:{self.wired.id}:{self.session_id}"


def find_session(flow_id: str) -> str:
    """The id in the address, else a new one that is kept once something is said in it."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return named
    fresh: str = st.session_state.setdefault(_make_fresh_key(flow_id), str(uuid.uuid4()))
    return fresh


def keep_in_address(conversation: Conversation) -> None:
    """Puts the conversation into the address; the next new one gets another id."""
    if st.query_params.get("session") != conversation.session_id:
        st.query_params["session"] = conversation.session_id
    st.session_state.pop(_make_fresh_key(conversation.wired.id), None)


def _begin_new(flow_id: str) -> None:
    st.query_params.pop("session", None)
    st.session_state.pop(_make_fresh_key(flow_id), None)


def _make_fresh_key(flow_id: str) -> str:
    return f"chat:draft:{flow_id}"


def draw_sessions(conversation: Conversation, *, noun: str = "chat") -> None:
    """The person's conversations with the flow, in the sidebar; `noun` is what one of them is called."""
    flow_id = conversation.wired.id
    with find_page_part():
        st.button(
            f"New {noun}",
            icon=":material/edit_square:",
            key=f"sessions:new:{flow_id}",
            width="stretch",
            on_click=lambda: _begin_new(flow_id),
        )
        found = bridge.read(conversations.list_sessions, flow_id=flow_id, owner=conversation.caller.key, limit=_LISTED)
        if found:
            st.caption(f"Your {noun}s")
        with st.container(gap=None):
            for info in found:
                _draw_row(conversation, info)


def _draw_row(conversation: Conversation, info: SessionInfo) -> None:
    title = words.escape(words.cut(info.title or "Untitled", _ROW_CHARS))
    is_shown = info.session_id == conversation.session_id
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xxsmall"):
        label = f"**{title}**" if is_shown else title
        draw_action(label, st.query_params.update, {"session": info.session_id}, key=f"sessions:open:{info.session_id}")
        if not is_shown:
            return
        st.space("stretch")
        key = f"sessions:more:{info.session_id}"
        chosen = st.menu_button("More", ("Rename", "Delete"), key=key, type="tertiary")
    if chosen == "Rename":
        _rename(conversation, info)
    elif chosen == "Delete":
        _delete(conversation, info)


@st.dialog("Rename")
def _rename(conversation: Conversation, info: SessionInfo) -> None:
    with st.form(f"sessions:rename:{info.session_id}", border=False):
        title = st.text_input("Title", value=info.title, max_chars=conversations.TITLE_CHARS)
        if st.form_submit_button("Save", type="primary") and title.strip():
            _change(conversation, conversations.rename_session, title=title)
            st.rerun()


@st.dialog("Delete this conversation?")
def _delete(conversation: Conversation, info: SessionInfo) -> None:
    st.text(info.title)
    st.caption("Its messages are deleted for good.")
    if st.button("Delete", type="primary", key=f"sessions:delete:{info.session_id}"):
        _change(conversation, conversations.delete_session)
        _begin_new(conversation.wired.id)
        st.rerun()


def _change(conversation: Conversation, job: Callable[..., bool], **changes: Any) -> None:
    bridge.write(conversation.caller, job, flow_id=conversation.wired.id, session_id=conversation.session_id, **changes)
