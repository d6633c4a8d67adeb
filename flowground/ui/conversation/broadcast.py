"""Sends one turn, as it goes on, to every socket that shows its conversation.

A piece of text is encoded once for all sockets. What a socket still lacks follows from one number, the last event that
it was sent: a socket that comes late, or reads slowly, gets the rest in one piece. Turns that another process takes are
polled in the store, all of them in one read, and not at all while no socket shows one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol, assert_never

from flowground.app.live_turns import LiveTurn
from flowground.app.runs_elsewhere import RunElsewhere
from flowground.core.citations import LONGEST_MARK, describe_passages, find_cited, keep_passages
from flowground.core.errors import (
    AnswerUnfinished,
    EndedByAdmin,
    FlowgroundError,
    InvalidRequest,
    RunStopped,
    ShuttingDown,
)
from flowground.core.events import (
    ActionEvent,
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    TurnView,
    find_number,
    fold,
)
from flowground.core.messages import join_surrogates
from flowground.runs.journal import NumberedEvent
from flowground.ui.conversation.messages import (
    Visibility,
    encode,
    read_answers,
    read_question,
    write_actions,
    write_failure,
    write_message,
    write_messages,
)

_PAUSE = 0.1
"""Seconds between two pieces of a growing text; the first one comes at once."""
Turn = LiveTurn | RunElsewhere
"""A turn of this process, or as far as it is known of another's."""


class Viewer(Protocol):
    """A socket that shows the conversation."""

    @property
    def sees_inside(self) -> bool:
        """Whether it is sent steps, and whole reasons of failures."""

    @property
    def visibility(self) -> Visibility:
        """What its person sees of the flow."""

    @property
    def is_full(self) -> bool:
        """Whether it reads more slowly than frames are put."""

    def put(self, frame: str) -> None:
        """Sends a frame."""

    def name_turn(self, turn: Turn) -> str | None:
        """Its page's name for the message, if the page sent the message."""

    def send_waiting(self, turn: LiveTurn) -> None:
        """Sends that the turn waits until the process may run it."""

    def refuse(self, turn: Turn, error: FlowgroundError) -> None:
        """Sends that the turn ended before it began."""

    def hold(self, turn: LiveTurn) -> None:
        """Keeps the turn while the socket is open: nothing of it is stored."""

    def send_behind(self) -> None:
        """Sends that the conversation changed."""

    def record_end(self, turn: Turn) -> None:
        """The end of the turn was sent."""


@dataclass(slots=True)
class _Cursor:
    """What a socket was sent: events up to `number`; `waits`: that the turn waits; `knows`: that it began."""

    number: int = 0
    waits: bool = False
    knows: bool = False


