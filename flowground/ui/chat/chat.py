"""A conversation with a flow: composer, messages, the answer that is being written."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import streamlit as st

from flowground import doors, runtime
from flowground.caller import InputType, RunRequest
from flowground.doors import PersonChatting
from flowground.errors import FlowgroundError
from flowground.events import TurnStarted
from flowground.overrides import Values, for_message
from flowground.runtime import LiveTurn
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage
from flowground.ui.chat import answers, conversation
from flowground.ui.chat.conversation import Conversation
from flowground.ui.chat.live import Drawing, Following
from flowground.ui.chat.viewers import Viewers, viewers
from flowground.ui.overrides.state import draw_chip, drop_secrets
from flowground.ui.page import asked, bridge, failure, model_notes, words
from flowground.ui.page.asked import PastCall
from flowground.ui.page.caller import address, for_its_caller
from flowground.ui.page.script import ThisRun

_SHOWN = 50
_MORE = 200
_CHARS = 10_000
"""Characters for each message that may be shown: many short ones open, or a few long ones."""
_ASKED = "chat:asked"
_NOTICE = "chat:notice"


def draw_composer(chat: Conversation) -> Following | None:
    """The input at the page's foot; starts what was typed there, or finds the turn that is being taken."""
    pressed = _asked(chat)
    busy = pressed is not None or live_turn(chat) is not None
    with st.bottom:
        draw_chip(chat.caller, chat.wired, chat.overrides)
        st.session_state[_NOTICE] = notice = model_notes.fetch_notice(chat.wired)
        if notice:
            st.caption(f":material/download: {notice}")
    key = chat.key("composer")
    if (draft := st.session_state.pop(chat.key("draft"), None)) is not None:
        st.session_state[key] = draft
    # Outside st.bottom, where it goes by itself: only then does the page follow the answer that grows.
    typed = st.chat_input(f"Message {chat.wired.name}", key=key, submit_mode="stop", disabled=busy)
    said = typed if typed and typed.strip() else pressed  # blanks alone are no message
    if not said:
        return follow(chat)
    following = begin(chat, request_for(chat, said), own_stop=not typed)
    if typed and chat.key("refused") in st.session_state:
        st.session_state[chat.key("draft")] = typed
        st.rerun()  # the composer was emptied, and takes a text only before it is drawn
    return following


def request_for(chat: Conversation, said: str, *, input_type: InputType = "chat") -> RunRequest:
    """What a person says in this conversation, with their overrides."""
    return RunRequest(
        input_value=said,
        input_type=input_type,
        session_id=chat.session_id,
        stream=True,
        tweaks=for_message(chat.wired, chat.overrides, input_type=input_type),
    )


def begin(chat: Conversation, request: RunRequest, *, own_stop: bool) -> Following | None:
    """Starts a turn and follows it; pages that show the same conversation follow too.

    `own_stop`: the composer shows its Stop only where it was used, so the answer gets a button.
    """
    run = ThisRun()
    try:
        turn = bridge.call(_start(chat, request, run.session, viewers(), came_from=address()))
        following = Following(turn, run, own_stop=own_stop)
        _keep_overrides(chat, following.started, request)
    except FlowgroundError as error:
        st.session_state[chat.key("refused")] = error
        return follow(chat)
    conversation.keep(chat)
    return following


def follow(chat: Conversation) -> Following | None:
    """The turn that is being taken in this conversation, if any."""
    run = ThisRun()
    viewers().show(run.session, chat.place)
    turn = live_turn(chat)
    return Following(turn, run, own_stop=True) if turn else None


def live_turn(chat: Conversation) -> LiveTurn | None:
    return runtime.current().live_turn(chat.caller, chat.wired.id, chat.session_id)


@for_its_caller
def stop(chat: Conversation) -> None:
    """For a button: ends the turn; what was said so far is kept."""
    if turn := live_turn(chat):
        runtime.current().loop.call_soon_threadsafe(turn.stop)


def draw_conversation(chat: Conversation, following: Following | None) -> None:
    """All messages, then the answer that `following` brings, to its end."""
    found = earlier(chat, following)
    messages = _newest(chat, found)
    _draw_welcome(chat, empty=not messages and following is None)
    retry = _retry(chat, messages)
    _draw_more(chat, is_needed=len(found) > len(messages))
    waiting = _waiting(chat, messages, following)
    drawn = _draw_messages(chat, messages, waiting=waiting, retry=None if following else retry)
    drawing = Drawing(chat, following, as_code=as_code(chat, messages[-1] if messages else None), retry=retry)
    _blank(drawn + drawing.count)
    draw_refusal(chat)
    if following is None:
        return
    if following.own_stop:
        drawing.draw_stop(lambda: stop(chat))
    answered = drawing.follow()
    if following.own_stop or (answered and model_notes.fetch_notice(chat.wired) != st.session_state[_NOTICE]):
        st.rerun()  # the composer takes messages again, or no longer announces a model that is here now


def earlier(chat: Conversation, following: Following | None) -> list[StoredMessage]:
    """The stored messages to show, oldest first, without the answers of the turn that is being followed."""
    started = following.started if following else None
    coming = set(started.answer_ids.values()) if started else set()
    shown = st.session_state.get(chat.key("shown"), _SHOWN)
    owner, flow_id, session_id = chat.place
    found = bridge.call(
        runtime.current().store.read(
            conversations.list_messages, flow_id=flow_id, owner=owner, session_id=session_id, limit=shown + 1
        )
    )
    return [message for message in found if message.id not in coming]


