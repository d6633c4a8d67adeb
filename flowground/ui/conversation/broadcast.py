"""Sends one turn, as it goes on, to every socket that shows its conversation.

A piece of text is encoded once for all sockets. What a socket still lacks follows from one number, the last event that
it was sent: a socket that comes late, or reads slowly, gets the rest in one piece. Turns that another process takes are
polled in the store, all of them in one read, and not at all while no socket shows one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol, assert_never

from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.citations import LONGEST_MARK, NumberedPassage, describe_passages, find_cited, keep_passages
from flowground.core.errors import (
    EndedByAdmin,
    FlowgroundError,
    InvalidRequest,
    RunStopped,
    ShuttingDown,
    StoreUnavailable,
)
from flowground.core.events import (
    ActionEvent,
    ActionLog,
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
)
from flowground.core.messages import join_surrogates
from flowground.runs.journal import NumberedEvent
from flowground.store.runs import conversations, progress
from flowground.store.runs.records import RunRecord, StoredMessage
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

_LOOK_SECONDS = 1.0
_RUNS_PER_LOOK = 200
_CHARS_PER_LOOK = 1_000_000
"""Most runs of one look, and most characters that it reads. Runs that waited longest come first."""


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

    def name_turn(self, turn: LiveTurn) -> str | None:
        """Its page's name for the message, if the page sent the message."""

    def send_waiting(self, turn: LiveTurn) -> None:
        """Sends that the turn waits until the process may run it."""

    def refuse(self, turn: LiveTurn, error: FlowgroundError) -> None:
        """Sends that the turn ended before it began."""

    def hold(self, turn: LiveTurn) -> None:
        """Keeps the turn while the socket is open: nothing of it is stored."""

    def record_end(self, turn: LiveTurn | None) -> None:
        """The end of the turn was sent; None: of a turn of another process."""


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

    def __init__(self, turn: LiveTurn, *, forget: "Callable[[TurnBroadcast], None]") -> None:
        self.turn = turn
        self._forget = forget
        self._viewers: dict[Viewer, _Cursor] = {}
        self._number = 0
        self._started: TurnStarted | None = None
        self._texts: dict[str, str] = {}
        self._passages: dict[int, NumberedPassage] = {}
        self._is_waiting = False
        self.is_over = False
        """Whether the turn has its end."""
        self._error: FlowgroundError | None = None
        self._ends: dict[Visibility, str] = {}
        """The frame of the end, by what its readers may see."""
        self._actions = ActionLog()
        self._acted: dict[int, None] = {}
        """Numbers of the actions that the last batch of events was about, as an ordered set."""
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
        elif cursor.number < self._number and self._actions.found:
            viewer.put(self._write_actions(self._actions.found, viewer.visibility))
        if cursor.number < self._number:
            if sources := self._write_sources():
                viewer.put(sources)
            offsets = self._measure_texts(cursor.number)
            parts = {name: (offsets.get(name, 0), text[offsets.get(name, 0) :]) for name, text in self._texts.items()}
            if frame := self._write_texts({name: part for name, part in parts.items() if part[1]}):
                viewer.put(frame)
            cursor.number = self._number
        if self.is_over:
            self._send_end(viewer)

    def _measure_texts(self, number: int) -> Counter[str]:
        """Characters of each answer in the events up to this number."""
        found = Counter[str]()
        for event in self.turn.journal.list_events(to=number):
            if isinstance(event, Token):
                found[event.component_id] += len(event.text)
        return found

    def _send_begin(self, viewer: Viewer, cursor: _Cursor) -> None:
        self._send_started(viewer, cursor)
        if self._states and viewer.sees_inside:
            viewer.put(self._write_step(self._states))
        if self._actions.found:
            viewer.put(self._write_actions(self._actions.found, viewer.visibility))
        if self._progress and not self._texts:
            viewer.put(self._write_progress())

    def _send_waiting(self, viewer: Viewer, cursor: _Cursor) -> None:
        if self._is_waiting and not cursor.waits:
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
        before, progress, known = self._number, self._progress, len(self._passages)
        grown: dict[str, tuple[int, str]] = {}
        states: dict[str, str] = {}
        self._acted = {}
        for item in batch:
            self._record(item.event, grown, states)
        self._states |= states
        self._number = batch[-1].number
        frames = [self._write_progress()] if self._progress is not progress else []
        if len(self._passages) > known and (sources := self._write_sources()):
            frames.append(sources)
        if text := self._write_texts(grown):
            frames.append(text)
        write_step = cache(lambda: self._write_step(states))
        write_actions = cache(partial(self._write_actions, self._acted))
        for viewer, cursor in [*self._viewers.items()]:
            if viewer.is_full:
                continue
            if cursor.number != before or not cursor.knows:
                self.send_rest(viewer)
                continue
            if states and viewer.sees_inside:
                viewer.put(write_step())
            if self._acted:
                viewer.put(write_actions(viewer.visibility))
            for frame in frames:
                viewer.put(frame)
            cursor.number = self._number
        return bool(grown)

    def _record(self, event: Event, grown: dict[str, tuple[int, str]], states: dict[str, str]) -> None:
        match event:
            case Token():
                name = event.component_id
                before = self._texts.get(name, "")
                at, text = grown.get(name, (len(before), ""))
                grown[name] = at, text + event.text
                self._texts[name] = before + event.text
            case TurnStarted():
                self._record_start(event)
            case ModelProgress():
                self._progress = event
            case PassagesFound():
                self._passages |= {passage.number: passage for passage in event.passages}
            case TurnFinished():
                pass  # `_send_end` sends its answers
            case ComponentStarted() | ComponentFinished():
                self._record_step(event, states)
            case ToolCalled() | ToolReturned():
                self._record_action(event)
                self._record_step(event, states)
            case ThinkingBegan() | ModelThought() | ToolWaits():
                self._record_action(event)
            case _:
                assert_never(event)

    def _record_action(self, event: ActionEvent) -> None:
        if number := self._actions.add(event):
            self._acted[number] = None

    def _record_start(self, event: TurnStarted) -> None:
        self._started, self._is_waiting = event, False
        if not event.is_kept:
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
        if not started.is_kept:
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

    def _write_texts(self, parts: Mapping[str, tuple[int, str]]) -> str:
        """One frame with the new text of each answer, `more` has those behind the first; "" for no text."""
        assert self._started is not None or not parts  # noqa: S101 - the first event is the start
        if not parts or self._started is None:
            return ""
        ids = self._started.answer_ids
        first, *others = [
            {"answer": ids[name], "at": at, "text": text} | self._find_cited(name, at, text)
            for name, (at, text) in parts.items()
        ]
        more = {"more": others} if others else {}
        return encode("text", **first, **more, number=self._number)

    def _write_sources(self) -> str:
        """The frame of the passages found so far, which pages show below the first answer; "" for none."""
        found = describe_passages(keep_passages("", self._passages))
        return encode("sources", run=self._run_id, passages=found) if found else ""

    def _find_cited(self, name: str, at: int, text: str) -> dict[str, Any]:
        """The passages that this piece of an answer cites; a citation's mark may begin before the piece."""
        if not self._passages:
            return {}
        before = self._texts[name][max(0, at - LONGEST_MARK) : at]
        cited = describe_passages(find_cited(before + text, self._passages))
        return {"citations": cited} if cited else {}

    def _write_step(self, states: Mapping[str, str]) -> str:
        """The frame with the name of the step that began last, and with the states of components by their ids."""
        return encode("step", run=self._run_id, name=self._step, states=states)

    def _write_actions(self, numbers: Iterable[int], visibility: Visibility) -> str:
        """The frame of the actions with these numbers."""
        found = (self._actions.found[number] for number in numbers)
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
    def _run_id(self) -> str:
        return self._started.run_id if self._started else ""

    def _end(self, error: FlowgroundError | None) -> None:
        if self._started is None:
            viewers, self._viewers = self._viewers, {}
            why = error or InvalidRequest("Nothing was asked.")
            if isinstance(why, RunStopped):
                why = InvalidRequest("Stopped while it waited; nothing was sent.")
            for viewer in viewers:
                viewer.refuse(self.turn, why)
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
        answers = read_answers(self.turn, self._started)
        messages = write_messages(answers, visibility=visibility, running=[self._started.run_id])
        sent = {key: join_surrogates(self._texts.get(name, "")) for name, key in self._started.answer_ids.items()}
        for message in messages:
            if message["text"] == sent.get(message["id"]):
                del message["text"]
        if error is not None and messages and not isinstance(error, RunStopped | ShuttingDown):
            named = isinstance(error, EndedByAdmin) or "error" in messages[-1]
            if named:
                messages[-1]["error"] = write_failure(error, sees_inside=visibility.inside)
        return encode("ended", run=self._run_id, messages=messages)