class TurnBroadcast:
    """Sends one turn to its sockets, on the loop. `forget` is called once the turn ended, or no socket is left.

    A socket that is full is sent nothing more, not even the end, until its outbox is empty.
    """

    def __init__(self, turn: Turn, *, forget: "Callable[[TurnBroadcast], None]") -> None:
        self.turn = turn
        self._forget = forget
        self._viewers: dict[Viewer, _Cursor] = {}
        self._number = 0
        self._view = TurnView()
        self._is_waiting = False
        self.is_over = False
        """Whether the turn has its end."""
        self._error: FlowgroundError | None = None
        self._ends: dict[Visibility, str] = {}
        """The frame of the end, by what its readers may see."""
        self._step = ""
        self._states: dict[str, str] = {}
        """State of each component so far: "running", or how it ended."""
        self._called: Counter[str] = Counter()
        """How many calls of each tool are running."""
        self._progress: ModelProgress | None = None
        self._task = asyncio.create_task(self._broadcast())

    def subscribe(self, viewer: Viewer, *, after: int = 0) -> None:
        """Sends the turn to this socket, from behind event `after`, the last one that its page had of this run."""
        self._viewers[viewer] = _Cursor(after)
        self.send_rest(viewer)

    def unsubscribe(self, viewer: Viewer) -> None:
        """Sends nothing more; the turn goes on. A second call does nothing."""
        if self._viewers.pop(viewer, None) and not self._viewers:
            self._forget(self)
            self._task.cancel()

    def send_rest(self, viewer: Viewer) -> None:
        """Sends this socket what it still lacks, in one piece."""
        cursor = self._viewers.get(viewer)
        if cursor is None or viewer.is_full:
            return
        if self._started is None:
            self._send_waiting(viewer, cursor)
            return
        if cursor.number > self._number:
            cursor.number = 0  # there is no such event yet: everything is sent
        if not cursor.knows:
            self._send_begin(viewer, cursor)
        elif cursor.number < self._number and self._view.action_log.found:
            viewer.put(self._write_actions(self._view.action_log.found, viewer.visibility))
        if cursor.number < self._number:
            if sources := self._write_sources():
                viewer.put(sources)
            had = fold(self.turn.journal.list_events(to=cursor.number)).texts
            if frame := self._write_texts({name: len(text) for name, text in had.items()}):
                viewer.put(frame)
            cursor.number = self._number
        if self.is_over:
            self._send_end(viewer)

    def _send_begin(self, viewer: Viewer, cursor: _Cursor) -> None:
        self._send_started(viewer, cursor)
        if self._states and viewer.sees_inside:
            viewer.put(self._write_step(self._states))
        if self._view.action_log.found:
            viewer.put(self._write_actions(self._view.action_log.found, viewer.visibility))
        if self._progress and not self._view.texts:
            viewer.put(self._write_progress())

    def _send_waiting(self, viewer: Viewer, cursor: _Cursor) -> None:
        if self._is_waiting and not cursor.waits and isinstance(self.turn, LiveTurn):
            cursor.waits = True
            viewer.send_waiting(self.turn)

    async def _broadcast(self) -> None:
        error: FlowgroundError | None = None
        await asyncio.sleep(0)  # by then the turn is admitted, if it need not wait
        if self.turn.is_waiting and not self.turn.is_done:
            self._is_waiting = True
            for viewer in self._viewers:
                self.send_rest(viewer)
        try:
            async with aclosing(self.turn.journal.follow()) as batches:
                async for batch in batches:
                    if self._send_batch(batch):
                        await asyncio.wait({self.turn.task}, timeout=_PAUSE)
        except FlowgroundError as failure:
            error = failure
        await asyncio.wait({self.turn.task})  # by then the next message may be sent
        self._forget(self)
        self._end(error)

    def _send_batch(self, batch: Sequence[NumberedEvent]) -> bool:
        """Sends these events to all sockets; returns whether a text grew."""
        before, progress, known = self._number, self._progress, len(self._view.passages)
        had = {name: len(text) for name, text in self._view.texts.items()}
        states: dict[str, str] = {}
        events = [item.event for item in batch]
        fold(events, onto=self._view)
        for event in events:
            self._record(event, states)
        self._states |= states
        found = self._view.action_log.found
        numbers = [find_number(event) for event in events if isinstance(event, ActionEvent)]
        acted = dict.fromkeys(number for number in numbers if number in found)
        self._number = batch[-1].number
        frames = [self._write_progress()] if self._progress is not progress else []
        if len(self._view.passages) > known and (sources := self._write_sources()):
            frames.append(sources)
        if text := self._write_texts(had):
            frames.append(text)
        write_step = cache(lambda: self._write_step(states))
        write_actions = cache(partial(self._write_actions, acted))
        for viewer, cursor in [*self._viewers.items()]:
            if viewer.is_full:
                continue
            if cursor.number != before or not cursor.knows:
                self.send_rest(viewer)
                continue
            if states and viewer.sees_inside:
                viewer.put(write_step())
            if acted:
                viewer.put(write_actions(viewer.visibility))
            for frame in frames:
                viewer.put(frame)
            cursor.number = self._number
        return bool(text)

    def _record(self, event: Event, states: dict[str, str]) -> None:
        match event:
            case TurnStarted():
                self._record_start(event)
            case ModelProgress():
                self._progress = event
            case ComponentStarted() | ComponentFinished() | ToolCalled() | ToolReturned():
                self._record_step(event, states)
            case Token() | PassagesFound() | ThinkingBegan() | ModelThought() | ToolWaits() | TurnFinished():
                pass  # the view has them
            case _:
                assert_never(event)

    def _record_start(self, event: TurnStarted) -> None:
        self._is_waiting = False
        if not event.is_kept and isinstance(self.turn, LiveTurn):
            for viewer in self._viewers:
                viewer.hold(self.turn)

    def _record_step(
        self, event: ComponentStarted | ComponentFinished | ToolCalled | ToolReturned, states: dict[str, str]
    ) -> None:
        match event:
            case ToolCalled(is_inner=True) | ToolReturned(called=ToolCalled(is_inner=True)):
                return  # its ids are those of another flow
            case ComponentStarted(component_id=name):
                states[name] = "running"
            case ToolCalled(tool=name):
                self._called[name] += 1
                states[name] = "running"
            case ComponentFinished():
                states[event.component_id] = event.status
                return
            case ToolReturned(called=ToolCalled(tool=tool, component_id=name)):
                self._called[tool] -= 1
                if not self._called[tool]:
                    states[tool] = "done" if event.status == "done" else "failed"
        self._step = self.turn.wired.display_names.get(name, name)

    def _send_started(self, viewer: Viewer, cursor: _Cursor) -> None:
        started = self._started
        assert started is not None  # noqa: S101 - asked by who calls
        cursor.knows = True
        if not started.is_kept and isinstance(self.turn, LiveTurn):
            viewer.hold(self.turn)
        question = read_question(started)
        fields: dict[str, Any] = {
            "session": started.session_id,
            "run": started.run_id,
            "question": question and write_message(question, visibility=viewer.visibility),
            "answers": [
                {"id": key} | ({"name": name} if viewer.sees_inside else {}) for name, key in started.answer_ids.items()
            ],
            "number": max(1, cursor.number),
        }
        if name := viewer.name_turn(self.turn):
            fields["id"] = name
        viewer.put(encode("started", **fields))
        cursor.number = max(1, cursor.number)

    def _write_texts(self, had: Mapping[str, int]) -> str:
        """One frame with each answer's text behind the characters that its readers `had`, `more` has those behind the
        first answer; "" for no text."""
        grown = {name: had.get(name, 0) for name, text in self._view.texts.items() if len(text) > had.get(name, 0)}
        if not grown or self._started is None:
            return ""
        ids, texts = self._started.answer_ids, self._view.texts
        first, *others = [
            {"answer": ids[name], "at": at, "text": texts[name][at:]} | self._find_cited(name, at)
            for name, at in grown.items()
        ]
        more = {"more": others} if others else {}
        return encode("text", **first, **more, number=self._number)

    def _write_sources(self) -> str:
        """The frame of the passages found so far, which pages show below the first answer; "" for none."""
        found = describe_passages(keep_passages("", self._view.passages))
        return encode("sources", run=self._run_id, passages=found) if found else ""

    def _find_cited(self, name: str, at: int) -> dict[str, Any]:
        """The passages that an answer's text from there on cites; a citation's mark may begin before it."""
        if not self._view.passages:
            return {}
        cited = describe_passages(find_cited(self._view.texts[name][max(0, at - LONGEST_MARK) :], self._view.passages))
        return {"citations": cited} if cited else {}

    def _write_step(self, states: Mapping[str, str]) -> str:
        """The frame with the name of the step that began last, and with the states of components by their ids."""
        return encode("step", run=self._run_id, name=self._step, states=states)

    def _write_actions(self, numbers: Iterable[int], visibility: Visibility) -> str:
        """The frame of the actions with these numbers."""
        found = (self._view.action_log.found[number] for number in numbers)
        return encode("actions", run=self._run_id, actions=write_actions(found, visibility))

    def _write_progress(self) -> str:
        progress = self._progress
        assert progress is not None  # noqa: S101 - asked by who calls
        return encode(
            "progress",
            run=self._run_id,
            model=progress.model,
            received=progress.received,
            total=progress.total,
            seconds_left=progress.seconds_left,
        )

    @property
    def _started(self) -> TurnStarted | None:
        return self._view.started

    @property
    def _run_id(self) -> str:
        return self._started.run_id if self._started else ""

    def _end(self, error: FlowgroundError | None) -> None:
        if self._started is None:
            viewers, self._viewers = self._viewers, {}
            why = error or InvalidRequest("Nothing was asked.")
            if isinstance(why, RunStopped):
                why = InvalidRequest("Stopped while it waited; nothing was sent.")
            for viewer in viewers:
                if isinstance(self.turn, LiveTurn):
                    viewer.refuse(self.turn, why)
                if isinstance(self.turn, RunElsewhere) or isinstance(why, AnswerUnfinished):
                    viewer.send_behind()  # another process's run is here, or ended before anything of it was known
                viewer.record_end(self.turn)
            return
        self.is_over, self._error = True, error
        for viewer in [*self._viewers]:
            self.send_rest(viewer)

    def _send_end(self, viewer: Viewer) -> None:
        visibility = viewer.visibility
        if visibility not in self._ends:
            self._ends[visibility] = self._write_end(self._error, visibility)
        viewer.put(self._ends[visibility])
        del self._viewers[viewer]
        viewer.record_end(self.turn)

    def _write_end(self, error: FlowgroundError | None, visibility: Visibility) -> str:
        """The frame of the end: the answers as they are stored, without a text that was sent whole already."""
        assert self._started is not None  # noqa: S101 - asked by who calls
        if isinstance(self.turn, RunElsewhere):
            messages = write_messages(self.turn.answers, visibility=visibility, sent=self.turn.sent)
        else:
            answers = read_answers(self.turn, self._started)
            messages = write_messages(answers, visibility=visibility, running=[self._started.run_id])
        sent = {key: join_surrogates(self._view.texts.get(name, "")) for name, key in self._started.answer_ids.items()}
        for message in messages:
            if message["text"] == sent.get(message["id"]):
                del message["text"]
        if error is not None and messages and not isinstance(error, RunStopped | ShuttingDown):
            named = isinstance(error, EndedByAdmin) or "error" in messages[-1]
            if named:
                messages[-1]["error"] = write_failure(error, sees_inside=visibility.inside)
        return encode("ended", run=self._run_id, messages=messages)
