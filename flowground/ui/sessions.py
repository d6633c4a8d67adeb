"""The list of a person's conversations with a flow: open, rename, delete, begin a new one."""

import streamlit as st

from flowground import runtime
from flowground.store import conversations
from flowground.store.conversations import SessionInfo
from flowground.ui import bridge, conversation
from flowground.ui.conversation import Conversation

_LISTED = 50
_TITLE_CHARS = 80


def draw_sessions(chat: Conversation, *, noun: str = "chat") -> None:
    """In the sidebar; `noun` is what one of them is called."""
    with st.sidebar:
        st.button(
            f"New {noun}",
            icon=":material/edit_square:",
            key=f"sessions:new:{chat.flow.id}",
            width="stretch",
            on_click=conversation.begin_new,
            args=(chat.flow.id,),
        )
        found = _sessions(chat)
        if found:
            st.caption(f"Your {noun}s")
        for info in found:
            _draw_row(chat, info)


def _sessions(chat: Conversation) -> list[SessionInfo]:
    return bridge.call(
        runtime.current().store.read(
            conversations.list_sessions, flow_id=chat.flow.id, owner=chat.caller.key, limit=_LISTED
        )
    )


def _draw_row(chat: Conversation, info: SessionInfo) -> None:
    shown = info.session_id == chat.session_id
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xxsmall"):
        st.button(
            info.title or "Untitled",
            key=f"sessions:open:{info.session_id}",
            type="secondary" if shown else "tertiary",
            width="stretch",
            wrap=False,
            on_click=conversation.open_session,
            args=(info.session_id,),
        )
        chosen = st.menu_button(
            "",
            ("Rename", "Delete"),
            key=f"sessions:more:{info.session_id}",
            icon=":material/more_horiz:",
            type="tertiary",
        )
    if chosen == "Rename":
        _rename(chat, info)
    elif chosen == "Delete":
        _delete(chat, info)


@st.dialog("Rename")
def _rename(chat: Conversation, info: SessionInfo) -> None:
    with st.form(f"sessions:rename:{info.session_id}", border=False):
        title = st.text_input("Title", value=info.title, max_chars=_TITLE_CHARS)
        if st.form_submit_button("Save", type="primary") and title.strip():
            _write(chat, info, conversations.rename_session, title=title)
            st.rerun()


@st.dialog("Delete this conversation?")
def _delete(chat: Conversation, info: SessionInfo) -> None:
    st.text(info.title)
    st.caption("Its messages are deleted for good.")
    if st.button("Delete", type="primary", key=f"sessions:delete:{info.session_id}"):
        _write(chat, info, conversations.delete_session)
        if info.session_id == chat.session_id:
            conversation.begin_new(chat.flow.id)
        st.rerun()


def _write(chat: Conversation, info: SessionInfo, job, **change) -> None:
    bridge.call(
        runtime.current().store.write(
            job, flow_id=chat.flow.id, owner=chat.caller.key, session_id=info.session_id, **change
        )
    )
