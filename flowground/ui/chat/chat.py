"""A conversation with a flow: composer, messages, the answer that is being written."""

from collections.abc import Sequence
from itertools import zip_longest

import streamlit as st

from flowground.store.runs.records import StoredMessage
from flowground.ui.chat import answers, form, live
from flowground.ui.chat.conversation import Conversation, draw_sessions
from flowground.ui.chat.live import Drawing, Following
from flowground.ui.overrides.state import draw_chip
from flowground.ui.page import failure, model_notes, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller

_SHOWN = 50
_MORE = 200
_CHARS = 10_000
"""Characters for each message that may be shown: many short ones open, or a few long ones."""
_ASKED = "chat:asked"
_NOTICE = "chat:notice"


def draw_playground(conversation: Conversation) -> None:
    """What stands below a page's header, and in its sidebar: a chat, or the form of a flow that takes a text."""
    if conversation.wired.chat_input:
        following = _draw_composer(conversation)
        draw_sessions(conversation)
        _draw_conversation(conversation, following)
    else:
        conversation, following = form.draw_form(conversation)
        draw_sessions(conversation, noun="run")
        form.draw_result(conversation, following)


def _draw_composer(conversation: Conversation) -> Following | None:
    """The input at the page's foot; starts what was typed there, or finds the turn that is being taken."""
    pressed = _take_asked(conversation)
    is_busy = pressed is not None or live.find_turn(conversation) is not None
    with st.bottom:
        draw_chip(conversation.caller, conversation.wired, conversation.overrides)
        st.session_state[_NOTICE] = notice = model_notes.announce_fetch(conversation.wired)
        if notice:
            st.caption(f":material/download: {notice}")
    key = conversation.make_key("composer")
    if (draft := st.session_state.pop(conversation.make_key("draft"), None)) is not None:
        st.session_state[key] = draft
    # Outside st.bottom, where it goes by itself: only then does the page follow the answer that grows.
    typed = st.chat_input(f"Message {conversation.wired.name}", key=key, submit_mode="stop", disabled=is_busy)
    said = typed if typed and typed.strip() else pressed  # blanks alone are no message
    if not said:
        return live.follow(conversation)
    following = live.begin(conversation, said, has_own_stop=not typed)
    if typed and conversation.make_key("refused") in st.session_state:
        st.session_state[conversation.make_key("draft")] = typed
        st.rerun()  # the composer was emptied, and takes a text only before it is drawn
    return following


def _draw_conversation(conversation: Conversation, following: Following | None) -> None:
    """All messages, then the answer that `following` brings, to its end."""
    most = st.session_state.get(conversation.make_key("shown"), _SHOWN)
    found = live.read_messages(conversation, following, limit=most + 1)
    elsewhere = None
    if following is None and found and found[-1].role == "user":
        elsewhere = live.read_elsewhere(conversation)
        found = live.read_messages(conversation, following, limit=most + 1)
    messages = _keep_newest(found, most)
    last_said = next((message.text for message in reversed(messages) if message.role == "user"), None)
    retry = None if last_said is None else lambda: _ask(conversation, last_said)
    _draw_welcome(conversation, is_empty=not messages and following is None)
    _draw_more(conversation, most, is_needed=len(found) > len(messages))
    waiting = messages[-1].id if elsewhere is not None else _find_waiting(conversation, messages, following)
    drawn = _draw_messages(conversation, messages, waiting, retry=None if following or waiting else retry)
    if elsewhere is not None:
        answers.draw_elsewhere(elsewhere)
        drawn += 1
    drawing = Drawing(conversation, following, question=messages[-1] if messages else None, retry=retry)
    _clear_rest(drawn + drawing.count)
    failure.draw_kept(conversation.make_key("refused"))
    if following is None:
        return
    if following.has_own_stop:
        drawing.draw_stop()
    is_answered = drawing.follow()
    if following.has_own_stop or (
        is_answered and model_notes.announce_fetch(conversation.wired) != st.session_state[_NOTICE]
    ):
        st.rerun()  # the composer takes messages again, or no longer announces a model that is here now


def _keep_newest(messages: Sequence[StoredMessage], most: int) -> Sequence[StoredMessage]:
    """So many, and no more text than a page takes at once; the last question with its answer always."""
    left = most * _CHARS
    for count, message in enumerate(reversed(messages)):
        left -= len(message.text)
        if count == most or (left < 0 and count > 1):
            return messages[len(messages) - count :]
    return messages


def _draw_welcome(conversation: Conversation, *, is_empty: bool) -> None:
    place = st.empty()  # drawn always: what stood here would else stay on screen while an answer streams
    if not is_empty:
        return
    flow = conversation.wired.flow
    with place.container():
        st.space("large")
        st.markdown(flow.chat.welcome or f"Ask {words.escape(flow.name)} something.")
        if flow.chat.starters:
            key = conversation.make_key("starter")
            st.pills(
                "Suggestions",
                flow.chat.starters,
                key=key,
                label_visibility="collapsed",
                on_change=lambda: _ask(conversation, st.session_state[key]),
            )
        if notice := model_notes.warn_of_limits(conversation.wired):
            st.caption(notice)


def _draw_more(conversation: Conversation, most: int, *, is_needed: bool) -> None:
    place = st.empty()
    if is_needed:
        key, shown = conversation.make_key("earlier"), {conversation.make_key("shown"): most + _MORE}
        with place:
            draw_action("Show earlier messages", st.session_state.update, shown, key=key, icon="expand_less")


def _draw_messages(
    conversation: Conversation,
    messages: Sequence[StoredMessage],
    waiting: str | None,
    *,
    retry: answers.Retry | None,
) -> int:
    """How many were drawn. A question that nobody answered, or is answering, counts as one that failed.

    `waiting` is the id of the question that is being answered.
    """
    answered = {message.run_id for message in messages if message.role == "assistant" and message.run_id}
    question, cut = None, 0
    for message, after in zip_longest(messages, messages[1:]):
        question = message if message.role == "user" else question
        says_why = after is None or after.run_id != message.run_id
        last_retry = None if after else retry
        answers.draw_message(conversation, message, question=question, retry=last_retry, says_why=says_why)
        is_answered = message.run_id in answered or (after is not None and after.role == "assistant")
        if message.role == "user" and not is_answered and message.id != waiting:
            answers.draw_interrupted(message.id, last_retry)
            cut += 1
    return len(messages) + cut


def _find_waiting(
    conversation: Conversation, messages: Sequence[StoredMessage], following: Following | None
) -> str | None:
    """The id of the question that is being answered."""
    if following and following.started:
        return following.started.user_message_id
    return messages[-1].id if messages and live.find_turn(conversation) is not None else None


def _clear_rest(drawn: int) -> None:
    """Takes away what a longer conversation left on screen: it would stay there until the answer is complete."""
    for _ in range(st.session_state.get("chat:drawn", 0) - drawn):
        st.empty()
    st.session_state["chat:drawn"] = drawn


@bind_to_caller
def _ask(conversation: Conversation, text: str | None) -> None:
    """For a button: sends a text with the next run of the page."""
    if text:
        st.session_state[_ASKED] = (conversation.session_key, text)


def _take_asked(conversation: Conversation) -> str | None:
    key, text = st.session_state.pop(_ASKED, (None, None))
    return text if key == conversation.session_key else None
