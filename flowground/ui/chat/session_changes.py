"""Dialogs that change conversations of one's own: another title, or gone for good."""

from collections.abc import Sequence

import streamlit as st

from flowground.access import account
from flowground.store.runs import conversations
from flowground.ui.chat.conversation import begin_new
from flowground.ui.page import bridge
from flowground.ui.page.actions import draw_last_question
from flowground.ui.page.caller import require_visitor


def rename(flow_id: str, session_id: str, title: str) -> None:
    """Closed, the page is drawn anew, as after `chat_files.open_export`."""
    st.dialog("Rename", on_dismiss="rerun")(_draw_title)(flow_id, session_id, title)


def _draw_title(flow_id: str, session_id: str, before: str) -> None:
    with st.form(f"sessions:rename:{session_id}", border=False):
        title = st.text_input(
            "Title", value=before, max_chars=conversations.TITLE_CHARS, key=f"sessions:title:{session_id}"
        )
        with st.container(horizontal=True):
            is_wanted = st.form_submit_button("Save", type="primary")
            if st.form_submit_button("Cancel", key="rename:no"):
                st.rerun()
        if is_wanted and title.strip():
            bridge.write(
                require_visitor(),
                conversations.rename_session,
                flow_id=flow_id,
                session_id=session_id,
                title=title,
            )
            st.rerun()


def delete(flow_id: str, sessions: Sequence[str], noun: str) -> None:
    """Asks before these go, by their ids."""
    title = f"Delete this {noun}?" if len(sessions) == 1 else f"Delete {len(sessions)} {noun}s?"
    st.dialog(title, on_dismiss="rerun")(_ask_before_deleting)(flow_id, sessions)


def _ask_before_deleting(flow_id: str, sessions: Sequence[str]) -> None:
    them = "Its messages are" if len(sessions) == 1 else "Their messages are"
    st.write(f"{them} deleted for good.")
    if draw_last_question("Delete", key=f"sessions:delete:{sessions[0]}"):
        caller = require_visitor()
        for session_id in sessions:
            bridge.ask(account.delete_conversation, caller, flow_id=flow_id, session_id=session_id)
        stop_selecting(flow_id)
        if st.query_params.get("session") in sessions:
            begin_new(flow_id)
        st.rerun()


def stop_selecting(flow_id: str) -> None:
    """The list shows lines again, none of them ticked."""
    st.session_state.pop(make_state_key(flow_id), None)


def make_state_key(flow_id: str) -> str:
    """Where the list of this flow keeps what it shows."""
    return f"sessions:state:{flow_id}"
