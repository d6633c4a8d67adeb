"""An answer while it is written: who opens the page in the middle of it sees all of it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Literal, assert_never

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import StopException

from flowground import runtime
from flowground.api.errors import retry_after
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
from flowground.runtime import LiveTurn
from flowground.store.runs.records import StoredMessage, TraceStep
from flowground.ui.chat import answers
from flowground.ui.chat.conversation import Conversation
from flowground.ui.markdown.answer_text import GrowingText
from flowground.ui.page import bridge, model_notes, script, words

_FRAME = 0.03
"""Seconds between two drawings of a growing text."""
_PACE = 1e-6
"""Seconds more for each character of it, for each drawing sends all: so a long answer costs no more a second."""


class Following:
    """A turn that this page watches; it goes on without the page."""

    # Made once the turn's message is stored. Raises FlowgroundError when it was refused instead.
    def __init__(self, turn: LiveTurn, run: script.ThisRun, *, own_stop: bool) -> None:
        self.own_stop = own_stop
        self._turn = turn
        self._run = run
        self._batches = bridge.batches(turn.events())
        self._first = next(self._batches, [])
        first = self._first[0] if self._first else None
        self.started = first if isinstance(first, TurnStarted) else None

    def batches(self) -> Iterator[list[Event]]:
        """What came, and what comes since, again and again."""
        try:
            yield self._first
            yield from self._batches
        finally:
            self._batches.close()

    def script_ends(self) -> None:
        """*Stop* ends the turn; any other end of the script only the watching."""
        if self._run.stop_was_pressed():
            runtime.current().loop.call_soon_threadsafe(self._turn.stop)


class _Answer:
    """One answer's place on the page: its text, then what it cost."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.text = GrowingText()
        self.slot: DeltaGenerator = st.empty()
        self.below: DeltaGenerator = st.empty()


class Drawing:
    """The places of a turn's answers, drawn empty at once and filled by `follow`."""

    def __init__(
        self,
        conversation: Conversation,
        following: Following | None,
        *,
        as_code: Callable[[], None] | None = None,
        retry: Callable[[], None] | None = None,
    ) -> None:
        self._conversation = conversation
        self._as_code = as_code
        self._retry = retry
        self._following = following
        self._names = conversation.wired.display_names
        self._answers: dict[str, _Answer] = {}
        self._trace: list[TraceStep] = []
        self._finished: TurnFinished | None = None
        self._changed: set[str] = set()
        started = following.started if following else None
        for name, message_id in (started.answer_ids if started else {}).items():
            with st.chat_message("assistant", avatar=answers.FLOW):
                self._answers[name] = _Answer(message_id)
                self._answers[name].slot.markdown(":shimmer[Thinking]")

    @property
    def count(self) -> int:
        return len(self._answers)

    def draw_stop(self, stop: Callable[[], None]) -> None:
        """A button of the answer's own."""
        if self._answers:
            key = f"stop:{self._first.message_id}"
            self._first.below.button("Stop", icon=":material/stop_circle:", type="tertiary", key=key, on_click=stop)

    def follow(self) -> bool:
        """Draws the answers to their end. False when there is none: the turn was refused or failed."""
        if self._following is None or self._following.started is None:
            return False
        try:
            for batch in self._following.batches():
                for event in batch:
                    self._note(event)
                if grown := self._draw_grown():
                    time.sleep(_FRAME + _PACE * grown)
        except FlowgroundError as error:
            self._fail(error)
            return False
        except StopException:
            self._following.script_ends()
            raise
        self._end()
        return True

    def _note(self, event: Event) -> None:
        match event:
            case Token():
                self._answers[event.component_id].text.add(event.text)
                self._changed.add(event.component_id)
            case ModelProgress():
                with self._first.slot:
                    model_notes.draw_progress(event)
            case ComponentStarted():
                if self._conversation.sees_inside and not self._first.text:
                    name = words.plain(self._names.get(event.component_id, event.component_id))
                    self._first.slot.markdown(f":shimmer[{name}]")
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
        for name in self._changed:
            text = self._answers[name].text.rewrite()
            script.draw_growing(self._answers[name].slot, text)
            drawn += len(text)
        self._changed.clear()
        return drawn

    def _end(self) -> None:
        """The answers as they are stored: complete, or stopped from elsewhere."""
        for name, answer in self._answers.items():
            result = self._finished.results[name] if self._finished else None
            message = self._message(answer, result, state="complete" if self._finished else "stopped")
            with answer.slot:
                answers.draw_text(message.text, message)
            self._draw_below(answer, message, is_last=answer is self._last)

    def _fail(self, error: FlowgroundError) -> None:
        """What was said stays, and the error stands below the last of it."""
        kept = [answer for answer in self._answers.values() if answer.text] or [self._first]
        for answer in self._answers.values():
            with answer.slot.container():
                if answer.text:
                    st.markdown(words.said(answer.text.whole))
                if answer is kept[-1]:
                    sees_inside = self._conversation.sees_inside
                    answers.draw_failure(
                        error.message, sees_inside=sees_inside, hint=error.hint, wait=retry_after(error)
                    )
            if answer in kept:
                message = self._message(answer, None, state="failed")
                self._draw_below(answer, message, is_last=answer is kept[-1])

    def _message(
        self, answer: _Answer, result: OutputResult | None, *, state: Literal["complete", "stopped", "failed"]
    ) -> StoredMessage:
        """The answer as it is stored: the run's usage and steps stand once, with the first."""
        first = answer is self._first
        return StoredMessage(
            id=answer.message_id,
            role="assistant",
            text=result.text if result else answer.text.whole,
            state=state,
            created_at=datetime.now(UTC),
            model=result.model if result else None,
            usage=self._finished.usage if self._finished and first else None,
            seconds=self._finished.seconds if self._finished else None,
            trace=tuple(self._trace) if first else (),
        )

    def _draw_below(self, answer: _Answer, message: StoredMessage, *, is_last: bool) -> None:
        with answer.below.container():
            answers.draw_below(
                message,
                sees_inside=self._conversation.sees_inside,
                names=self._names,
                as_code=self._as_code,
                retry=self._retry if is_last else None,
            )

    @property
    def _first(self) -> _Answer:
        return next(iter(self._answers.values()))

    @property
    def _last(self) -> _Answer:
        return next(reversed(self._answers.values()))
