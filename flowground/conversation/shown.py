"""One socket: the conversation that its page shows, and what the page is told of it."""

import asyncio
from typing import Any, Protocol

from flowground.caller import Caller, RunRequest
from flowground.conversation import history
from flowground.conversation.acted import Sight, Written
from flowground.conversation.elsewhere import FollowedRun, RunsElsewhere
from flowground.conversation.frames import ResumePoint
from flowground.conversation.held_overrides import hold_short
from flowground.conversation.history import ConversationPlace, HeldTurns, HistoryPage
from flowground.conversation.outbox import Outbox
from flowground.conversation.telling import Telling
from flowground.conversation.written import encode, write_messages, write_refusal
from flowground.errors import FlowgroundError, NotAllowed
from flowground.overrides import FieldValues, keep_values
from flowground.runtime import LiveTurn, Runtime
from flowground.wiring import WiredFlow, keeps_messages

_CHANGED = "This flow was changed: the new version answers from here on."
_DRAFT = "Your draft answers from here on."
_SAVED = "The flow as it is saved answers from here on."
_UNKEPT = "This flow keeps no messages: a reload clears them."


class Neighbours(Protocol):
    """All sockets of the process, as one of them knows them."""

    @property
    def elsewhere(self) -> RunsElsewhere:
        """Who tells of runs of other processes."""

    def show(self, shown: "ShownConversation", place: ConversationPlace) -> None:
        """The socket shows this conversation from now on."""

    async def tell_others(self, chooser: "ShownConversation", place: ConversationPlace, version: str) -> None:
        """Tells the conversation anew to all others that show it: one of them chose this version of a question."""

    def find_telling(self, turn: LiveTurn) -> Telling:
        """Who tells of this turn."""


