"""Sends one turn, as it goes on, to every socket that shows its conversation; and frames that wait to be sent.

A frame is encoded once for all sockets that see alike. What a socket still lacks follows from one number, the last
event that it was sent: a socket that comes late, or reads slowly, gets the rest in one piece. Turns that another
process takes are polled in the store, all of them in one read, and not at all while no socket shows one.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from msgspec import structs
from starlette.types import Message

from flowground.app.live_turns import LiveTurn
from flowground.app.runs_elsewhere import RunElsewhere
from flowground.core.caller import Caller
from flowground.core.citations import LONGEST_MARK, describe_passages, find_cited, keep_passages
from flowground.core.errors import AnswerUnfinished, FlowgroundError, InvalidRequest, RunStopped
from flowground.core.events import ActionEvent, Token, TurnStarted, TurnView, find_begun, fold
from flowground.core.messages import join_surrogates
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import NumberedEvent
from flowground.store.runs.conversations import AskedQuestion
from flowground.store.runs.records import StoredMessage
from flowground.ui.conversation.messages import (
    Fields,
    Visibility,
    encode,
    read_answers,
    read_question,
    write_actions,
    write_message,
    write_messages,
    write_refusal,
    write_tool_calls,
)

_PAUSE = 0.1
"""Seconds between two pieces of a growing text; the first one comes at once."""
_MOST_HELD = 50
_MOST_HELD_CHARS = 1_000_000
"""Most unstored turns that one socket holds, and most characters of them; the newest turn is always held."""
_OUTBOX_CHARS = 64_000
"""Characters that wait to be sent, beyond which a growing answer adds none: the socket gets the rest in one piece."""
_CHARS_OF_A_PERSON = 10_000_000
"""Characters that wait on all sockets of one person. Twenty may be opened at once, each with half a million."""
Turn = LiveTurn | RunElsewhere
"""A turn of this process, or as far as it is known of another's."""


class UnsentFrames:
    """Counts the unsent characters of one person's sockets, and drops the socket idle for longest if they are too
    many."""

    def __init__(self) -> None:
        self._chars = 0
        self._waiting: dict[Outbox, None] = {}
        """Outboxes with unsent frames, as an ordered set; the one that sent something last is the last."""

    def count(self, outbox: "Outbox", chars: int) -> None:
        """Counts characters that were put into this outbox."""
        self._chars += chars
        self._waiting.setdefault(outbox)
        while self._chars > _CHARS_OF_A_PERSON and len(self._waiting) > 1:
            next(iter(self._waiting)).drop()

    def take_off(self, outbox: "Outbox", chars: int, *, is_empty: bool) -> None:
        """Counts characters of this outbox that were sent or dropped."""
        self._chars -= chars
        self._waiting.pop(outbox, None)
        if not is_empty:
            self._waiting[outbox] = None


