"""The menu of the conversation that a page shows, in the page's head. There is none before something is stored."""

import streamlit as st

from flowground.caller import Caller
from flowground.store.runs import whole_chats
from flowground.ui.chat import chat_files, chat_links
from flowground.ui.page import bridge
from flowground.wiring import WiredFlow


def draw_chat_menu(caller: Caller, wired: WiredFlow) -> None:
    session_id = st.query_params.get("session", "")
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    if not session_id or bridge.read(whole_chats.find_head, **place) is None:
        return
    noun = "chat" if wired.chat_input else "run"
    offered = [f"Export this {noun}"]
    if caller.kind != "visitor":
        offered.insert(0, f"Share this {noun}")
    chosen = st.menu_button(
        f"More for this {noun}", offered, key=f"chat:menu:{wired.id}", type="tertiary", icon=":material/more_horiz:"
    )
    if chosen and chosen.startswith("Share"):
        chat_links.open_sharing(wired.id, session_id)
    elif chosen:
        chat_files.open_export(wired.id, session_id, noun)