async def _start(
    chat: Conversation, request: RunRequest, session: str, watched: Viewers, *, came_from: str
) -> LiveTurn:
    person = PersonChatting(chat.caller, chat.session_id, came_from)
    answer = await doors.answer(runtime.current(), person, address=chat.wired.id, ask=request)
    turn = answer.start()
    watched.show(session, chat.place)
    watched.tell(chat.place, besides=session)
    # Whoever pressed Stop, every page of the conversation shows the answer's end, that one too: its script is over.
    turn.task.add_done_callback(lambda task: watched.tell(chat.place) if task.cancelled() else None)
    return turn


def _draw_welcome(chat: Conversation, *, empty: bool) -> None:
    place = st.empty()  # drawn always: what stood here would else stay on screen while an answer streams
    if not empty:
        return
    flow = chat.wired.flow
    with place.container():
        st.space("large")
        st.markdown(flow.chat.welcome or f"Ask {words.plain(flow.name)} something.")
        if flow.chat.starters:
            key = chat.key("starter")
            st.pills(
                "Suggestions",
                flow.chat.starters,
                key=key,
                label_visibility="collapsed",
                on_change=lambda: _ask(chat, st.session_state[key]),
            )
        if notice := model_notes.limits_notice(chat.wired):
            st.caption(notice)


def _newest(chat: Conversation, messages: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
    """As many as are shown, and no more text than a page takes at once; the last question with its answer always."""
    shown = st.session_state.get(chat.key("shown"), _SHOWN)
    left = shown * _CHARS
    for count, message in enumerate(reversed(messages)):
        left -= len(message.text)
        if count == shown or (left < 0 and count > 1):
            return messages[len(messages) - count :]
    return messages


def _draw_more(chat: Conversation, *, is_needed: bool) -> None:
    place = st.empty()
    if is_needed:
        shown = st.session_state.get(chat.key("shown"), _SHOWN)
        place.button(
            "Show earlier messages",
            icon=":material/expand_less:",
            type="tertiary",
            key=chat.key("earlier"),
            on_click=lambda: st.session_state.update({chat.key("shown"): shown + _MORE}),
        )


def _draw_messages(
    chat: Conversation, messages: Sequence[StoredMessage], *, waiting: str | None, retry: Callable[[], None] | None
) -> int:
    """How many were drawn. A question that nobody answered, and that does not wait, counts as one that failed."""
    answered = {message.run_id for message in messages if message.role == "assistant" and message.run_id}
    question, cut = None, 0
    for message, following in zip_longest(messages, messages[1:]):
        question = message if message.role == "user" else question
        answers.draw_message(
            message,
            sees_inside=chat.sees_inside,
            names=chat.wired.display_names,
            retry=None if following else retry,
            as_code=as_code(chat, question),
            with_error=following is None or following.run_id != message.run_id,
        )
        is_followed = following is not None and following.role == "assistant"
        if message.role == "user" and not is_followed and message.run_id not in answered and message.id != waiting:
            answers.draw_interrupted(message.id, None if following else retry)
            cut += 1
    return len(messages) + cut


def _waiting(chat: Conversation, messages: Sequence[StoredMessage], following: Following | None) -> str | None:
    """The id of the question that is being answered."""
    if following and following.started:
        return following.started.user_message_id
    return messages[-1].id if messages and live_turn(chat) is not None else None


def _blank(drawn: int) -> None:
    """Takes away what a longer conversation left on screen: it would stay there until the answer is complete."""
    for _ in range(st.session_state.get("chat:drawn", 0) - drawn):
        st.empty()
    st.session_state["chat:drawn"] = drawn


def draw_refusal(chat: Conversation) -> None:
    """Why a message was not taken: nothing of it was stored."""
    if refused := st.session_state.pop(chat.key("refused"), None):
        failure.draw_refusal(refused)


def _retry(chat: Conversation, messages: Sequence[StoredMessage]) -> Callable[[], None] | None:
    """For a button: says again what was said last."""
    said = next((message.text for message in reversed(messages) if message.role == "user"), None)
    return None if said is None else lambda: _ask(chat, said)


def as_code(chat: Conversation, question: StoredMessage | None) -> Callable[[], None] | None:
    """For a button: opens the call that this question was."""
    if not chat.as_code or question is None or question.role != "user":
        return None
    message_id, text = question.id, question.text
    return lambda: asked.want(PastCall(chat.wired.id, text, chat.session_id, _overrides_of(chat, message_id)))


def _overrides_of(chat: Conversation, message_id: str) -> Values:
    owner, flow_id, session_id = chat.place
    place = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
    return bridge.call(runtime.current().store.read(conversations.find_overrides, **place, message_id=message_id))


def _keep_overrides(chat: Conversation, started: TurnStarted | None, request: RunRequest) -> None:
    """So that *Copy as code* tells this very call, on another day too."""
    values = drop_secrets(chat.wired, request.tweaks)
    if values and started and started.input_value is not None:
        keep = runtime.current().store.write(
            conversations.keep_overrides, message_id=started.user_message_id, values=values
        )
        bridge.call(keep)


@for_its_caller
def _ask(chat: Conversation, text: str | None) -> None:
    """For a button: sends a text with the next run of the page."""
    if text:
        st.session_state[_ASKED] = (chat.place, text)


def _asked(chat: Conversation) -> str | None:
    place, text = st.session_state.pop(_ASKED, (None, None))
    return text if place == chat.place else None
