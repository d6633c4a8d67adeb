"""One socket: the conversation that its page shows, and the frames that still have to be sent to it.

Beside the conversation a socket holds the page's overrides between two messages, the turns of which nothing is stored,
and a bounded outbox, which counts with those of all other sockets of the same person.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from starlette.types import Message

from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, RunRequest
from flowground.core.errors import FlowgroundError, NotAllowed
from flowground.flows.tweaks import FieldValues, keep_values
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.store.runs import conversations, feedback, progress
from flowground.store.runs.conversations import AskedQuestion
from flowground.store.runs.feedback import RatingValue
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.versions import ConversationChanged
from flowground.ui.conversation.broadcast import Turn, TurnBroadcast
from flowground.ui.conversation.frames import ResumePoint
from flowground.ui.conversation.messages import (
    Fields,
    Visibility,
    encode,
    read_answers,
    read_question,
    write_messages,
    write_refusal,
)

_TWEAKS_CHARS = 10_000
"""Most characters of JSON. A person has up to 200 sockets, and one override of a text may have a million characters."""

_PAGE_MESSAGES = 50
_PAGE_CHARS = 500_000
"""Characters of one page of messages, beyond which no older messages are added to it."""
_MOST_HELD = 50
_MOST_HELD_CHARS = 1_000_000
"""Most unstored turns that one socket holds, and most characters of them; the newest turn is always held."""

_OUTBOX_CHARS = 64_000
"""Characters that wait to be sent, beyond which a growing answer adds none: the socket gets the rest in one piece."""
_CHARS_OF_A_PERSON = 10_000_000
"""Characters that wait on all sockets of one person. Twenty may be opened at once, each with half a million."""

_CHANGED = "This flow was changed: the new version answers from here on."
_DRAFT = "Your draft answers from here on."
_SAVED = "The flow as it is saved answers from here on."
_UNKEPT = "This flow keeps no messages: a reload clears them."


class ConversationPlace(NamedTuple):
    """One conversation in the store: a session of one owner with one flow."""

    owner: str
    flow_id: str
    session_id: str


class HistoryPage(NamedTuple):
    """`ratings`: by id of a stored answer; `explained`: ids of answers whose rating has a reason."""

    messages: Sequence[StoredMessage]
    has_earlier: bool
    ratings: Mapping[str, RatingValue]
    explained: Sequence[str]


async def read_page(
    runtime: Runtime, place: ConversationPlace, *, before: str | None = None, through: str | None = None
) -> HistoryPage:
    """The newest messages, or messages before the id `before`; with `through`, at least back to that id."""
    found = await runtime.store.read(
        conversations.list_page,
        **place._asdict(),
        before=before,
        through=through,
        most=_PAGE_MESSAGES,
        most_chars=_PAGE_CHARS,
    )
    messages, has_earlier = found
    answers = [message.id for message in messages if message.role == "assistant"]
    rated = await runtime.store.read(feedback.list_values, **place._asdict(), message_ids=answers) if answers else {}
    ratings_by_id = {key: value for key, (value, _) in rated.items()}
    return HistoryPage(
        messages, has_earlier, ratings_by_id, [key for key, (_, is_explained) in rated.items() if is_explained]
    )


async def read_elsewhere(runtime: Runtime, place: ConversationPlace) -> RunRecord | None:
    """The run of another process that answers in the conversation, if any."""
    run = await runtime.store.read(progress.find_running, **place._asdict())
    if run is None or run.holder == runtime.running.holder:
        return None
    return run


class HeldTurns:
    """Turns of which nothing is stored, as long as their page's socket is open."""

    def __init__(self) -> None:
        self._turns: list[tuple[ConversationPlace, LiveTurn]] = []

    def hold(self, place: ConversationPlace, turn: LiveTurn) -> None:
        """Holds the turn, and drops the oldest ones that are too many. A second call for a turn does nothing."""
        held = self._turns
        if any(other is turn for _, other in held):
            return
        held.append((place, turn))
        while len(held) > _MOST_HELD or (
            len(held) > 1 and sum(other.journal.size for _, other in held) > _MOST_HELD_CHARS
        ):
            del held[0]

    def add_to(self, page: HistoryPage, place: ConversationPlace) -> HistoryPage:
        """The page with the held messages of this conversation, sorted by time."""
        found = [message for where, turn in self._turns if where == place for message in _read_messages(turn)]
        if not found:
            return page
        return page._replace(messages=sorted((*page.messages, *found), key=lambda message: message.created_at))

    def find_message(self, place: ConversationPlace, message_id: str) -> StoredMessage | None:
        found = (message for where, turn in self._turns if where == place for message in _read_messages(turn))
        return next((message for message in found if message.id == message_id), None)

    def find_question(self, place: ConversationPlace, message_id: str) -> AskedQuestion | None:
        """The held question that this message is, or answers."""
        for where, turn in self._turns:
            started = turn.started
            if where == place and started and message_id in (started.user_message_id, *started.answer_ids.values()):
                return None if started.input_value is None else AskedQuestion(None, started.input_value, started.files)
        return None


