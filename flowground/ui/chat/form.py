"""A flow without Chat Input: a text goes in, a text comes out. Each run is kept like a conversation of its own."""

import uuid
from dataclasses import replace

import streamlit as st

from flowground.ui.chat import answers, chat
from flowground.ui.chat.conversation import Conversation
from flowground.ui.chat.live import Drawing, Following
from flowground.ui.overrides.state import draw_chip
from flowground.ui.page import model_notes
from flowground.wiring import WiredFlow

_HEIGHT = 220


def takes_chat(wired: WiredFlow) -> bool:
    """Whether people talk with the flow, or fill in a text."""
    return any(component.takes_input == "chat" for component in wired.components.values())


def draw_form(run: Conversation) -> tuple[Conversation, Following | None]:
    """The text area with its buttons; starts a run, or finds the one that is going on."""
    if notice := model_notes.fetch_notice(run.wired):
        st.caption(f":material/download: {notice}")
    if run.wired.flow.chat.welcome:
        st.markdown(run.wired.flow.chat.welcome)
    key = f"form:text:{run.wired.id}"
    _fill(run, key)
    st.text_area("Text", key=key, height=_HEIGHT, label_visibility="collapsed", placeholder="Paste or type a text")
    draw_chip(run.caller, run.wired, run.overrides)
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Run", type="primary", icon=":material/play_arrow:", key=f"form:run:{run.wired.id}")
        stop = st.empty()
    text = st.session_state[key]
    if asked and text.strip():
        run = replace(run, session_id=str(uuid.uuid4()), begun=False)
        following = chat.begin(run, chat.request_for(run, text, input_type="text"), own_stop=False)
        if following:  # a text that was refused stays in the area
            st.session_state[f"form:shown:{run.wired.id}"] = run.session_id
    else:
        following = chat.follow(run)
    if following:
        stop.button("Stop", icon=":material/stop_circle:", key=run.key("stop"), on_click=chat.stop, args=(run,))
    return run, following


def draw_result(run: Conversation, following: Following | None) -> None:
    """The answer of this run, with its steps."""
    stored = chat.earlier(run, following)
    messages = [message for message in stored if message.role == "assistant"]
    as_code = chat.as_code(run, next((message for message in stored if message.role == "user"), None))
    if (notice := model_notes.limits_notice(run.wired)) and not messages and not following:
        st.caption(notice)
    for message in messages:
        answers.draw_message(message, sees_inside=run.sees_inside, names=run.wired.display_names, as_code=as_code)
    if stored and not messages and following is None and chat.live_turn(run) is None:
        answers.draw_interrupted(stored[-1].id, None)
    drawing = Drawing(run, following, as_code=as_code)
    chat.draw_refusal(run)
    drawing.follow()
    if following:
        st.rerun()  # takes the Stop button away


def _own_text(wired: WiredFlow) -> str:
    """What the author put into the flow's input, as an example."""
    inputs = (component for component in wired.components.values() if component.takes_input)
    return next((component.own_input() or "" for component in inputs), "")


def _fill(run: Conversation, key: str) -> None:
    """Puts the text of a past run that was just opened back into the area."""
    shown = f"form:shown:{run.wired.id}"
    if st.session_state.get(shown) == run.session_id:
        return
    st.session_state[shown] = run.session_id
    said = [message.text for message in chat.earlier(run, None) if message.role == "user"]
    st.session_state[key] = said[-1] if said else _own_text(run.wired)
