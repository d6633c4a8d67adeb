"""The turn that is being taken in a conversation: begun, stopped, and followed by every page that shows it.

A page that is opened in the middle of an answer sees all of it; the turn goes on without any.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Self, assert_never

import streamlit as st

from flowground import doors, runtime
from flowground.api.errors import find_wait
from flowground.caller import InputType, RunRequest
from flowground.doors import PersonChatting
from flowground.errors import FlowgroundError
from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    OutputResult,
    Token,
    TurnFinished,
    TurnStarted,
)
from flowground.overrides import drop_inputs
from flowground.runtime import LiveTurn
from flowground.shims.page_scripts import StopException, ThisRun, draw_growing, is_open, redraw
from flowground.store.runs import conversations, progress
from flowground.store.runs.records import StoredMessage, TraceStep
from flowground.ui.chat import answers
from flowground.ui.chat.conversation import Conversation, SessionKey, keep_in_address
from flowground.ui.markdown.answer_text import GrowingText
from flowground.ui.overrides.state import drop_secrets
from flowground.ui.page import bridge, model_notes, words
from flowground.ui.page.caller import bind_to_caller, read_address

_FRAME = 0.03
"""Seconds between two drawings of a growing text."""
_PACE = 1e-6
"""Extra seconds per character drawn. Each drawing sends the whole text, so longer texts are drawn less often."""


@dataclass(slots=True)
class Viewers:
    """Which open pages show which conversation, so that a second tab follows the first.

    Each page by Streamlit's id for it. Changed by script threads, read on the loop. Nothing of Streamlit's is held
    here. Pages that are gone are let go of when the list has doubled.
    """

    _pages: dict[str, SessionKey] = field(default_factory=dict)
    _most: int = 64

    def show(self, session: str, key: SessionKey) -> None:
        """The page whose script calls this shows the conversation, until it says otherwise."""
        if not session:
            return
        self._pages[session] = key
        if len(self._pages) > self._most:
            for other in list(self._pages):
                if not is_open(other):
                    self._pages.pop(other, None)
            self._most = max(64, 2 * len(self._pages))

    def tell(self, key: SessionKey, *, besides: str = "") -> None:
        """Redraws every page that shows the conversation. Call it on the server's loop."""
        for session, shown in list(self._pages.items()):
            if shown == key and session != besides and not redraw(session):
                self._pages.pop(session, None)


@st.cache_resource(show_spinner=False)
def open_viewers() -> Viewers:
    """The process's one list."""
    return Viewers()


class Following:
    """A turn that this page watches; it goes on without the page.

    `has_own_stop`: the answer needs a *Stop* of its own, for the composer shows one only where it was used.
    `started` names its messages.
    """

    def __init__(self, turn: LiveTurn, run: ThisRun, *, has_own_stop: bool) -> None:
        self.has_own_stop = has_own_stop
        self.started: TurnStarted | None = None
        self._turn, self._run = turn, run
        self._batches = bridge.read_batches(turn.watch())
        self._first: list[Event] = []

    def begin(self) -> Self:
        """Waits until the turn's message is stored. Raises FlowgroundError when it was refused instead."""
        self._first = next(self._batches, [])
        first = self._first[0] if self._first else None
        self.started = first if isinstance(first, TurnStarted) else None
        return self

    def read_batches(self) -> Iterator[list[Event]]:
        """What came, and what comes since, again and again."""
        try:
            yield self._first
            yield from self._batches
        finally:
            self._batches.close()

    def end_with_script(self) -> None:
        """*Stop* ends the turn; any other end of the script only the watching."""
        if self._run.stop_was_pressed():
            runtime.get().loop.call_soon_threadsafe(self._turn.stop)