async def find_message(
    runtime: Runtime, held: HeldTurns, place: ConversationPlace, message_id: str
) -> StoredMessage | None:
    """The held or stored message; None if there is no such message."""
    return held.find_message(place, message_id) or await runtime.store.read(
        conversations.find_message, **place._asdict(), message_id=message_id
    )


async def find_question(runtime: Runtime, held: HeldTurns, place: ConversationPlace, message_id: str) -> AskedQuestion:
    """The question that this message is, or answers. Raises ConversationChanged if there is none."""
    asked = held.find_question(place, message_id) or await runtime.store.read(
        conversations.find_question, **place._asdict(), message_id=message_id.removesuffix(":none")
    )
    if asked is None:
        raise ConversationChanged
    return asked


def _read_messages(turn: LiveTurn) -> list[StoredMessage]:
    """The question of a turn and, once it ended, its answers."""
    if (started := turn.started) is None:
        return []
    question = read_question(started)
    return ([question] if question else []) + (read_answers(turn, started) if turn.is_done else [])


def hold_short(tweaks: FieldValues) -> FieldValues:
    """The shortest overrides, up to `_TWEAKS_CHARS` together.

    What a socket needs them for is short: which model is asked, and whether messages are kept.
    """
    values = [(len(_spell(name, key, value)), name, key) for name, own in tweaks.items() for key, value in own.items()]
    held: dict[str, dict[str, Any]] = {}
    left = _TWEAKS_CHARS
    for size, name, key in sorted(values):
        left -= size
        if left < 0:
            break
        held.setdefault(name, {})[key] = tweaks[name][key]
    return held


def _spell(name: str, key: str, value: Any) -> str:
    return json.dumps([name, key, value])


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
        if self._frames or self._chars:
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


class OtherSockets(Protocol):
    """All sockets of the process, as one of them sees them."""

    def show(self, shown: "ShownConversation", place: ConversationPlace) -> None:
        """The socket shows this conversation from now on."""

    async def send_others(self, chooser: "ShownConversation", place: ConversationPlace, version: str) -> None:
        """Sends the conversation again to all other sockets that show it: `chooser` chose this version."""

    def find_broadcast(self, turn: Turn) -> TurnBroadcast:
        """The broadcast of this turn."""


