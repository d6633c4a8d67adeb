"""Serves the sockets of conversations: reads frames, does what they ask, and closes a socket whose rights ended."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, assert_never
from weakref import WeakValueDictionary

from starlette.types import Message

from flowground.access import feedback
from flowground.access.feedback import RatedPlace
from flowground.app import endpoint, own_runs
from flowground.app.authorize import PersonChatting
from flowground.app.live_turns import LiveTurn
from flowground.app.rights import Watched
from flowground.app.runs_elsewhere import RunElsewhere
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, InputType, RunRequest
from flowground.core.errors import (
    AnswerUnfinished,
    FlowgroundError,
    FlowNotFound,
    InvalidRequest,
    NotSignedIn,
    RunNotFound,
    StoreUnavailable,
)
from flowground.core.values import find_zone
from flowground.flows.tweaks import drop_inputs, drop_secrets
from flowground.flows.wiring import WiredFlow
from flowground.runs.scope import NothingWaits
from flowground.store.runs import progress, versions
from flowground.store.runs.requests import PassedDecision
from flowground.ui.conversation import shown as history
from flowground.ui.conversation.broadcast import Turn, TurnBroadcast
from flowground.ui.conversation.frames import (
    AgainFrame,
    ChooseFrame,
    ClientFrame,
    DecideFrame,
    EarlierFrame,
    EditFrame,
    OpenFrame,
    RateFrame,
    SayFrame,
    StepsFrame,
    StopFrame,
    TweaksFrame,
    UnreadableFrame,
    find_id,
    read_frame,
)
from flowground.ui.conversation.messages import Fields, encode, write_refusal, write_steps, write_tool_calls
from flowground.ui.conversation.shown import ConversationPlace, Outbox, ShownConversation, UnsentFrames

_FLUSH_SECONDS = 2.0
"""Seconds that a page has to read why its socket is closed."""
_LARGE_FRAME = 64_000
"""Characters from which a frame waits for its person's turn before it is parsed."""
_MOST_REREAD = 5
"""Sockets that get a changed conversation at once; further pages ask for it at their person's pace."""


