"""One message of a conversation, as it is drawn: text, what it cost, its steps, or why there is none."""

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground.messages import mend
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage, TraceStep
from flowground.ui.api_access import pane
from flowground.ui.chat.conversation import Conversation
from flowground.ui.page import bridge, words
from flowground.ui.page.actions import draw_action, schedule_dialog

Retry = Callable[[], None]
"""For a button: asks again what was asked last."""

_INTERRUPTED = "Interrupted: the server stopped while it wrote this."
_INTERRUPTED_AT_ONCE = "This was interrupted before an answer was kept."
_STEP_HEIGHT = 160
_STEP_LINES = 7


def draw_message(
    conversation: Conversation,
    message: StoredMessage,
    *,
    question: StoredMessage | None = None,
    retry: Retry | None = None,
    says_why: bool = True,
) -> None:
    """A stored message. An answer comes with `question`, which it answers.

    `says_why`: a failed answer says why it failed; of a run's several answers one does.
    """
    if message.role == "user":
        with st.chat_message("user", avatar=":material/person:"):
            st.text(mend(message.text))  # letter by letter as they typed it
        return
    is_failed = message.state == "failed"
    text = "" if is_failed and message.error is None else message.text  # older rows have the error there
    if is_failed and not (text or says_why):
        return
    with open_bubble():
        if text or message.state not in ("failed", "interrupted"):
            draw_text(text, message)
        if message.state == "interrupted":
            st.markdown(f":gray[{_INTERRUPTED if text else _INTERRUPTED_AT_ONCE}]")
        if is_failed and says_why:
            draw_failed_answer(message.error or message.text, sees_inside=conversation.sees_inside)
        draw_below(conversation, message, question=question, retry=retry)


def open_bubble() -> DeltaGenerator:
    """An answer's place in the conversation."""
    return st.chat_message("assistant", avatar=":material/account_tree:")


def draw_text(text: str, message: StoredMessage) -> None:
    """What the answer says; where it is complete and empty, that it is."""
    if message.state == "complete" and not text.strip():
        nothing = "The model answered with nothing." if message.model else "The answer is empty."
        st.markdown(f":gray[{nothing}]")
    else:
        st.markdown(words.write_answer(text) or " ")


def draw_interrupted(message_id: str, retry: Retry | None) -> None:
    """In the place of an answer that nobody is writing: the process ended in the middle of it."""
    with open_bubble():
        st.markdown(f":gray[{_INTERRUPTED_AT_ONCE}]")
        _draw_retry(message_id, retry)


def draw_elsewhere(text: str) -> None:
    """In the place of an answer that another process is writing: what it kept of it so far."""
    with open_bubble():
        if text:
            st.markdown(words.write_answer(text))
        st.markdown(":gray[Another server is writing this answer. Reload the page to see more of it.]")


def draw_failed_answer(text: str, *, sees_inside: bool, hint: str | None = None, wait: int | None = None) -> None:
    """Why there is no answer. Who sees only the outside learns nothing of the flow's parts.

    `wait` is in how many seconds the model's server takes the next call, where it said so.
    """
    when = "" if wait is None else f"Try again in {words.round_seconds(wait)}."
    if not sees_inside:
        text = "This flow could not answer just now."
        hint = f"{when.rstrip('.') or 'Try again in a moment'}; if it stays so, tell its author."
    elif when:
        hint = f"{hint} {when}" if hint else when
    st.error(words.escape(text) + (f"\n\n{words.escape(hint)}" if hint else ""), icon=":material/error:")


def draw_below(
    conversation: Conversation, message: StoredMessage, *, question: StoredMessage | None, retry: Retry | None
) -> None:
    """What it cost, its steps, its code; and the way to ask again what failed, was stopped, or a model left empty."""
    if conversation.offers_code and question and question.role == "user":
        with st.container(horizontal=True, vertical_alignment="top", horizontal_alignment="distribute", gap="small"):
            _draw_facts(conversation, message)
            label = ":small[:gray[Copy as code]]"
            draw_action(label, _show_code, conversation, question, key=f"code:{message.id}", icon="code")
    else:
        _draw_facts(conversation, message)
    if message.state != "complete" or (message.model and not message.text.strip()):
        _draw_retry(message.id, retry)


def _show_code(conversation: Conversation, question: StoredMessage) -> None:
    """For a button: opens the call that this question was."""
    values = bridge.read(conversations.find_overrides, **conversation.session_key._asdict(), message_id=question.id)
    call = pane.PastCall(question.text, conversation.session_id, values)
    schedule_dialog(conversation.wired.id, partial(pane.open_drawer, conversation.wired, call))


def _draw_facts(conversation: Conversation, message: StoredMessage) -> None:
    """Model, seconds and tokens in small grey, and the steps; from outside only whether the answer was stopped."""
    stopped = "Stopped" if message.state == "stopped" else ""
    if not conversation.sees_inside:
        if stopped:
            st.caption(stopped)
        return
    model, tokens = words.escape(message.model or ""), words.write_tokens(message.usage)
    facts = words.join((stopped, model, words.write_seconds(message.seconds), tokens))
    if not message.trace:
        if facts:
            st.caption(facts)
        return
    label = words.join((facts, words.count(len(message.trace), "step")))
    steps = st.expander(f":small[{label}]", type="compact", key=f"steps:{message.id}", on_change="rerun")
    if steps.open:
        with steps:
            for step in message.trace:
                _draw_step(step, conversation.wired.display_names.get(step.component_id, step.component_id))


def _draw_step(step: TraceStep, name: str) -> None:
    model, tokens = words.escape(step.model or ""), words.write_tokens(step.usage)
    facts = words.join((words.write_seconds(step.seconds), model, tokens))
    st.markdown(f":small[**{words.escape(name)}** :gray[{facts}]]")
    if step.text:
        is_tall = len(step.text) > _STEP_LINES * 70 or step.text.count("\n") >= _STEP_LINES
        st.code(mend(step.text), language=None, wrap_lines=True, height=_STEP_HEIGHT if is_tall else "content")


def _draw_retry(message_id: str, retry: Retry | None) -> None:
    """The button, or nothing in its place: what stood there would stay on screen until the next answer is complete.

    In a container, for Streamlit 1.67 keeps a button of itself on screen also after it was replaced.
    """
    if retry is None:
        st.empty()
        return
    with st.container():
        draw_action("Try again", retry, key=f"retry:{message_id}", icon="refresh")