class ShownConversation:
    """The conversation that one socket shows, on the runtime's loop.

    `is_public`: the page is the flow's shareable playground, which shows nothing of the flow's inside, and takes
    overrides only of the fields that it asks people for.
    """

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        wired: WiredFlow,
        outbox: Outbox,
        *,
        is_public: bool,
        other_sockets: OtherSockets,
    ) -> None:
        self.place: ConversationPlace | None = None
        self.broadcast: TurnBroadcast | None = None
        self.announced_turn: LiveTurn | None = None
        """The turn that began last, also while the stored messages were being read."""
        self.caller, self.wired = caller, wired
        """The caller and the flow as they were checked last; the draft, if a draft answers."""
        self.held = HeldTurns()
        self._runtime, self._outbox = runtime, outbox
        self.is_public, self._other_sockets = is_public, other_sockets
        self._is_draft = False
        self._names: dict[Turn, str] = {}
        self._waiting: set[Turn] = set()
        self._is_reading = False
        self._opening = asyncio.Lock()
        self._is_behind = False
        """Whether the page missed the end of a turn, and has to open the conversation again."""
        self._tweaks: FieldValues = {}
        self._off: str | None = None
        self._take_flow(wired)

    # The `Viewer` of broadcasts

    @property
    def sees_inside(self) -> bool:
        return self.caller.sees_inside and not self.is_public

    @property
    def visibility(self) -> Visibility:
        return Visibility(self.sees_inside, self.sees_inside or self.wired.shows_tools)

    @property
    def is_full(self) -> bool:
        return self._outbox.is_full

    def put(self, frame: str) -> None:
        self._outbox.put(frame)

    def name_turn(self, turn: Turn) -> str | None:
        return self._names.get(turn)

    def hold(self, turn: LiveTurn) -> None:
        if self.place:
            self.held.hold(self.place, turn)

    def send_waiting(self, turn: LiveTurn) -> None:
        self._waiting = {turn}
        self.send("waiting", id=self._names.get(turn), text=turn.request.input_value)

    def refuse(self, turn: Turn, error: FlowgroundError) -> None:
        name = self._names.pop(turn, None)
        if name is not None or turn in self._waiting:
            self._waiting.discard(turn)
            self.send("refused", id=name, **write_refusal(error))

    def send_rest(self) -> None:
        """The outbox is empty: sends what was held back meanwhile."""
        if self._is_behind:
            self._is_behind = False
            self.send("behind")
        if self.broadcast:
            self.broadcast.send_rest(self)

    def record_end(self, turn: Turn) -> None:
        """The end of the turn was sent: forgets the turn."""
        self.broadcast = None
        self._names.pop(turn, None)
        self._waiting.discard(turn)
        if self.announced_turn is turn:
            self.announced_turn = None

    # Turns and rights

    def record_turn(self, turn: LiveTurn) -> None:
        """A turn begins in the shown conversation: subscribes to it."""
        self.announced_turn = turn
        if not self._is_reading:
            self._subscribe(turn)

    def unsubscribe(self) -> None:
        """Follows no turn any more; the turn goes on."""
        if self.broadcast:
            self.broadcast.unsubscribe(self)
            self.broadcast = None

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        """Takes the caller and the flow as they are now."""
        self.caller = caller
        self._take_flow(wired)
        self.send_off()

    async def check(self) -> None:
        """Checks the rights again. Raises NotSignedIn or FlowNotFound if the caller may not open the flow any more."""
        self.caller, wired = await self._runtime.access.reopen(self.caller, self.wired.id)
        self._take_flow(wired)

    def _take_flow(self, saved: WiredFlow) -> None:
        """Takes the flow as it is now; sends a notice if it changed while it is shown."""
        before, was_draft = self.wired, self._is_draft
        self.wired = saved if self.is_public else self._runtime.access.find_draft(self.caller, saved)
        self._is_draft = self.wired is not saved
        if self.place is None or (before.version, was_draft) == (self.wired.version, self._is_draft):
            return
        text = _DRAFT if self._is_draft else _SAVED if was_draft else _CHANGED
        self.send("flow", text="" if before.version == self.wired.version else text)

    def hold_tweaks(self, tweaks: FieldValues) -> None:
        """Holds the page's overrides as they are now; at a shareable playground only of fields that it asks for."""
        self._tweaks = hold_short(self._keep_taken(tweaks))

    def check_tweaks(self, tweaks: FieldValues) -> None:
        """Raises NotAllowed for an override of a field that the shareable playground does not ask for."""
        if self._keep_taken(tweaks) != tweaks:
            raise NotAllowed(
                "The shareable playground takes no overrides but what it asks for.", hint="Reload the page."
            )

    def _keep_taken(self, tweaks: FieldValues) -> FieldValues:
        if not self.is_public:
            return tweaks
        asked = {(field.component, field.name) for field in self.wired.policy.asked}
        return keep_values(tweaks, lambda name, key, _: (name, key) in asked)

    def take_name(self, turn: LiveTurn, name: str) -> None:
        """Keeps the page's own name for the message that it sent last."""
        self._names = {turn: name}

    def send_off(self) -> None:
        """Sends whether the flow or its model is switched off, if that changed."""
        if self.place is None or self._is_reading:
            return
        if (off := self._find_off()) != self._off:
            self._off = off
            self.send("off", text=off)

    # What the page asks for

    async def open(self, session: str, after: ResumePoint | None) -> None:
        """Shows this conversation; `after`: the last event that the page has of a run that goes on."""
        place = ConversationPlace(str(self.caller.owner), self.wired.id, session)
        async with self._opening:
            self.unsubscribe()
            self._other_sockets.show(self, place)
            self.place = place
            await self._send_conversation(place, after)

    async def send_earlier(self, place: ConversationPlace, before: str) -> None:
        page = await read_page(self._runtime, place, before=before)
        messages = write_messages(page.messages, visibility=self.visibility, is_newest=False)
        fields: Fields = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        self.send("messages", **fields, ratings=page.ratings, explained=page.explained)

    async def send_version(self, place: ConversationPlace, version: str) -> None:
        """The page chose this version of a question: sends the conversation again to all sockets that show it."""
        await self.send_anew(place, through=version, is_own=True)
        await self._other_sockets.send_others(self, place, version)

    async def send_note(self) -> None:
        """Sends what the overrides change: whether messages are kept, and whether the flow or its model is off."""
        await self._runtime.switches.refresh()
        self.send("note", note=self._find_note())
        self.send_off()

    async def send_anew(self, place: ConversationPlace, *, through: str | None, is_own: bool = False) -> None:
        """Sends the conversation again, back to the message `through`: a version was chosen, or another process began a
        run. `is_own`: this page chose it."""
        async with self._opening:
            if self.place == place and (is_own or not self._is_too_slow()):
                self.unsubscribe()
                await self._send_conversation(place, None, through=through)

    def send_behind(self) -> None:
        """Sends that the conversation changed: the page then opens it again, at the pace of its person."""
        if not self._is_too_slow():
            self.send("behind")

    def _is_too_slow(self) -> bool:
        """Whether this page reads too slowly for a whole conversation: once it has read on, it opens it again."""
        self._is_behind = self._is_behind or self.is_full
        return self._is_behind

    async def _send_conversation(
        self, place: ConversationPlace, after: ResumePoint | None, *, through: str | None = None
    ) -> None:
        self._is_reading, self._is_behind = True, False
        try:
            await self._runtime.switches.refresh()
            turn, page = await self._read(place, through=through)
            elsewhere = None
            if turn is None and page.messages and page.messages[-1].role == "user":
                elsewhere = await read_elsewhere(self._runtime, place)
                turn, page = await self._read(place, through=through)
        finally:
            self._is_reading = False
        if self.place != place:
            return  # the rights ended, or the page was closed
        page = self.held.add_to(page, place)
        started = turn.started if turn else None
        coming = set(started.answer_ids.values()) if started else set()
        running = [run for run in (started and started.run_id, elsewhere and elsewhere.id) if run]
        shown = [message for message in page.messages if message.id not in coming]
        messages = write_messages(shown, visibility=self.visibility, running=running)
        self._off = self._find_off()
        fields: Fields = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        fields |= {"running": started.run_id if started else None, "off": self._off, "note": self._find_note()}
        self.send("conversation", **fields, ratings=page.ratings, explained=page.explained)
        known = after.number if after and after.run in running else 0
        if turn:
            self._subscribe(turn, after=known)
        elif elsewhere:
            self._subscribe(self._runtime.elsewhere.open(elsewhere, self.wired), after=known)

    async def _read(self, place: ConversationPlace, *, through: str | None) -> tuple[LiveTurn | None, HistoryPage]:
        """The turn that runs here, if any, and the newest messages, read while no turn began or ended."""
        while True:
            self.announced_turn = None
            before = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            page = await read_page(self._runtime, place, through=through)
            turn = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            if turn is before and self.announced_turn is None:
                return turn, page

    def _subscribe(self, turn: Turn, *, after: int = 0) -> None:
        if self.broadcast and self.broadcast.is_over:  # its end was not sent: this page reads too slowly
            self._is_behind = True
        self.unsubscribe()
        self.broadcast = self._other_sockets.find_broadcast(turn)
        self.broadcast.subscribe(self, after=after)

    def _find_off(self) -> str | None:
        off = self._runtime.switches.find_off(self.wired, RunRequest(tweaks=self._tweaks), self.caller)
        return off.message if off else None

    def _find_note(self) -> str | None:
        return None if keeps_messages(self.wired, self._tweaks) else _UNKEPT

    def send(self, kind: str, /, **fields: Any) -> None:
        """Sends one frame."""
        self._outbox.put(encode(kind, **fields))