class AskingPage:
    """What a page asks of its conversation. `came_from`: its address, for limits; `time_zone`: its browser's."""

    def __init__(self, runtime: Runtime, shown: ShownConversation, *, came_from: str, time_zone: str) -> None:
        self._runtime, self._shown, self._came_from = runtime, shown, came_from
        self._time_zone = time_zone if find_zone(time_zone) else ""

    async def answer(self, frame: ClientFrame) -> None:
        """Does what the page asks. Raises NotSignedIn, FlowNotFound, and other errors that the page is sent."""
        if not isinstance(frame, TweaksFrame | SayFrame):  # a message is checked when its run begins
            await self._shown.check()
        match frame:
            case OpenFrame():
                self._shown.hold_tweaks(frame.tweaks)
                await self._shown.open(frame.session, frame.after)
            case TweaksFrame():
                self._shown.hold_tweaks(frame.tweaks)
                await self._shown.send_note()
            case SayFrame():
                await self._check_and_ask(frame, frame.text, files=frame.files)
            case AgainFrame() | EditFrame():
                await self._ask_anew(self._require(frame.session), frame)
            case StopFrame():
                await self._stop(frame.run)
            case DecideFrame():
                await self._decide(frame)
            case _:
                await self._answer_about(self._require(frame.session), frame)

    async def _answer_about(
        self, place: ConversationPlace, frame: ChooseFrame | StepsFrame | EarlierFrame | RateFrame
    ) -> None:
        """Frames about a message that is shown."""
        match frame:
            case ChooseFrame():
                await self._choose(place, frame.message)
            case StepsFrame():
                await self._send_steps(place, frame.message)
            case EarlierFrame():
                await self._shown.send_earlier(place, frame.before)
            case RateFrame():
                await self._rate(place, frame)
            case _:
                assert_never(frame)

    async def _check_and_ask(
        self,
        frame: SayFrame | AgainFrame | EditFrame,
        text: str,
        *,
        files: Sequence[str] = (),
        version_of: str | None = None,
    ) -> None:
        place = self._require(frame.session)
        if not text.strip() and not files:
            raise InvalidRequest("There is nothing to send.")
        if frame.tweaks:
            await self._shown.check()  # which overrides apply depends on the flow as it is now
        self._shown.check_tweaks(frame.tweaks)
        self._shown.hold_tweaks(frame.tweaks)
        broadcast = self._shown.broadcast
        if broadcast and isinstance(broadcast.turn, RunElsewhere) and not broadcast.is_over:
            raise AnswerUnfinished
        if await history.read_elsewhere(self._runtime, place):
            await self._shown.check()
            self._shown.send("refused", id=frame.id, **write_refusal(AnswerUnfinished()))
            await self._shown.send_anew(place, through=None, is_own=True)
            return
        shown = self._shown
        kind: InputType = "chat" if shown.wired.chat_input_id else "text"
        tweaks = drop_inputs(shown.wired, frame.tweaks, input_type=kind)
        request = RunRequest(
            input_value=text,
            input_type=kind,
            session_id=place.session_id,
            stream=True,
            tweaks=tweaks,
            kept_overrides=drop_secrets(shown.wired, tweaks),
            version_of=version_of,
            files=tuple(files),
            time_zone=self._time_zone,
        )
        person = PersonChatting(shown.caller, place.session_id, self._came_from, tries_draft=not shown.is_public)
        answer = await endpoint.answer(self._runtime, person, address=place.flow_id, ask=request)
        shown.caller = answer.caller
        shown.take_name(answer.start(), frame.id)

    async def _ask_anew(self, place: ConversationPlace, frame: AgainFrame | EditFrame) -> None:
        """Asks a question again, or another one in its place; a question that is not stored stays above it."""
        asked = await history.find_question(self._runtime, self._shown.held, place, frame.message)
        text = frame.text if isinstance(frame, EditFrame) else asked.text
        await self._check_and_ask(frame, text, files=[file.id for file in asked.files], version_of=asked.id)

    async def _choose(self, place: ConversationPlace, message_id: str) -> None:
        """Shows another version of a question, on every page that shows the conversation."""
        turn = self._runtime.find_page_turn(self._shown.caller, place.flow_id, place.session_id)
        if turn or await history.read_elsewhere(self._runtime, place):
            raise AnswerUnfinished
        await self._runtime.store.write(versions.choose, **place._asdict(), message_id=message_id)
        await self._shown.send_version(place, message_id)

    async def _send_steps(self, place: ConversationPlace, message_id: str) -> None:
        """Sends the steps of an answer to who sees the inside; to others an empty list."""
        message = await history.find_message(self._runtime, self._shown.held, place, message_id)
        trace, actions = (message.trace, message.actions) if message and self._shown.sees_inside else ((), ())
        steps = write_steps(trace, self._shown.wired)
        self._shown.send("steps", message=message_id, steps=steps, tools=write_tool_calls(actions))

    async def _rate(self, place: ConversationPlace, frame: RateFrame) -> None:
        """Rates an answer; what is sent back has the error if that was refused."""
        fields: Fields = {"session": frame.session, "message": frame.message, "value": frame.value}
        try:
            where = RatedPlace(place.flow_id, place.session_id, frame.message)
            await feedback.rate(self._runtime.access, self._shown.caller, where, frame.value)
        except (NotSignedIn, FlowNotFound):
            raise
        except FlowgroundError as error:
            fields |= {"error": write_refusal(error)}
        self._shown.send("rated", **fields)

    async def _stop(self, run_id: str | None) -> None:
        place, caller = self._shown.place, self._shown.caller
        if place is None:
            return
        turn = self._runtime.find_page_turn(caller, place.flow_id, place.session_id)
        if turn and (run_id is None or (turn.started and turn.started.run_id == run_id)):
            turn.stop()
        elif run_id is not None:
            try:
                await own_runs.stop_run(self._runtime, caller, run_id)
            except RunNotFound:
                return  # the run ended, or is another person's
            except FlowgroundError as error:
                self._shown.send("refused", id=None, **write_refusal(error))

    async def _decide(self, frame: DecideFrame) -> None:
        decided = PassedDecision(frame.run, frame.call, frame.digest, frame.decision)
        try:
            await own_runs.decide(self._runtime, self._shown.caller, decided)
        except (RunNotFound, NothingWaits):
            return  # the call is over; its end is sent anyway
        except FlowgroundError as error:
            self._shown.send("refused", id=None, **write_refusal(error))

    def _require(self, session: str) -> ConversationPlace:
        place = self._shown.place
        if place is None or place.session_id != session:
            raise InvalidRequest("This page shows another conversation by now.", hint="Send it again.")
        return place