class Outbox:
    """Frames that wait to be sent to one socket, on its loop.

    `seconds`: time that sending one frame may take; then `give_up` ends the socket. `refill` is called when the
    outbox is empty and may put more frames. `unsent` counts the outboxes of one person.
    """

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        *,
        seconds: float,
        give_up: Callable[[], None],
        refill: Callable[[], None],
        unsent: UnsentFrames,
    ) -> None:
        self._unsent = unsent
        self._send, self._seconds, self._give_up, self._refill = send, seconds, give_up, refill
        self._frames: deque[str] = deque()
        self._chars = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_over = False

    @property
    def is_full(self) -> bool:
        return self._chars > _OUTBOX_CHARS

    def put(self, frame: str) -> None:
        """Sends the frame later; drops it if the socket is closed."""
        if self._is_over:
            return
        self._frames.append(frame)
        self._chars += len(frame)
        if self.is_full:
            self._room.clear()
        self._empty.clear()
        self._news.set()
        self._unsent.count(self, len(frame))

    async def wait_for_room(self) -> bool:
        """Waits until the page has read enough to be read from. False once the socket is closed."""
        await self._room.wait()
        return not self._is_over

    async def flush(self) -> None:
        """Returns once every frame was sent."""
        await self._empty.wait()

    async def run(self) -> None:
        """Sends frames until it is cancelled or the socket takes none in time."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._frames:
                    frame = self._frames.popleft()
                    async with asyncio.timeout(self._seconds):
                        await self._send({"type": "websocket.send", "text": frame})
                    self._take_off(len(frame))
                    if not self._frames:
                        self._refill()
                    if not self.is_full:
                        self._room.set()
                self._empty.set()
        except TimeoutError:
            self.drop()
        finally:
            self._close()

    def drop(self) -> None:
        """Ends the socket and drops its unsent frames."""
        self._close()
        self._give_up()

    def _close(self) -> None:
        self._is_over = True
        self._frames.clear()
        self._take_off(self._chars)
        self._room.set()
        self._empty.set()

    def _take_off(self, chars: int) -> None:
        chars = min(chars, self._chars)  # 0 if the outbox was dropped meanwhile
        self._chars -= chars
        self._unsent.take_off(self, chars, is_empty=not self._chars)


class ConversationPlace(NamedTuple):
    """One conversation in the store: a session of one owner with one flow."""

    owner: str
    flow_id: str
    session_id: str

    @classmethod
    def of(cls, turn: LiveTurn) -> "ConversationPlace":
        return cls(str(turn.caller.owner), turn.wired.id, turn.request.session_id or "")


class HeldTurns:
    """Turns of which nothing is stored, as long as their page's socket is open."""

    def __init__(self) -> None:
        self._turns: list[LiveTurn] = []

    def hold(self, turn: LiveTurn) -> None:
        """Holds the turn, and drops the oldest ones that are too many. A second call for a turn does nothing."""
        held = self._turns
        if turn in held:
            return
        held.append(turn)
        while len(held) > _MOST_HELD or (len(held) > 1 and sum(one.journal.size for one in held) > _MOST_HELD_CHARS):
            del held[0]

    def list_messages(self, place: ConversationPlace) -> list[StoredMessage]:
        """The held messages of this conversation: each question and, once its turn ended, the answers."""
        found: list[StoredMessage] = []
        for started, turn in self._list_turns(place):
            found += [question] if (question := read_question(started)) else []
            found += read_answers(turn.journal) if turn.is_done else []
        return found

    def find_question(self, place: ConversationPlace, message_id: str) -> AskedQuestion | None:
        """The held question that this message is, or answers."""
        for started, _ in self._list_turns(place):
            if started.input_value is not None and message_id in (
                started.user_message_id,
                *started.answer_ids.values(),
            ):
                return AskedQuestion(None, started.input_value, started.files)
        return None

    def _list_turns(self, place: ConversationPlace) -> list[tuple[TurnStarted, LiveTurn]]:
        return [(turn.started, turn) for turn in self._turns if turn.started and ConversationPlace.of(turn) == place]


class Viewer:
    """Who looks at a conversation through one socket, as broadcasts of its turns know them. `is_public`: the page is
    the flow's shareable playground."""

    def __init__(self, caller: Caller, wired: WiredFlow, outbox: Outbox, *, is_public: bool) -> None:
        self.caller, self.wired = caller, wired
        """The caller and the flow as they were checked last; the draft, if a draft answers."""
        self.outbox, self.is_public = outbox, is_public
        self.broadcast: TurnBroadcast | None = None
        self.announced_turn: LiveTurn | None = None
        """The turn that began last, also while the stored messages were being read."""
        self.held = HeldTurns()
        self.names: dict[Turn, str] = {}
        """The page's own name for the message that it sent last."""
        self.is_behind = False
        """Whether the page missed the end of a turn, and has to open the conversation again."""

    @property
    def visibility(self) -> Visibility:
        """What its person sees of the flow."""
        sees_inside = self.caller.sees_inside and not self.is_public
        return Visibility(sees_inside, sees_inside or self.wired.shows_tools)

    def send(self, kind: str, /, **fields: Any) -> None:
        """Sends one frame."""
        self.outbox.put(encode(kind, **fields))

    def send_rest(self) -> None:
        """The outbox is empty: sends what was held back meanwhile."""
        if self.is_behind:
            self.is_behind = False
            self.send("behind")
        if self.broadcast:
            self.broadcast.send_rest(self)

    def send_behind(self) -> None:
        """Sends that the conversation changed: the page then opens it again, at the pace of its person."""
        if not self.is_too_slow():
            self.send("behind")

    def is_too_slow(self) -> bool:
        """Whether this page reads too slowly for a whole conversation: once it has read on, it opens it again."""
        self.is_behind = self.is_behind or self.outbox.is_full
        return self.is_behind

    def record_end(self, turn: Turn) -> None:
        """The end of the turn was sent: forgets the turn."""
        self.broadcast = None
        self.names.pop(turn, None)
        if self.announced_turn is turn:
            self.announced_turn = None


