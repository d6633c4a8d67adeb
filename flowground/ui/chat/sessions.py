"""The list of a person's conversations with a flow: open, rename, delete, begin a new one."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from flowground import runtime
from flowground.store.runs import conversations
from flowground.store.runs.conversations import SessionInfo
from flowground.ui.chat import conversation
from flowground.ui.chat.conversation import Conversation
from flowground.ui.page import bridge, words
from flowground.ui.shell.navigation import page_part

_LISTED = 50
_TITLE_CHARS = 80
_ROW_CHARS = 24


def draw_sessions(chat: Conversation, *, noun: str = "chat") -> None:
    """In the sidebar; `noun` is what one of them is called."""
    with page_part():
        st.button(
            f"New {noun}",
            icon=":material/edit_square:",
            key=f"sessions:new:{chat.wired.id}",
            width="stretch",
            on_click=conversation.begin_new,
            args=(chat.wired.id,),
        )
        found = _sessions(chat)
        if found:
            st.caption(f"Your {noun}s")
        with st.container(gap=None):
            for info in found:
                _draw_row(chat, info)


def _sessions(chat: Conversation) -> list[SessionInfo]:
    return bridge.call(
        runtime.current().store.read(
            conversations.list_sessions, flow_id=chat.wired.id, owner=chat.caller.key, limit=_LISTED
        )
    )


def _draw_row(chat: Conversation, info: SessionInfo) -> None:
    title = info.title or "Untitled"
    if len(title) > _ROW_CHARS:
        title = title[: _ROW_CHARS - 1].rstrip() + "…"
    title = words.plain(title)
    shown = info.session_id == chat.session_id
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xxsmall"):
        st.button(
            f"**{title}**" if shown else title,
            key=f"sessions:open:{info.session_id}",
            type="tertiary",
            on_click=conversation.open_session,
            args=(info.session_id,),
        )
        if not shown:
            return
        st.space("stretch")
        chosen = st.menu_button(
            "More",
            ("Rename", "Delete"),
            key=f"sessions:more:{info.session_id}",
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
            bridge.call(_changed(chat, info, partial(conversations.rename_session, title=title)))
            st.rerun()


@st.dialog("Delete this conversation?")
def _delete(chat: Conversation, info: SessionInfo) -> None:
    st.text(info.title)
    st.caption("Its messages are deleted for good.")
    if st.button("Delete", type="primary", key=f"sessions:delete:{info.session_id}"):
        bridge.call(_changed(chat, info, conversations.delete_session))
        if info.session_id == chat.session_id:
            conversation.begin_new(chat.wired.id)
        st.rerun()


async def _changed(chat: Conversation, info: SessionInfo, job: Callable[..., bool]) -> None:
    """A dialog runs without the router: who acts is asked again here."""
    app = runtime.current()
    caller = await app.access.recheck(chat.caller)
    await app.store.write(job, flow_id=chat.wired.id, owner=caller.key, session_id=info.session_id)
