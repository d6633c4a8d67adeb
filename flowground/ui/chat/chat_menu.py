"""What can be done with a conversation of one's own: the menu of the one that a page shows, in the page's head, and of
each line of the list. There is none before something is stored."""

import streamlit as st

from flowground.caller import Caller
from flowground.store.runs import session_lists, transcripts
from flowground.ui.chat import chat_files, chat_links, session_changes
from flowground.ui.page import bridge, failure
from flowground.ui.page.actions import mark_gone
from flowground.wiring import WiredFlow

_REFUSED = "chat:menu:refused"


def draw_chat_menu(caller: Caller, wired: WiredFlow) -> None:
    session_id = st.query_params.get("session", "")
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    head = bridge.read(transcripts.find_head, **place) if session_id else None
    if head is None:
        return
    noun = "chat" if wired.chat_input else "run"
    chosen = st.menu_button(
        f"More for this {noun}",
        list_entries(caller, is_pinned=head.is_pinned),
        key=f"chat:menu:{wired.id}",
        type="tertiary",
        icon=":material/more_horiz:",
        format_func=mark_gone,
    )
    follow_entry(caller, wired.id, session_id, chosen, title=head.title, noun=noun, refused=_REFUSED)
    failure.draw_kept(_REFUSED)


def list_entries(caller: Caller, *, is_pinned: bool) -> list[str]:
    """Nobody but members shares; to the local owner the dialog says what that takes."""
    pin, share = "Unpin" if is_pinned else "Pin", [] if caller.kind == "visitor" else ["Share"]
    return [pin, "Rename", *share, "Export", "Delete"]


def follow_entry(
    caller: Caller, flow_id: str, session_id: str, chosen: str | None, *, title: str, noun: str, refused: str
) -> None:
    """Does what was chosen, None for nothing; what was refused is kept for `failure.draw_kept`, under that key."""
    if chosen == "Rename":
        session_changes.rename(flow_id, session_id, title)
    elif chosen == "Delete":
        session_changes.delete(flow_id, (session_id,), noun)
    elif chosen == "Export":
        chat_files.open_export(flow_id, session_id, noun)
    elif chosen == "Share":
        chat_links.open_sharing(flow_id, session_id)
    elif chosen:
        is_pinned = chosen == "Pin"
        with failure.keep_refusals(refused):
            bridge.write(caller, session_lists.pin, flow_id=flow_id, session_id=session_id, is_pinned=is_pinned)
        st.rerun()