@dataclass(frozen=True, slots=True)
class RunSoFar:
    """A run of another process in the conversation, with the text that it stored so far of each answer, by id."""

    run_id: str
    texts: Mapping[str, str]


@dataclass(slots=True)
class _SentTexts:
    """What a socket was sent: `chars` of each answer, by its id; `knows`: that the run goes on."""

    chars: dict[str, int] = field(default_factory=dict)
    knows: bool = False


class FollowedRun:
    """Sends a run of another process to sockets. `forget` is called once the run ended, or no socket is left."""

    def __init__(self, run: RunSoFar, session_id: str, *, forget: "Callable[[FollowedRun], None]") -> None:
        self.run_id = run.run_id
        self.size = 0
        """Size of the texts that were read last, as the store counts it."""
        self._session_id = session_id
        self._forget = forget
        self._viewers: dict[Viewer, _SentTexts] = {}
        self._texts: dict[str, str] = {}
        self._messages: Sequence[StoredMessage] | None = None
        """The answers, once the run ended."""
        self._sent: Collection[str] = ()
        self.take_texts(run.texts)

    @property
    def is_over(self) -> bool:
        """Whether the run has its end."""
        return self._messages is not None

    def subscribe(self, viewer: Viewer) -> None:
        """Sends the run to this socket."""
        self._viewers[viewer] = _SentTexts()
        self.send_rest(viewer)

    def unsubscribe(self, viewer: Viewer) -> None:
        """Sends nothing more; the run goes on. A second call does nothing."""
        if self._viewers.pop(viewer, None) and not self._viewers:
            self._forget(self)

    def take_texts(self, texts: Mapping[str, str]) -> None:
        """Takes in the texts that are stored by now, and sends what is new."""
        for key, text in texts.items():
            grown = text.rstrip("\ufffd")  # the text may end in half a surrogate pair for now
            if grown.startswith(self._texts.get(key, "")):
                self._texts[key] = grown
        self._send_all()

    def take_end(self, messages: Sequence[StoredMessage], sent: Collection[str]) -> None:
        """Takes in that the run ended with these answers, and sends them. `sent`: as for `write_messages`."""
        self._messages, self._sent = messages, sent
        self._forget(self)
        self._send_all()

    def _send_all(self) -> None:
        for viewer in [*self._viewers]:
            self.send_rest(viewer)

    def send_rest(self, viewer: Viewer) -> None:
        """Sends this socket what it still lacks, in one piece."""
        sent = self._viewers.get(viewer)
        if sent is None or viewer.is_full:
            return
        if not sent.knows:
            sent.knows = True
            viewer.put(self._write_start())
        grown = [key for key, text in self._texts.items() if len(text) > sent.chars.get(key, 0)]
        if grown:
            first, *others = [self._write_part(key, sent) for key in grown]
            viewer.put(encode("text", **first, **({"more": others} if others else {}), number=1))
        if self._messages is not None:
            viewer.put(self._write_end(self._messages, viewer.visibility))
            del self._viewers[viewer]
            viewer.record_end(None)

    def _write_start(self) -> str:
        """The frame of the begin. Number 1, here and in each piece, means that the page has no text of the run."""
        answers = [{"id": key} for key in self._texts]
        fields = {"session": self._session_id, "run": self.run_id, "question": None, "answers": answers}
        return encode("started", **fields, number=1, elsewhere=True)

    def _write_part(self, key: str, sent: _SentTexts) -> dict[str, Any]:
        at, text = sent.chars.get(key, 0), self._texts[key]
        sent.chars[key] = len(text)
        return {"answer": key, "at": at, "text": text[at:]}

    def _write_end(self, answers: Sequence[StoredMessage], visibility: Visibility) -> str:
        """The frame of the end, without a text that was sent whole already."""
        messages = write_messages(answers, visibility=visibility, sent=self._sent)
        for message in messages:
            if message["text"] == self._texts.get(message["id"], ""):
                del message["text"]
        return encode("ended", run=self.run_id, messages=messages)