def begin(
    conversation: Conversation, said: str, *, input_type: InputType = "chat", has_own_stop: bool
) -> Following | None:
    """Says something and follows the answer; pages that show the same conversation follow too.

    None, or the turn that is being taken already, where it was refused: why is kept under the key "refused".
    """
    tweaks = drop_inputs(conversation.wired, conversation.overrides, input_type=input_type)
    request = RunRequest(
        input_value=said,
        input_type=input_type,
        session_id=conversation.session_id,
        stream=True,
        tweaks=tweaks,
        kept_overrides=drop_secrets(conversation.wired, tweaks),
    )
    run = ThisRun()
    try:
        turn = bridge.call(_start(conversation, request, run.session, open_viewers(), came_from=read_address()))
        following = Following(turn, run, has_own_stop=has_own_stop).begin()
    except FlowgroundError as error:
        st.session_state[conversation.make_key("refused")] = error
        return follow(conversation)
    keep_in_address(conversation)
    return following


async def _start(
    conversation: Conversation, request: RunRequest, session: str, watched: Viewers, *, came_from: str
) -> LiveTurn:
    person = PersonChatting(conversation.caller, conversation.session_id, came_from)
    answer = await doors.answer(runtime.get(), person, address=conversation.wired.id, ask=request)
    turn = answer.start()
    watched.show(session, conversation.session_key)
    watched.tell(conversation.session_key, besides=session)
    # Whoever pressed Stop, every page of the conversation shows the answer's end, that one too: its script is over.
    turn.task.add_done_callback(lambda task: watched.tell(conversation.session_key) if task.cancelled() else None)
    return turn


def follow(conversation: Conversation) -> Following | None:
    """The turn that is being taken in this conversation, if any."""
    run = ThisRun()
    open_viewers().show(run.session, conversation.session_key)
    turn = find_turn(conversation)
    return Following(turn, run, has_own_stop=True).begin() if turn else None


def find_turn(conversation: Conversation) -> LiveTurn | None:
    """The turn that is being taken, to ask whether there is one or to stop it."""
    return runtime.get().find_page_turn(conversation.caller, conversation.wired.id, conversation.session_id)


@bind_to_caller
def stop(conversation: Conversation) -> None:
    """For a button: ends the turn; what was said so far is kept."""
    if turn := find_turn(conversation):
        runtime.get().loop.call_soon_threadsafe(turn.stop)


def read_messages(conversation: Conversation, following: Following | None, *, limit: int) -> list[StoredMessage]:
    """The newest stored messages, oldest first, without the answers of the turn that is being followed."""
    started = following.started if following else None
    coming = set(started.answer_ids.values()) if started else set()
    found = bridge.read(conversations.list_messages, **conversation.session_key._asdict(), limit=limit)
    return [message for message in found if message.id not in coming]


def read_elsewhere(conversation: Conversation) -> str | None:
    """What another process wrote so far of an answer in this conversation; None where none writes one.

    An answer whose process died is ended first.
    """
    here, place = runtime.get(), conversation.session_key._asdict()
    run = bridge.read(progress.find_running, **place)
    if run is None or run.holder == here.running.holder:
        return None
    bridge.call(here.interruptions.end_left_runs())
    if (run := bridge.read(progress.find_running, **place)) is None:
        return None
    return "\n\n".join(bridge.read(progress.read_texts, run_id=run.id).values())