class TooManyOpen(FlowgroundError):
    """One person, one address or all guests together have as many conversations open as they may."""

    says = "Too many conversations are open."
    hint = "Close some tabs, then try again."


async def _wait_for_nothing() -> None:
    """For a guest, whose frames have waited for their turn already."""


@dataclass(frozen=True, slots=True)
class SocketEnds:
    """A socket that the edge accepted. `cut` ends it without a close frame."""

    receive: Callable[[], Awaitable[Message]]
    send: Callable[[Message], Awaitable[None]]
    close: Callable[[int, str], Awaitable[None]]
    cut: Callable[[], None]
    wait_to_read: Callable[[], Awaitable[None]] = _wait_for_nothing
    """Returns when the store may be read, or much parsed, for this person: at one pace over all their sockets."""


@dataclass(frozen=True, slots=True, eq=False)
class _OpenSocket(Watched):
    """A socket that is served."""

    endpoint: "ConversationEndpoint"
    socket: SocketEnds
    outbox: Outbox
    shown: ShownConversation
    page: AskingPage

    @property
    def rights(self) -> Hashable:
        caller = self.shown.caller
        return type(self), caller.kind, caller.id, caller.sign_in_id, self.shown.wired.id

    async def read_rights(self) -> tuple[Caller, WiredFlow]:
        return await self.endpoint.runtime.access.reopen(self.shown.caller, self.shown.wired.id)

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        self.shown.take_rights(caller, wired)

    def end_rights(self, error: FlowgroundError) -> None:
        """Says why, and closes the socket."""
        self.endpoint.forget(self.shown)
        task = asyncio.get_running_loop().create_task(_close(self, error))
        self.endpoint.closing.add(task)
        task.add_done_callback(self.endpoint.closing.discard)