class RunsElsewhere:
    """Polls the runs of other processes that sockets here show. On the loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._followed: dict[str, FollowedRun] = {}
        """By run; runs that were looked at last are at the end."""
        self._task: asyncio.Task[None] | None = None

    def follow(self, run: RunSoFar, session_id: str, viewer: Viewer) -> FollowedRun:
        """Sends the run to this socket; returns its broadcast."""
        found = self._followed.get(run.run_id)
        if found is None:
            found = self._followed[run.run_id] = FollowedRun(run, session_id, forget=self._forget)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        found.subscribe(viewer)
        return found

    def stop(self) -> None:
        """Ends the polling, with the process."""
        if self._task:
            self._task.cancel()

    def _forget(self, run: FollowedRun) -> None:
        if self._followed.get(run.run_id) is run:
            del self._followed[run.run_id]

    async def _look_on(self) -> None:
        try:
            while self._followed:
                await asyncio.sleep(_LOOK_SECONDS)
                with suppress(StoreUnavailable):  # the store logs the outage
                    await self._look()
        finally:
            self._task = None

    async def _look(self) -> None:
        if not self._followed:
            return
        await self._runtime.interruptions.end_left_runs()
        store, followed = self._runtime.store, [*self._followed.values()][:_RUNS_PER_LOOK]
        sizes = {run.run_id: run.size for run in followed}
        found = await store.read(progress.poll_runs, sizes=sizes, most_chars=_CHARS_PER_LOOK)
        for run in followed:
            if run.run_id in found.grown:
                run.size = found.grown[run.run_id].size
                run.take_texts(found.grown[run.run_id].texts)
            elif run.run_id not in found.running:
                record = await store.read(progress.find_run, run_id=run.run_id)
                answers = await store.read(progress.list_answers, run=record) if record else ()
                run.take_end(answers, await self._find_sent(record, answers) if record else ())
            if self._followed.get(run.run_id) is run:
                self._followed[run.run_id] = self._followed.pop(run.run_id)

    async def _find_sent(self, run: RunRecord, answers: Sequence[StoredMessage]) -> Collection[str]:
        """The names of the question's files, if an answer failed: its error may be about one of them."""
        if not any(answer.state == "failed" for answer in answers):
            return ()
        place = {"flow_id": run.flow_id, "owner": run.owner, "session_id": run.session_id}
        read = self._runtime.store.read
        question = await read(conversations.find_question, **place, message_id=answers[-1].id)
        return [file.name for file in question.files] if question else ()