class _DrawnAnswer:
    """One answer's place on the page: its text, then what it cost."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.text = GrowingText()
        with answers.open_bubble():
            self.slot = st.empty()
            self.below = st.empty()
        self.slot.markdown(":shimmer[Thinking]")


class Drawing:
    """The answers of a turn: places drawn empty at once, and filled to their end by `follow`.

    `question` is the message that they answer, where one is stored. Without a turn there is nothing to draw.
    """

    def __init__(
        self,
        conversation: Conversation,
        following: Following | None,
        *,
        question: StoredMessage | None,
        retry: answers.Retry | None = None,
    ) -> None:
        self._conversation = conversation
        self._question = question
        self._retry = retry
        self._following = following
        self._trace: list[TraceStep] = []
        self._finished: TurnFinished | None = None
        self._grown: set[str] = set()
        started = following.started if following else None
        coming = started.answer_ids if started else {}
        self._answers = {name: _DrawnAnswer(message_id) for name, message_id in coming.items()}

    @property
    def count(self) -> int:
        return len(self._answers)

    def draw_stop(self) -> None:
        """A button of the answer's own."""
        if self._answers:
            key = f"stop:{self._first.message_id}"
            icon = ":material/stop_circle:"
            self._first.below.button(
                "Stop", icon=icon, type="tertiary", key=key, on_click=stop, args=(self._conversation,)
            )

    def follow(self) -> bool:
        """Draws the answers to their end. False when there is none: the turn was refused or failed."""
        if self._following is None or self._following.started is None:
            return False
        try:
            for batch in self._following.read_batches():
                for event in batch:
                    self._note(event)
                if drawn := self._draw_grown():
                    time.sleep(_FRAME + _PACE * drawn)
        except FlowgroundError as error:
            self._fail(error)
            return False
        except StopException:
            self._following.end_with_script()
            raise
        self._end()
        return True

    def _note(self, event: Event) -> None:
        match event:
            case Token():
                self._answers[event.component_id].text.add(event.text)
                self._grown.add(event.component_id)
            case ModelProgress():
                with self._first.slot:
                    model_notes.draw_progress(event)
            case ComponentStarted():
                if self._conversation.sees_inside and not self._first.text:
                    name = self._conversation.wired.display_names.get(event.component_id, event.component_id)
                    self._first.slot.markdown(f":shimmer[{words.escape(name)}]")
            case ComponentFinished():
                self._trace.append(
                    TraceStep(event.component_id, event.type, event.seconds, event.text, event.usage, event.model)
                )
            case TurnFinished():
                self._finished = event
            case TurnStarted():
                pass  # its answers have their places already
            case _:
                assert_never(event)

    def _draw_grown(self) -> int:
        """Draws texts that grew; how many characters that were."""
        drawn = 0
        for name in self._grown:
            text = self._answers[name].text.rewrite()
            draw_growing(self._answers[name].slot, text)
            drawn += len(text)
        self._grown.clear()
        return drawn

    def _end(self) -> None:
        """The answers as they are stored: complete, or stopped from elsewhere."""
        for name, answer in self._answers.items():
            result = self._finished.results[name] if self._finished else None
            message = self._make_message(answer, "complete" if self._finished else "stopped", result)
            with answer.slot:
                answers.draw_text(message.text, message)
            self._draw_below(answer, message, is_last=name == [*self._answers][-1])

    def _fail(self, error: FlowgroundError) -> None:
        """What was said stays, and the error stands below the last of it."""
        kept = [answer for answer in self._answers.values() if answer.text] or [self._first]
        for answer in self._answers.values():
            with answer.slot.container():
                if answer.text:
                    st.markdown(words.write_answer(answer.text.whole))
                if answer is kept[-1]:
                    sees_inside = self._conversation.sees_inside
                    answers.draw_failed_answer(
                        error.message, sees_inside=sees_inside, hint=error.hint, wait=find_wait(error)
                    )
            if answer in kept:
                self._draw_below(answer, self._make_message(answer, "failed"), is_last=answer is kept[-1])

    def _make_message(
        self, answer: _DrawnAnswer, state: Literal["complete", "stopped", "failed"], result: OutputResult | None = None
    ) -> StoredMessage:
        """The answer as it is stored: the run's usage and steps stand once, with the first."""
        finished, is_first = self._finished, answer is self._first
        return StoredMessage(
            id=answer.message_id,
            role="assistant",
            text=result.text if result else answer.text.whole,
            state=state,
            created_at=datetime.now(UTC),
            model=result.model if result else None,
            usage=finished.usage if finished and is_first else None,
            seconds=finished.seconds if finished else None,
            trace=tuple(self._trace) if is_first else (),
        )

    def _draw_below(self, answer: _DrawnAnswer, message: StoredMessage, *, is_last: bool) -> None:
        with answer.below.container():
            answers.draw_below(
                self._conversation, message, question=self._question, retry=self._retry if is_last else None
            )

    @property
    def _first(self) -> _DrawnAnswer:
        return next(iter(self._answers.values()))
