"""Serves the sockets of conversations: reads frames, does what they ask, and closes a socket whose rights ended."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, assert_never
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
from flowground.ui.conversation.broadcast import ConversationPlace, Outbox, Turn, TurnBroadcast, UnsentFrames
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
from flowground.ui.conversation.shown import ShownConversation

_FLUSH_SECONDS = 2.0
"""Seconds that a page has to read why its socket is closed."""
_LARGE_FRAME = 64_000
"""Characters from which a frame waits for its person's turn before it is parsed."""
_MOST_REREAD = 5
"""Sockets that get a changed conversation at once; further pages ask for it at their person's pace."""


class TooManyOpen(FlowgroundError):
    """One person, one address or all guests together have as many conversations open as they may."""

    says = "Too many conversations are open."
    hint = "Close some tabs, then try again."


@dataclass(frozen=True, slots=True)
class SocketEnds:
    """A socket that the edge accepted. `cut` ends it without a close frame."""

    receive: Callable[[], Awaitable[Message]]
    send: Callable[[Message], Awaitable[None]]
    close: Callable[[int, str], Awaitable[None]]
    cut: Callable[[], None]
    wait_to_read: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
    """Returns when the store may be read, or much parsed, for this person: at one pace over all their sockets. A
    guest's frames have waited for their turn already."""


