"""A flow without Chat Input: a text goes in, a text comes out. Each run is kept like a conversation of its own."""

import uuid
from dataclasses import replace

import streamlit as st

from flowground.ui.chat import answers, live
from flowground.ui.chat.conversation import Conversation
from flowground.ui.chat.live import Drawing, Following
from flowground.ui.overrides.state import draw_chip
from flowground.ui.page import failure, model_notes

_HEIGHT = 220
_READ = 51


def draw_form(conversation: Conversation) -> tuple[Conversation, Following | None]:
    """The text area with its buttons; starts a run, or finds the one that is going on."""
    wired = conversation.wired
    if notice := model_notes.announce_fetch(wired):
        st.caption(f":material/download: {notice}")
    if wired.flow.chat.welcome:
        st.markdown(wired.flow.chat.welcome)
    key, shown = f"form:text:{wired.id}", f"form:shown:{wired.id}"
    if st.session_state.get(shown) != conversation.session_id:  # a past run was opened
        st.session_state[shown] = conversation.session_id
        st.session_state[key] = _find_text(conversation)
    st.text_area("Text", key=key, height=_HEIGHT, label_visibility="collapsed", placeholder="Paste or type a text")
    draw_chip(conversation.caller, wired, conversation.overrides)
    with st.container(horizontal=True, vertical_alignment="center"):
        is_pressed = st.button("Run", type="primary", icon=":material/play_arrow:", key=f"form:run:{wired.id}")
        stop = st.empty()
    text = st.session_state[key]
    if is_pressed and text.strip():
        conversation = replace(conversation, session_id=str(uuid.uuid4()))
        following = live.begin(conversation, text, input_type="text", has_own_stop=False)
        if following:  # a text that was refused stays in the area
            st.session_state[shown] = conversation.session_id
    else:
        following = live.follow(conversation)
    if following:
        stop.button(
            "Stop",
            icon=":material/stop_circle:",
            key=conversation.make_key("stop"),
            on_click=live.stop,
            args=(conversation,),
        )
    return conversation, following


def draw_result(conversation: Conversation, following: Following | None) -> None:
    """The answer of this run, with its steps."""
    stored = live.read_messages(conversation, following, limit=_READ)
    messages = [message for message in stored if message.role == "assistant"]
    question = next((message for message in stored if message.role == "user"), None)
    if (notice := model_notes.warn_of_limits(conversation.wired)) and not messages and not following:
        st.caption(notice)
    for message in messages:
        answers.draw_message(conversation, message, question=question)
    if stored and not messages and following is None and live.find_turn(conversation) is None:
        answers.draw_interrupted(stored[-1].id, None)
    drawing = Drawing(conversation, following, question=question)
    failure.draw_kept(conversation.make_key("refused"))
    drawing.follow()
    if following:
        st.rerun()  # takes the Stop button away


def _find_text(conversation: Conversation) -> str:
    """The text of this run; of a new one what the author put into the flow's input, as an example."""
    said = [message.text for message in live.read_messages(conversation, None, limit=_READ) if message.role == "user"]
    inputs = (component for component in conversation.wired.components.values() if component.takes_input)
    return said[-1] if said else next((component.find_own_input() or "" for component in inputs), "")