class ShownConversation:
    """On the runtime's loop.

    `is_public`: the page is the flow's shareable playground, which shows nothing of its inside and takes no overrides
    but of the fields that it asks people for.
    """

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        wired: WiredFlow,
        outbox: Outbox,
        *,
        is_public: bool,
        neighbours: Neighbours,
    ) -> None:
        self.place: ConversationPlace | None = None
        self.telling: Telling | FollowedRun | None = None
        self.was_told_of: LiveTurn | None = None
        """The turn that began while this was reading what is stored."""
        self.caller, self.wired = caller, wired
        """Whose it is, and of which flow, as they were when it was last asked; where a draft answers, that one."""
        self.held = HeldTurns()
        self._runtime, self._outbox = runtime, outbox
        self.is_public, self._neighbours = is_public, neighbours
        self._is_draft = False
        self._names: dict[LiveTurn, str] = {}
        self._waiting: set[LiveTurn] = set()
        self._is_reading = False
        self._opening = asyncio.Lock()
        self._is_behind = False
        """Whether it missed the end of a turn, and has to open the conversation anew."""
        self._tweaks: FieldValues = {}
        self._off: str | None = None
        self._take_flow(wired)

    # What `Telling` asks of a viewer

    @property
    def sees_inside(self) -> bool:
        return self.caller.sees_inside and not self.is_public

    @property
    def sight(self) -> Sight:
        return Sight(self.sees_inside, self.sees_inside or self.wired.shows_tools)

    @property
    def is_full(self) -> bool:
        return self._outbox.is_full

    def put(self, frame: str) -> None:
        self._outbox.put(frame)

    def name_turn(self, turn: LiveTurn) -> str | None:
        return self._names.get(turn)

    def hold(self, turn: LiveTurn) -> None:
        if self.place:
            self.held.hold(self.place, turn)

    def tell_waiting(self, turn: LiveTurn) -> None:
        self._waiting = {turn}
        self.tell("waiting", id=self._names.get(turn), text=turn.request.input_value)

    def refuse(self, turn: LiveTurn, error: FlowgroundError) -> None:
        name = self._names.pop(turn, None)
        if name is not None or turn in self._waiting:
            self._waiting.discard(turn)
            self.tell("refused", id=name, **write_refusal(error))

    def tell_rest(self) -> None:
        """Nothing waits to be sent any more."""
        if self._is_behind:
            self._is_behind = False
            self.tell("behind")
        if self.telling:
            self.telling.tell_rest(self)

    def note_end(self, turn: LiveTurn | None) -> None:
        """It was told how the turn ended, and holds nothing of it any more."""
        self.telling = None
        if turn is None:
            return
        self._names.pop(turn, None)
        self._waiting.discard(turn)
        if self.was_told_of is turn:
            self.was_told_of = None

    # What else it is told of

    def note_turn(self, turn: LiveTurn) -> None:
        """A turn begins in the conversation that is shown."""
        self.was_told_of = turn
        if not self._is_reading:
            self._join(turn)

    def leave(self) -> None:
        """The socket is closed, or shows something else; what runs goes on."""
        if self.telling:
            self.telling.leave(self)
            self.telling = None

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        """As they are now."""
        self.caller = caller
        self._take_flow(wired)
        self.tell_off()

    async def check(self) -> None:
        """Raises NotSignedIn or FlowNotFound where the flow is not theirs any more."""
        self.caller = await self._runtime.access.recheck(self.caller)
        self._take_flow(await self._runtime.access.open_flow(self.caller, self.wired.id))

    def _take_flow(self, saved: WiredFlow) -> None:
        """The flow as it is now; says so where it changed while it is shown."""
        before, was_draft = self.wired, self._is_draft
        self.wired = saved if self.is_public else self._runtime.access.find_draft(self.caller, saved)
        self._is_draft = self.wired is not saved
        if self.place is None or (before.version, was_draft) == (self.wired.version, self._is_draft):
            return
        text = _DRAFT if self._is_draft else _SAVED if was_draft else _CHANGED
        self.tell("flow", text="" if before.version == self.wired.version else text)

    def hold_tweaks(self, tweaks: FieldValues) -> None:
        """The page's overrides and options as they are now; at a shareable playground the options alone."""
        self._tweaks = hold_short(self._keep_taken(tweaks))

    def check_tweaks(self, tweaks: FieldValues) -> None:
        """Raises NotAllowed for overrides of what a shareable playground does not ask."""
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
        """What its page calls the message that it sent last."""
        self._names = {turn: name}

    def tell_off(self) -> None:
        """Says that the flow, or what it asks, was switched off or on, where that changed."""
        if self.place is None or self._is_reading:
            return
        if (off := self._find_off()) != self._off:
            self._off = off
            self.tell("off", text=off)

    # Telling

    async def open(self, session: str, after: ResumePoint | None) -> None:
        """Shows this conversation from now on; `after` is as far as its page was told of the run that goes on."""
        place = ConversationPlace(str(self.caller.owner), self.wired.id, session)
        async with self._opening:
            self.leave()
            self._neighbours.show(self, place)
            self.place = place
            await self._tell_conversation(place, after)

    async def tell_earlier(self, place: ConversationPlace, before: str) -> None:
        page = await history.read_page(self._runtime, place, before=before)
        messages = write_messages(page.messages, sight=self.sight, is_newest=False)
        told: Written = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        self.tell("messages", **told, ratings=page.ratings, explained=page.explained)

    async def tell_version(self, place: ConversationPlace, version: str) -> None:
        """Its page chose this version of a question: tells the conversation anew, here and wherever it is shown."""
        await self.tell_anew(place, through=version, is_own=True)
        await self._neighbours.tell_others(self, place, version)

    async def tell_note(self) -> None:
        """What the overrides make of the flow: whether messages are kept, and whether what it asks is off."""
        await self._runtime.switches.refresh()
        self.tell("note", note=self._find_note())
        self.tell_off()

    async def tell_anew(self, place: ConversationPlace, *, through: str | None, is_own: bool = False) -> None:
        """It is not as it was: this page (`is_own`) or another chose a version, back to which it is told, or another
        process began a run."""
        async with self._opening:
            if self.place == place and (is_own or not self._is_too_slow()):
                self.leave()
                await self._tell_conversation(place, None, through=through)

    def tell_behind(self) -> None:
        """It is not as it was: the page asks for it itself, at the pace of its person."""
        if not self._is_too_slow():
            self.tell("behind")

    def _is_too_slow(self) -> bool:
        """Whether this page reads too slowly to be told what others chose: once it reads on, it opens it anew."""
        self._is_behind = self._is_behind or self.is_full
        return self._is_behind

    async def _tell_conversation(
        self, place: ConversationPlace, after: ResumePoint | None, *, through: str | None = None
    ) -> None:
        self._is_reading, self._is_behind = True, False
        try:
            await self._runtime.switches.refresh()
            turn, page = await self._read(place, through=through)
            elsewhere = None
            if turn is None and page.messages and page.messages[-1].role == "user":
                elsewhere = await history.read_elsewhere(self._runtime, place)
                turn, page = await self._read(place, through=through)
        finally:
            self._is_reading = False
        if self.place != place:
            return  # its rights ended, or the page left
        page = self.held.add_to(page, place)
        started = turn.started if turn else None
        coming = set(started.answer_ids.values()) if started else set()
        running = [run for run in (started and started.run_id, elsewhere and elsewhere.run_id) if run]
        shown = [message for message in page.messages if message.id not in coming]
        messages = write_messages(shown, sight=self.sight, running=running)
        self._off = self._find_off()
        told: Written = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        told |= {"running": started.run_id if started else None, "off": self._off, "note": self._find_note()}
        self.tell("conversation", **told, ratings=page.ratings, explained=page.explained)
        if turn:
            self._join(turn, after=after.number if after and started and after.run == started.run_id else 0)
        elif elsewhere:
            self.telling = self._neighbours.elsewhere.follow(elsewhere, place.session_id, self)

    async def _read(self, place: ConversationPlace, *, through: str | None) -> tuple[LiveTurn | None, HistoryPage]:
        """The turn that is being taken, and the newest messages beside it."""
        while True:
            self.was_told_of = None
            before = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            page = await history.read_page(self._runtime, place, through=through)
            turn = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            if turn is before and self.was_told_of is None:
                return turn, page

    def _join(self, turn: LiveTurn, *, after: int = 0) -> None:
        if self.telling and self.telling.is_over:  # and its end was not told: this page reads too slowly
            self._is_behind = True
        self.leave()
        self.telling = self._neighbours.find_telling(turn)
        self.telling.join(self, after=after)

    def _find_off(self) -> str | None:
        off = self._runtime.switches.find_off(self.wired, RunRequest(tweaks=self._tweaks), self.caller)
        return off.message if off else None

    def _find_note(self) -> str | None:
        return None if keeps_messages(self.wired, self._tweaks) else _UNKEPT

    def tell(self, kind: str, /, **fields: Any) -> None:
        """Sends one frame."""
        self._outbox.put(encode(kind, **fields))