class _OpenSocket(ShownConversation, Watched):
    """A socket that is served, and what its page asks. `came_from`: its address, for limits; `time_zone`: its
    browser's."""

    def __init__(
        self,
        endpoint: "ConversationEndpoint",
        socket: SocketEnds,
        caller: Caller,
        wired: WiredFlow,
        *,
        is_public: bool,
        came_from: str,
        time_zone: str,
    ) -> None:
        self._endpoint, self._socket, self._came_from = endpoint, socket, came_from
        self._time_zone = time_zone if find_zone(time_zone) else ""
        outbox = Outbox(
            socket.send,
            seconds=endpoint.runtime.settings.limits.request_seconds,
            give_up=socket.cut,
            refill=self.send_rest,
            unsent=endpoint.unsent.setdefault(str(caller.owner), UnsentFrames()),
        )
        shared: dict[str, Any] = {"places": endpoint.places, "broadcasts": endpoint.broadcasts}
        super().__init__(endpoint.runtime, caller, wired, outbox, is_public=is_public, **shared)

    @property
    def rights(self) -> Hashable:
        return type(self), self.caller.kind, self.caller.id, self.caller.sign_in_id, self.wired.id

    async def read_rights(self) -> tuple[Caller, WiredFlow]:
        return await self._runtime.access.reopen(self.caller, self.wired.id)

    def end_rights(self, error: FlowgroundError) -> None:
        """Says why, and closes the socket."""
        self.leave()
        task = asyncio.get_running_loop().create_task(self._close(error))
        self._endpoint.closing.add(task)
        task.add_done_callback(self._endpoint.closing.discard)

    async def _close(self, error: FlowgroundError) -> None:
        code, reason = _explain(error)
        self.send("closed", reason=reason, **write_refusal(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.outbox.flush()
        await self._socket.close(code, reason)

    async def read_frames(self) -> None:
        """Reads and answers frames until the page closes the socket, or sends what cannot be read."""
        while await self.outbox.wait_for_room():
            match await self._read_frame():
                case "closed":
                    return
                case "refused":
                    await self._socket.wait_to_read()

    async def _read_frame(self) -> Literal["answered", "refused", "closed"]:
        """Reads and handles one frame. Keeps no reference to the frame, which may be long."""
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            return "closed"
        text = message.get("text") or ""
        try:
            if len(text) > _LARGE_FRAME:
                await self._socket.wait_to_read()
            frame = read_frame(text)
            if not isinstance(frame, SayFrame):  # messages have limits of their own
                await self._socket.wait_to_read()
            await self._answer(frame)
        except (NotSignedIn, FlowNotFound, UnreadableFrame) as error:
            await self._close(error)
            return "closed"
        except FlowgroundError as error:
            self.send("refused", id=find_id(text), **write_refusal(error))
            return "refused"
        return "answered"

    async def _answer(self, frame: ClientFrame) -> None:
        """Does what the page asks. Raises NotSignedIn, FlowNotFound, and other errors that the page is sent."""
        if not isinstance(frame, TweaksFrame | SayFrame):  # a message is checked when its run begins
            await self.check()
        match frame:
            case OpenFrame():
                self.hold_tweaks(frame.tweaks)
                await self.open(frame.session, frame.after)
            case TweaksFrame():
                self.hold_tweaks(frame.tweaks)
                await self.send_note()
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
                await self.send_earlier(place, frame.before)
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
            await self.check()  # which overrides apply depends on the flow as it is now
        self.check_tweaks(frame.tweaks)
        self.hold_tweaks(frame.tweaks)
        broadcast = self.broadcast
        if broadcast and isinstance(broadcast.turn, RunElsewhere) and not broadcast.is_over:
            raise AnswerUnfinished
        if await self.read_elsewhere(place):
            await self.check()
            self.send("refused", id=frame.id, **write_refusal(AnswerUnfinished()))
            await self.send_anew(place, through=None, is_own=True)
            return
        kind: InputType = "chat" if self.wired.chat_input_id else "text"
        tweaks = drop_inputs(self.wired, frame.tweaks, input_type=kind)
        request = RunRequest(
            input_value=text,
            input_type=kind,
            session_id=place.session_id,
            stream=True,
            tweaks=tweaks,
            kept_overrides=drop_secrets(self.wired, tweaks),
            version_of=version_of,
            files=tuple(files),
            time_zone=self._time_zone,
        )
        person = PersonChatting(self.caller, place.session_id, self._came_from, tries_draft=not self.is_public)
        answer = await endpoint.answer(self._runtime, person, address=place.flow_id, ask=request)
        self.caller, self.names = answer.caller, {answer.start(): frame.id}

    async def _ask_anew(self, place: ConversationPlace, frame: AgainFrame | EditFrame) -> None:
        """Asks a question again, or another one in its place; a question that is not stored stays above it."""
        asked = await self.find_question(place, frame.message)
        text = frame.text if isinstance(frame, EditFrame) else asked.text
        await self._check_and_ask(frame, text, files=[file.id for file in asked.files], version_of=asked.id)

    async def _choose(self, place: ConversationPlace, message_id: str) -> None:
        """Shows another version of a question, on every page that shows the conversation."""
        turn = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
        if turn or await self.read_elsewhere(place):
            raise AnswerUnfinished
        await self._runtime.store.write(versions.choose, **place._asdict(), message_id=message_id)
        await self.send_anew(place, through=message_id, is_own=True)
        await self._endpoint.send_anew(place, without=self, through=message_id)

    async def _send_steps(self, place: ConversationPlace, message_id: str) -> None:
        """Sends the steps of an answer to who sees the inside; to others an empty list."""
        message = await self.find_message(place, message_id) if self.visibility.inside else None
        trace, actions = (message.trace, message.actions) if message else ((), ())
        steps = write_steps(trace, self.wired)
        self.send("steps", message=message_id, steps=steps, tools=write_tool_calls(actions))

    async def _rate(self, place: ConversationPlace, frame: RateFrame) -> None:
        """Rates an answer; what is sent back has the error if that was refused."""
        fields: Fields = {"session": frame.session, "message": frame.message, "value": frame.value}
        try:
            where = RatedPlace(place.flow_id, place.session_id, frame.message)
            await feedback.rate(self._runtime.access, self.caller, where, frame.value)
        except (NotSignedIn, FlowNotFound):
            raise
        except FlowgroundError as error:
            fields |= {"error": write_refusal(error)}
        self.send("rated", **fields)

    async def _stop(self, run_id: str | None) -> None:
        place, caller = self.place, self.caller
        if place is None:
            return
        turn = self._runtime.find_page_turn(caller, place.flow_id, place.session_id)
        if turn and (run_id is None or (turn.started and turn.started.run_id == run_id)):
            turn.stop()
        elif run_id is not None:
            with suppress(RunNotFound):  # the run ended, or is another person's
                await own_runs.stop_run(self._runtime, caller, run_id)

    async def _decide(self, frame: DecideFrame) -> None:
        with suppress(RunNotFound, NothingWaits):  # the call is over; its end is sent anyway
            await own_runs.decide(
                self._runtime, self.caller, PassedDecision(frame.run, frame.call, frame.digest, frame.decision)
            )

    def _require(self, session: str) -> ConversationPlace:
        place = self.place
        if place is None or place.session_id != session:
            raise InvalidRequest("This page shows another conversation by now.", hint="Send it again.")
        return place


class ConversationEndpoint:
    """All conversation sockets of this process, on its loop, and the conversation that each shows."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.places: dict[ConversationPlace, dict[ShownConversation, None]] = {}
        self.broadcasts: dict[Turn, TurnBroadcast] = {}
        self.unsent: WeakValueDictionary[str, UnsentFrames] = WeakValueDictionary()
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
        about: dict[str, Any] = {"is_public": is_public, "came_from": came_from, "time_zone": time_zone}
        opened = _OpenSocket(self, socket, caller, wired, **about)
        self.runtime.rights.watch(opened)
        writing = asyncio.create_task(opened.outbox.run())
        try:
            await opened.read_frames()
        finally:
            opened.leave()
            writing.cancel()
            del self.runtime.rights.watched[opened]

    def _send_off(self) -> None:
        for opened in self.runtime.rights.watched:
            if isinstance(opened, _OpenSocket):
                opened.send_off()

    async def send_anew(
        self, place: ConversationPlace, *, without: ShownConversation | None = None, through: str | None = None
    ) -> None:
        """Sends the conversation again to the sockets that show it, but for one, and those that follow a turn of it
        unless a version was chosen: `through` is it."""
        pages = [
            shown
            for shown in self.places.get(place, ())
            if shown is not without and (through is not None or shown.broadcast is None)
        ]
        for shown in pages[:_MOST_REREAD]:
            with suppress(StoreUnavailable):  # the page is up to date when it opens the conversation next
                await shown.send_anew(place, through=through)
        for shown in pages[_MOST_REREAD:]:
            shown.send_behind()

    async def _look_around(self) -> None:
        """Reads what is off, and sends conversations again in which another process began a run meanwhile."""
        await self.runtime.switches.refresh()
        if not self.places:
            return
        holder = self.runtime.running.holder
        found = await self.runtime.store.read(progress.list_places_elsewhere, holder=holder)
        for place in {ConversationPlace(*one) for one in found}:
            await self.send_anew(place)

    def _record_turn(self, turn: LiveTurn) -> None:
        for shown in [*self.places.get(ConversationPlace.of(turn), ())]:
            shown.record_turn(turn)


async def refuse_socket(socket: SocketEnds, error: FlowgroundError) -> None:
    """Sends why the socket is closed, and closes it."""
    code, reason = _explain(error)
    await socket.send({"type": "websocket.send", "text": encode("closed", reason=reason, **write_refusal(error))})
    await socket.close(code, reason)


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