@dataclass(slots=True)
class _Cursor:
    """What a socket was sent: events up to `number`; `waits`: that the turn waits; `knows`: that it began."""

    number: int = 0
    waits: bool = False
    knows: bool = False


class TurnBroadcast:
    """Sends one turn to its sockets, on the loop. It stands in `running` until the turn ended, or no socket is left.

    A socket that is full is sent nothing more, not even the end, until its outbox is empty.
    """

    def __init__(self, turn: Turn, running: "dict[Turn, TurnBroadcast]") -> None:
        self.turn = turn
        self._running = running
        running[turn] = self
        self._viewers: dict[Viewer, _Cursor] = {}
        self._number = 0
        self._view = TurnView()
        self._waiting: LiveTurn | None = None
        """The turn, where it waits until the process may run it."""
        self.is_over = False
        """Whether the turn has its end."""
        self._error: FlowgroundError | None = None
        self._news, self._ends = cache(self._write_news), cache(self._write_end)
        self._task = asyncio.create_task(self._broadcast())

    def subscribe(self, viewer: Viewer, *, after: int = 0) -> None:
        """Sends the turn to this socket, from behind event `after`, the last one that its page had of this run."""
        self._viewers[viewer] = _Cursor(after)
        self.send_rest(viewer)

    def unsubscribe(self, viewer: Viewer) -> None:
        """Sends nothing more; the turn goes on. A second call does nothing."""
        if self._viewers.pop(viewer, None) and not self._viewers:
            self._forget()
            self._task.cancel()

    def send_rest(self, viewer: Viewer) -> None:
        """Sends this socket what it still lacks, in one piece."""
        cursor = self._viewers.get(viewer)
        if cursor is None or viewer.outbox.is_full:
            return
        if self._view.started is None:
            if self._waiting and not cursor.waits:
                cursor.waits = True
                viewer.send("waiting", id=viewer.names.get(self.turn), text=self._waiting.request.input_value)
            return
        if not cursor.knows:
            self._send_started(viewer, cursor)
        if cursor.number < self._number:
            for frame in self._news(cursor.number, viewer.visibility):
                viewer.outbox.put(frame)
            cursor.number = self._number
        if self.is_over:
            viewer.outbox.put(self._ends(viewer.visibility))
            del self._viewers[viewer]
            viewer.record_end(self.turn)

    async def _broadcast(self) -> None:
        error: FlowgroundError | None = None
        await asyncio.sleep(0)  # by then the turn is admitted, if it need not wait
        if isinstance(self.turn, LiveTurn) and self.turn.is_waiting and not self.turn.is_done:
            self._waiting = self.turn
        self._send_batch(())
        try:
            async with aclosing(self.turn.journal.follow()) as batches:
                async for batch in batches:
                    if self._send_batch(batch):
                        await asyncio.wait({self.turn.task}, timeout=_PAUSE)
        except FlowgroundError as failure:
            error = failure
        await asyncio.wait({self.turn.task})  # by then the next message may be sent
        self._forget()
        self._end(error)

    def _send_batch(self, batch: Sequence[NumberedEvent]) -> bool:
        """Sends these events to all sockets; returns whether a text grew."""
        if batch:
            self._number = batch[-1].number
            self._news.cache_clear()
            fold((item.event for item in batch), onto=self._view)
        for viewer in [*self._viewers]:
            self.send_rest(viewer)
        return any(isinstance(item.event, Token) for item in batch)

    def _send_started(self, viewer: Viewer, cursor: _Cursor) -> None:
        started, cursor.knows = self._started, True
        # Where there is no such event yet, everything is sent.
        cursor.number = max(1, cursor.number if cursor.number <= self._number else 0)
        if not started.is_kept and isinstance(self.turn, LiveTurn):
            viewer.held.hold(self.turn)
        question, visibility = read_question(started), viewer.visibility
        fields: Fields = {
            "session": started.session_id,
            "run": started.run_id,
            "question": question and write_message(question, visibility=visibility),
            "answers": [
                {"id": key} | ({"name": name} if visibility.inside else {}) for name, key in started.answer_ids.items()
            ],
            "number": cursor.number,
        }
        if name := viewer.names.get(self.turn):
            fields["id"] = name
        viewer.send("started", **fields)

    def _write_news(self, after: int, visibility: Visibility) -> list[str]:
        """The frames for a socket that was sent the events up to `after`."""
        events = [event for number, event in self.turn.journal.list_after(after) if number <= self._number]
        news, found, frames = fold(events), self._view.action_log.found, list[str]()
        numbers = dict.fromkeys(find_begun(event).number for event in events if isinstance(event, ActionEvent))
        acted = [found[number] for number in numbers if number in found]
        tools = write_tool_calls(found.values()) if acted else ()
        states = news.states | {tool["id"]: tool["status"] for tool in tools}
        text = self._write_texts(after)
        if states and visibility.inside:
            name = self.turn.wired.display_names.get(self._view.begun, self._view.begun)
            frames.append(self._encode("step", name=name, states=states))
        if acted:
            frames.append(self._encode("actions", actions=write_actions(acted, visibility)))
        if (progress := news.progress) and not text:
            frames.append(self._encode("progress", **structs.asdict(progress)))
        if news.passages and (passages := describe_passages(keep_passages("", self._view.passages))):
            frames.append(self._encode("sources", passages=passages))  # pages show them below the first answer
        return [*frames, text] if text else frames

    def _write_texts(self, after: int) -> str:
        """One frame with each answer's text behind the event `after`, `more` has those behind the first answer; "" for
        no text."""
        had, texts = Counter[str](), self._view.texts
        for event in self.turn.journal.list_events(to=after):
            if isinstance(event, Token):
                had[event.component_id] += len(event.text)
        grown = [
            {"answer": key, "at": had[name], "text": text[had[name] :]} | self._find_cited(text, had[name])
            for name, key in self._started.answer_ids.items()
            if len(text := texts.get(name, "")) > had[name]
        ]
        if not grown:
            return ""
        first, *others = grown
        return encode("text", **first, **({"more": others} if others else {}), number=self._number)

    def _find_cited(self, text: str, at: int) -> Fields:
        """The passages that an answer's text from there on cites; a citation's mark may begin before it."""
        cited = describe_passages(find_cited(text[max(0, at - LONGEST_MARK) :], self._view.passages))
        return {"citations": cited} if cited else {}

    def _encode(self, kind: str, **fields: Any) -> str:
        return encode(kind, run=self._started.run_id, **fields)

    @property
    def _started(self) -> TurnStarted:
        assert self._view.started is not None  # noqa: S101 - asked by who calls
        return self._view.started

    def _forget(self) -> None:
        if self._running.get(self.turn) is self:
            del self._running[self.turn]

    def _end(self, error: FlowgroundError | None) -> None:
        self.is_over, self._error = True, error
        if self._view.started is None:
            self._refuse(error or InvalidRequest("Nothing was asked."))
        for viewer in [*self._viewers]:
            self.send_rest(viewer)

    def _refuse(self, why: FlowgroundError) -> None:
        """The turn ended before it began."""
        viewers, self._viewers = self._viewers, {}
        if isinstance(why, RunStopped):
            why = InvalidRequest("Stopped while it waited; nothing was sent.")
        for viewer, cursor in viewers.items():
            name = viewer.names.get(self.turn)
            if isinstance(self.turn, LiveTurn) and (name is not None or cursor.waits):
                viewer.send("refused", id=name, **write_refusal(why))
            if isinstance(self.turn, RunElsewhere) or isinstance(why, AnswerUnfinished):
                viewer.send_behind()  # another process's run is here, or ended before anything of it was known
            viewer.record_end(self.turn)

    def _write_end(self, visibility: Visibility) -> str:
        """The frame of the end: the answers as they are stored, without a text that was sent whole already."""
        started, turn, texts = self._started, self.turn, self._view.texts
        messages = write_messages(
            turn.answers if isinstance(turn, RunElsewhere) else read_answers(turn.journal, self._view),
            visibility=visibility,
            sent=[file.name for file in started.files],
            error=self._error,
        )
        sent = {key: join_surrogates(texts.get(name, "")) for name, key in started.answer_ids.items()}
        for message in messages:
            if message["text"] == sent.get(message["id"]):
                del message["text"]
        return self._encode("ended", messages=messages)
