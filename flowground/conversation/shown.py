"""One socket: the conversation that its page shows, and what the page asks of it."""

import asyncio
from typing import Any, Protocol, assert_never

from flowground import doors, own_runs
from flowground.asking import PersonChatting
from flowground.caller import Caller, InputType, RunRequest
from flowground.conversation import history
from flowground.conversation.elsewhere import FollowedRun, RunsElsewhere
from flowground.conversation.frames import (
    AgainFrame,
    ChooseFrame,
    ClientFrame,
    EarlierFrame,
    EditFrame,
    OpenFrame,
    RateFrame,
    ResumePoint,
    SayFrame,
    StepsFrame,
    StopFrame,
    TweaksFrame,
)
from flowground.conversation.held_overrides import hold_short
from flowground.conversation.history import ConversationPlace, HeldTurns, HistoryPage
from flowground.conversation.outbox import Outbox
from flowground.conversation.rating import rate
from flowground.conversation.telling import Telling
from flowground.conversation.written import Written, encode, write_messages, write_refusal, write_step
from flowground.errors import (
    AnswerUnfinished,
    FlowgroundError,
    FlowNotFound,
    InvalidRequest,
    NotAllowed,
    NotSignedIn,
    RunNotFound,
)
from flowground.overrides import FieldValues, drop_inputs, drop_secrets
from flowground.runtime import LiveTurn, Runtime
from flowground.store.runs import versions
from flowground.wiring import WiredFlow, keeps_messages

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

    `is_public`: the page is the flow's shareable playground, which shows nothing of its inside and takes no overrides.
    """

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        wired: WiredFlow,
        outbox: Outbox,
        *,
        came_from: str,
        is_public: bool,
        neighbours: Neighbours,
    ) -> None:
        self.place: ConversationPlace | None = None
        self.telling: Telling | FollowedRun | None = None
        self.was_told_of: LiveTurn | None = None
        """The turn that began while this was reading what is stored."""
        self._runtime, self._caller, self._wired, self._outbox = runtime, caller, wired, outbox
        self._came_from, self._is_public = came_from, is_public
        self._neighbours = neighbours
        self._names: dict[LiveTurn, str] = {}
        self._waiting: set[LiveTurn] = set()
        self._held = HeldTurns()
        self._is_reading = False
        self._opening = asyncio.Lock()
        self._is_behind = False
        """Whether it missed the end of a turn, and has to open the conversation anew."""
        self._held_tweaks: FieldValues = {}
        self._off: str | None = None

    # What `Telling` asks of a viewer

    @property
    def sees_inside(self) -> bool:
        return self._caller.sees_inside and not self._is_public

    @property
    def is_full(self) -> bool:
        return self._outbox.is_full

    def put(self, frame: str) -> None:
        self._outbox.put(frame)

    def name_turn(self, turn: LiveTurn) -> str | None:
        return self._names.get(turn)

    def hold(self, turn: LiveTurn) -> None:
        if self.place:
            self._held.hold(self.place, turn)

    def tell_waiting(self, turn: LiveTurn) -> None:
        self._waiting = {turn}
        self._tell("waiting", id=self._names.get(turn), text=turn.request.input_value)

    def refuse(self, turn: LiveTurn, error: FlowgroundError) -> None:
        name = self._names.pop(turn, None)
        if name is not None or turn in self._waiting:
            self._waiting.discard(turn)
            self._tell("refused", id=name, **write_refusal(error))

    def tell_rest(self) -> None:
        """Nothing waits to be sent any more."""
        if self._is_behind:
            self._is_behind = False
            self._tell("behind")
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

    # What the door asks

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

    @property
    def rights(self) -> tuple[Caller, WiredFlow]:
        """Whose it is, and of which flow, as they were when it was last asked."""
        return self._caller, self._wired

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        """As they are now."""
        self._caller, self._wired = caller, wired
        self.tell_off()

    async def check(self) -> None:
        """Raises NotSignedIn or FlowNotFound where the flow is not theirs any more."""
        self._caller = await self._runtime.access.recheck(self._caller)
        self._wired = await self._runtime.access.open_flow(self._caller, self._wired.id)

    async def answer(self, frame: ClientFrame) -> None:
        """Does what the page asks. Raises NotSignedIn and FlowNotFound; what else fails is told."""
        if not isinstance(frame, TweaksFrame | SayFrame):  # who says something is checked where it is begun
            await self.check()
        match frame:
            case OpenFrame():
                self._take_tweaks(frame.tweaks)
                await self._open(frame.session, frame.after)
            case TweaksFrame():
                self._take_tweaks(frame.tweaks)
                await self._runtime.switches.refresh()
                self._tell("note", note=self._find_note())
                self.tell_off()
            case SayFrame():
                await self._say_or_refuse(frame, frame.text)
            case AgainFrame() | EditFrame():
                await self._ask_anew(self._require(frame.session), frame)
            case StopFrame():
                await self._stop(frame.run)
            case _:
                await self._answer_about(self._require(frame.session), frame)

    async def _answer_about(
        self, place: ConversationPlace, frame: ChooseFrame | StepsFrame | EarlierFrame | RateFrame
    ) -> None:
        """What is asked of a message that is there."""
        match frame:
            case ChooseFrame():
                await self._choose(place, frame.message)
            case StepsFrame():
                await self._tell_steps(place, frame.message)
            case EarlierFrame():
                await self._tell_earlier(place, frame.before)
            case RateFrame():
                self._tell("rated", **await rate(self._runtime, self._caller, place, frame))
            case _:
                assert_never(frame)

    def tell_off(self) -> None:
        """Says that the flow, or what it asks, was switched off or on, where that changed."""
        if self.place is None or self._is_reading:
            return
        if (off := self._find_off()) != self._off:
            self._off = off
            self._tell("off", text=off)

    async def _open(self, session: str, after: ResumePoint | None) -> None:
        place = ConversationPlace(str(self._caller.owner), self._wired.id, session)
        async with self._opening:
            self.leave()
            self._neighbours.show(self, place)
            self.place = place
            await self._tell_conversation(place, after)

    async def _tell_earlier(self, place: ConversationPlace, before: str) -> None:
        page = await history.read_page(self._runtime, place, before=before)
        messages = write_messages(page.messages, sees_inside=self.sees_inside, is_newest=False)
        told: Written = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        self._tell("messages", **told, ratings=page.ratings, explained=page.explained)

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
            self._tell("behind")

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
        page = self._held.add_to(page, place)
        started = turn.started if turn else None
        coming = set(started.answer_ids.values()) if started else set()
        running = [run for run in (started and started.run_id, elsewhere and elsewhere.run_id) if run]
        shown = [message for message in page.messages if message.id not in coming]
        messages = write_messages(shown, sees_inside=self.sees_inside, running=running)
        self._off = self._find_off()
        told: Written = {"session": place.session_id, "messages": messages, "has_earlier": page.has_earlier}
        told |= {"running": started.run_id if started else None, "off": self._off, "note": self._find_note()}
        self._tell("conversation", **told, ratings=page.ratings, explained=page.explained)
        if turn:
            self._join(turn, after=after.number if after and started and after.run == started.run_id else 0)
        elif elsewhere:
            self.telling = self._neighbours.elsewhere.follow(elsewhere, place.session_id, self)

    async def _read(self, place: ConversationPlace, *, through: str | None) -> tuple[LiveTurn | None, HistoryPage]:
        """The turn that is being taken, and the newest messages beside it."""
        while True:
            self.was_told_of = None
            before = self._runtime.find_page_turn(self._caller, place.flow_id, place.session_id)
            page = await history.read_page(self._runtime, place, through=through)
            turn = self._runtime.find_page_turn(self._caller, place.flow_id, place.session_id)
            if turn is before and self.was_told_of is None:
                return turn, page

    def _join(self, turn: LiveTurn, *, after: int = 0) -> None:
        if self.telling and self.telling.is_over:  # and its end was not told: this page reads too slowly
            self._is_behind = True
        self.leave()
        self.telling = self._neighbours.find_telling(turn)
        self.telling.join(self, after=after)

    # Asking

    async def _say_or_refuse(
        self, frame: SayFrame | AgainFrame | EditFrame, text: str, *, version_of: str | None = None
    ) -> None:
        try:
            place = self._require(frame.session)
            if not text.strip():
                raise InvalidRequest("There is nothing to send.")
            self._take_tweaks(frame.tweaks)
            if isinstance(self.telling, FollowedRun) and not self.telling.is_over:
                raise AnswerUnfinished
            if await history.read_elsewhere(self._runtime, place):
                await self.check()
                self._tell("refused", id=frame.id, **write_refusal(AnswerUnfinished()))
                await self.tell_anew(place, through=None, is_own=True)
                return
            await self._say(place, frame, text, version_of)
        except (NotSignedIn, FlowNotFound):
            raise
        except FlowgroundError as error:
            self._tell("refused", id=frame.id, **write_refusal(error))

    async def _say(
        self, place: ConversationPlace, frame: SayFrame | AgainFrame | EditFrame, text: str, version_of: str | None
    ) -> None:
        if frame.tweaks:
            await self.check()  # what of them goes along depends on the flow as it is now
        kind: InputType = "chat" if self._wired.chat_input else "text"
        tweaks = drop_inputs(self._wired, frame.tweaks, input_type=kind)
        request = RunRequest(
            input_value=text,
            input_type=kind,
            session_id=place.session_id,
            stream=True,
            tweaks=tweaks,
            kept_overrides=drop_secrets(self._wired, tweaks),
            version_of=version_of,
        )
        person = PersonChatting(self._caller, place.session_id, self._came_from)
        answer = await doors.answer(self._runtime, person, address=place.flow_id, ask=request)
        self._caller = answer.caller
        turn = answer.start()
        self._names = {turn: frame.id}

    async def _ask_anew(self, place: ConversationPlace, frame: AgainFrame | EditFrame) -> None:
        """In the place of a question that is shown; one of which nothing is stored stays above it."""
        asked = await history.find_question(self._runtime, self._held, place, frame.message)
        text = frame.text if isinstance(frame, EditFrame) else asked.text
        await self._say_or_refuse(frame, text, version_of=asked.id)

    async def _choose(self, place: ConversationPlace, message_id: str) -> None:
        """Shows another version, here and wherever the conversation is shown."""
        turn = self._runtime.find_page_turn(self._caller, place.flow_id, place.session_id)
        if turn or await history.read_elsewhere(self._runtime, place):
            raise AnswerUnfinished
        await self._runtime.store.write(versions.choose, **place._asdict(), message_id=message_id)
        await self.tell_anew(place, through=message_id, is_own=True)
        await self._neighbours.tell_others(self, place, message_id)

    async def _tell_steps(self, place: ConversationPlace, message_id: str) -> None:
        """What went on inside, for who may see it; nothing for everybody else."""
        message = await history.find_message(self._runtime, self._held, place, message_id)
        trace = message.trace if message and self.sees_inside else ()
        steps = [write_step(step, self._wired.display_names.get(step.component_id)) for step in trace]
        self._tell("steps", message=message_id, steps=steps)

    async def _stop(self, run_id: str | None) -> None:
        if self.place is None:
            return
        turn = self._runtime.find_page_turn(self._caller, self.place.flow_id, self.place.session_id)
        if turn and (run_id is None or (turn.started and turn.started.run_id == run_id)):
            turn.stop()
        elif run_id is not None:
            try:
                await own_runs.stop_run(self._runtime, self._caller, run_id)
            except RunNotFound:
                return  # it has its end, or never was theirs
            except FlowgroundError as error:
                self._tell("refused", id=None, **write_refusal(error))

    def _require(self, session: str) -> ConversationPlace:
        if self.place is None or self.place.session_id != session:
            raise InvalidRequest("This page shows another conversation by now.", hint="Send it again.")
        return self.place

    def _take_tweaks(self, tweaks: FieldValues) -> None:
        if tweaks and self._is_public:
            raise NotAllowed("Overrides have no place at the shareable playground.")
        self._held_tweaks = hold_short(tweaks)

    def _find_off(self) -> str | None:
        off = self._runtime.switches.find_off(self._wired, RunRequest(tweaks=self._held_tweaks), self._caller)
        return off.message if off else None

    def _find_note(self) -> str | None:
        return None if keeps_messages(self._wired, self._held_tweaks) else _UNKEPT

    def _tell(self, kind: str, /, **fields: Any) -> None:
        self._outbox.put(encode(kind, **fields))