class ConversationEndpoint:
    """All conversation sockets of this process, on its loop, and the conversation that each shows."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._send_seconds = runtime.settings.limits.request_seconds
        self._shown: dict[ConversationPlace, dict[ShownConversation, None]] = {}
        self._broadcasts: dict[Turn, TurnBroadcast] = {}
        self._unsent: WeakValueDictionary[str, UnsentFrames] = WeakValueDictionary()
        """By person, while one of their sockets is open."""
        self.closing: set[asyncio.Task[None]] = set()
        runtime.on_page_turn = self._record_turn
        runtime.rights.on_look = self._look_around
        runtime.switches.on_change = self._send_off

    async def serve(
        self,
        socket: SocketEnds,
        *,
        caller: Caller,
        flow: str,
        came_from: str,
        is_public: bool = False,
        time_zone: str = "",
    ) -> None:
        """Serves a socket until the page closes it or its rights end. `flow` is an id or name."""
        try:
            caller, wired = await self.runtime.access.reopen(caller, flow)
        except (NotSignedIn, FlowNotFound, StoreUnavailable) as error:
            await refuse_socket(socket, error)
            return
        shown: ShownConversation | None = None
        outbox = Outbox(
            socket.send,
            seconds=self._send_seconds,
            give_up=socket.cut,
            refill=lambda: shown.send_rest() if shown else None,
            unsent=self._unsent.setdefault(str(caller.owner), UnsentFrames()),
        )
        shown = ShownConversation(
            self.runtime,
            caller,
            wired,
            outbox,
            is_public=is_public,
            other_sockets=self,
        )
        page = AskingPage(self.runtime, shown, came_from=came_from, time_zone=time_zone)
        opened = _OpenSocket(self, socket, outbox, shown, page)
        self.runtime.rights.watch(opened)
        writing = asyncio.create_task(outbox.run())
        try:
            await self._read_frames(opened)
        finally:
            self.forget(shown)
            writing.cancel()
            del self.runtime.rights.watched[opened]

    async def _read_frames(self, opened: _OpenSocket) -> None:
        while await opened.outbox.wait_for_room():
            match await self._read_frame(opened):
                case "closed":
                    return
                case "refused":
                    await opened.socket.wait_to_read()

    async def _read_frame(self, opened: _OpenSocket) -> Literal["answered", "refused", "closed"]:
        """Reads and handles one frame. Keeps no reference to the frame, which may be long."""
        message = await opened.socket.receive()
        if message["type"] != "websocket.receive":
            return "closed"
        text = message.get("text") or ""
        try:
            if len(text) > _LARGE_FRAME:
                await opened.socket.wait_to_read()
            frame = read_frame(text)
            if not isinstance(frame, SayFrame):  # messages have limits of their own
                await opened.socket.wait_to_read()
            await opened.page.answer(frame)
        except (NotSignedIn, FlowNotFound, UnreadableFrame) as error:
            await _close(opened, error)
            return "closed"
        except FlowgroundError as error:
            opened.outbox.put(encode("refused", id=find_id(text), **write_refusal(error)))
            return "refused"
        return "answered"

    def _send_off(self) -> None:
        for opened in self.runtime.rights.watched:
            if isinstance(opened, _OpenSocket):
                opened.shown.send_off()

    # Who shows what

    def show(self, shown: ShownConversation, place: ConversationPlace) -> None:
        """The socket shows this conversation from now on."""
        self.forget(shown)
        self._shown.setdefault(place, {})[shown] = None

    def forget(self, shown: ShownConversation) -> None:
        shown.unsubscribe()
        if shown.place and (here := self._shown.get(shown.place)):
            here.pop(shown, None)
            if not here:
                del self._shown[shown.place]
        shown.place = None

    async def send_others(self, chooser: ShownConversation, place: ConversationPlace, version: str) -> None:
        """Sends the conversation again to all other sockets that show it."""
        others = [shown for shown in self._shown.get(place, ()) if shown is not chooser]
        await _send_anew(others, place, through=version)

    async def _look_around(self) -> None:
        """Reads what is off, and sends conversations again in which another process began a run meanwhile."""
        await self.runtime.switches.refresh()
        if not self._shown:
            return
        holder = self.runtime.running.holder
        found = await self.runtime.store.read(progress.list_places_elsewhere, holder=holder)
        for place in {ConversationPlace(*one) for one in found}:
            unaware = [shown for shown in self._shown.get(place, ()) if shown.broadcast is None]
            await _send_anew(unaware, place)

    def _record_turn(self, turn: LiveTurn) -> None:
        place = ConversationPlace(str(turn.caller.owner), turn.wired.id, turn.request.session_id or "")
        for shown in [*self._shown.get(place, ())]:
            shown.record_turn(turn)

    def find_broadcast(self, turn: Turn) -> TurnBroadcast:
        if turn not in self._broadcasts:
            self._broadcasts[turn] = TurnBroadcast(turn, forget=self._forget_broadcast)
        return self._broadcasts[turn]

    def _forget_broadcast(self, broadcast: TurnBroadcast) -> None:
        if self._broadcasts.get(broadcast.turn) is broadcast:
            del self._broadcasts[broadcast.turn]


async def _send_anew(
    pages: Sequence[ShownConversation], place: ConversationPlace, *, through: str | None = None
) -> None:
    for shown in pages[:_MOST_REREAD]:
        with suppress(StoreUnavailable):  # the page is up to date when it opens the conversation next
            await shown.send_anew(place, through=through)
    for shown in pages[_MOST_REREAD:]:
        shown.send_behind()


async def refuse_socket(socket: SocketEnds, error: FlowgroundError) -> None:
    """Sends why the socket is closed, and closes it."""
    code, reason = _explain(error)
    await socket.send({"type": "websocket.send", "text": encode("closed", reason=reason, **write_refusal(error))})
    await socket.close(code, reason)


async def _close(opened: _OpenSocket, error: FlowgroundError) -> None:
    code, reason = _explain(error)
    opened.outbox.put(encode("closed", reason=reason, **write_refusal(error)))
    with suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_SECONDS):
            await opened.outbox.flush()
    await opened.socket.close(code, reason)


def _explain(error: FlowgroundError) -> tuple[int, str]:
    """Code and reason of the close frame."""
    match error:
        case NotSignedIn():
            return 4401, "signed_out"
        case FlowNotFound():
            return 4404, "not_found"
        case StoreUnavailable():
            return 1013, "outage"
        case TooManyOpen():
            return 1013, "too_many"
        case _:
            return 1007, "unreadable"
