"""One message of a conversation, as it is drawn: text, what it cost, its steps, or why there is none."""

from collections.abc import Callable, Mapping

import streamlit as st

from flowground.messages import mend
from flowground.store.runs.records import StoredMessage, TraceStep
from flowground.ui.page import words

USER = ":material/person:"
FLOW = ":material/account_tree:"
_STEP_HEIGHT = 160
_STEP_LINES = 7


def draw_message(
    message: StoredMessage,
    *,
    sees_inside: bool,
    names: Mapping[str, str],
    retry: Callable[[], None] | None = None,
    as_code: Callable[[], None] | None = None,
    with_error: bool = True,
) -> None:
    """`sees_inside` shows an answer's steps; `names` are the components' display names.

    `retry` asks again what failed, was stopped, or what a model left empty; `as_code` opens the call behind it.
    `with_error`: whether a failed answer says why it failed; of a run's several answers one does.
    """
    if message.role == "user":
        draw_question(message.text)
        return
    if message.state == "failed" and not (_said(message) or with_error):
        return
    with st.chat_message("assistant", avatar=FLOW):
        if _said(message) or message.state != "failed":
            draw_text(_said(message), message)
        if message.state == "failed" and with_error:
            draw_failure(message.error or message.text, sees_inside=sees_inside)
        draw_below(message, sees_inside=sees_inside, names=names, as_code=as_code, retry=retry)


def draw_below(
    message: StoredMessage,
    *,
    sees_inside: bool,
    names: Mapping[str, str],
    as_code: Callable[[], None] | None,
    retry: Callable[[], None] | None,
) -> None:
    """What stands under an answer's text: its foot, and the way to ask again where it did not come, or came empty."""
    draw_foot(message, sees_inside=sees_inside, names=names, as_code=as_code)
    if message.state != "complete" or (message.model and not message.text.strip()):
        draw_retry(message.id, retry)


def _said(message: StoredMessage) -> str:
    """What the answer says; in older rows of failed ones the text is the error."""
    return message.text if message.state != "failed" or message.error is not None else ""


def draw_text(text: str, message: StoredMessage) -> None:
    """What the answer says; where it is complete and empty, that it is."""
    if message.state == "complete" and not text.strip():
        nothing = "The model answered with nothing." if message.model else "The answer is empty."
        st.markdown(f":gray[{nothing}]")
    else:
        st.markdown(words.said(text) or " ")


def draw_interrupted(message_id: str, retry: Callable[[], None] | None) -> None:
    """In the place of an answer that nobody is writing: the process ended in the middle of it."""
    with st.chat_message("assistant", avatar=FLOW):
        st.markdown(":gray[This was interrupted before an answer was kept.]")
        draw_retry(message_id, retry)


def draw_question(text: str) -> None:
    """What a person typed, letter by letter as they typed it."""
    with st.chat_message("user", avatar=USER):
        st.text(mend(text))


def draw_foot(
    message: StoredMessage, *, sees_inside: bool, names: Mapping[str, str], as_code: Callable[[], None] | None
) -> None:
    """What stands under an answer: what it cost, and the way to its code."""
    if as_code is None:
        draw_footer(message, sees_inside=sees_inside, names=names)
        return
    with st.container(horizontal=True, vertical_alignment="top", horizontal_alignment="distribute", gap="small"):
        draw_footer(message, sees_inside=sees_inside, names=names)
        st.button(
            ":small[:gray[Copy as code]]",
            icon=":material/code:",
            type="tertiary",
            key=f"code:{message.id}",
            on_click=as_code,
        )


def draw_footer(message: StoredMessage, *, sees_inside: bool, names: Mapping[str, str]) -> None:
    """Model, seconds and tokens in small grey, and the steps; from outside only whether the answer was stopped."""
    if not sees_inside:
        if message.state == "stopped":
            st.caption("Stopped")
        return
    facts = words.line(
        (
            "Stopped" if message.state == "stopped" else "",
            words.plain(message.model or ""),
            "" if message.seconds is None else words.seconds(message.seconds),
            words.tokens(message.usage),
        )
    )
    if not message.trace:
        if facts:
            st.caption(facts)
        return
    count = len(message.trace)
    label = words.line((facts, "1 step" if count == 1 else f"{count} steps"))
    steps = st.expander(f":small[{label}]", type="compact", key=f"steps:{message.id}", on_change="rerun")
    if steps.open:
        with steps:
            for step in message.trace:
                _draw_step(step, names.get(step.component_id, step.component_id))


def draw_failure(text: str, *, sees_inside: bool, hint: str | None = None, wait: int | None = None) -> None:
    """Why there is no answer. Who sees only the outside learns nothing of the flow's parts.

    `wait` is in how many seconds the model's server takes the next call, where it said so.
    """
    when = "" if wait is None else f"Try again in {words.about(wait)}."
    if not sees_inside:
        text = "This flow could not answer just now."
        hint = f"{when.rstrip('.') or 'Try again in a moment'}; if it stays so, tell its author."
    elif when:
        hint = f"{hint} {when}" if hint else when
    st.error(words.plain(text) + (f"\n\n{words.plain(hint)}" if hint else ""), icon=":material/error:")


def draw_retry(message_id: str, retry: Callable[[], None] | None) -> None:
    """The button, or nothing in its place: what stood there would stay on screen until the next answer is complete.

    In a container, for Streamlit 1.67 keeps a button of itself on screen also after it was replaced.
    """
    if retry is None:
        st.empty()
        return
    with st.container():
        st.button("Try again", icon=":material/refresh:", type="tertiary", key=f"retry:{message_id}", on_click=retry)


def _draw_step(step: TraceStep, name: str) -> None:
    facts = words.line((words.seconds(step.seconds), words.plain(step.model or ""), words.tokens(step.usage)))
    st.markdown(f":small[**{words.plain(name)}** :gray[{facts}]]")
    if step.text:
        tall = len(step.text) > _STEP_LINES * 70 or step.text.count("\n") >= _STEP_LINES
        st.code(mend(step.text), language=None, wrap_lines=True, height=_STEP_HEIGHT if tall else "content")
