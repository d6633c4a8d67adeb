"""Serves the sockets of conversations: reads what pages ask, and says when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakValueDictionary

from starlette.types import Message

from flowground.caller import Caller
from flowground.conversation.asked import AskingPage
from flowground.conversation.elsewhere import RunsElsewhere
from flowground.conversation.frames import (
    SayFrame,
    UnreadableFrame,
    find_id,
    read_frame,
)
from flowground.conversation.history import ConversationPlace
from flowground.conversation.outbox import Outbox, UnsentFrames
from flowground.conversation.rights import RightsKey, RightsWatch
from flowground.conversation.shown import ShownConversation
from flowground.conversation.telling import Telling
from flowground.conversation.written import encode, write_refusal
from flowground.errors import FlowgroundError, FlowNotFound, NotSignedIn, StoreUnavailable
from flowground.runtime import LiveTurn, Runtime
from flowground.store.runs import progress
from flowground.wiring import WiredFlow

_FLUSH_SECONDS = 2.0
"""Seconds that a page has to take in why its socket is closed."""
_TOLD_ANEW = 5
"""Sockets for which the store is read because of what another one did; further ones ask at their person's pace."""


class TooManyOpen(FlowgroundError):
    """As many conversations are open as one person, one address or all guests may have."""

    def __init__(self) -> None:
        super().__init__("Too many conversations are open.", hint="Close some tabs, then try again.")


async def _go_on() -> None:
    """The turn of one whose frames have waited for it already."""


@dataclass(frozen=True, slots=True)
class SocketEnds:
    """A socket that was accepted, as the edge hands it over. `cut` ends it without a word."""

    receive: Callable[[], Awaitable[Message]]
    send: Callable[[Message], Awaitable[None]]
    close: Callable[[int, str], Awaitable[None]]
    cut: Callable[[], None]
    wait_to_read: Callable[[], Awaitable[None]] = _go_on
    """Returns when its person may have something read from the store, at one pace over all their sockets."""


@dataclass(frozen=True, slots=True, eq=False)
class _OpenSocket:
    socket: SocketEnds
    outbox: Outbox
    shown: ShownConversation
    page: AskingPage


class ConversationDoor:
    """All sockets of this process, on its loop, by who opened them and by the conversation that each shows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._patience = runtime.settings.limits.request_seconds
        self._open: dict[RightsKey, dict[_OpenSocket, None]] = {}
        self._shown: dict[ConversationPlace, dict[ShownConversation, None]] = {}
        self._tellings: dict[LiveTurn, Telling] = {}
        self.elsewhere = RunsElsewhere(runtime)
        self._unsent: WeakValueDictionary[str, UnsentFrames] = WeakValueDictionary()
        """By person, as long as one of their sockets is open."""
        self._closing: set[asyncio.Task[None]] = set()
        self._rights = RightsWatch(
            runtime,
            list_open=self._list_open,
            take=self._take_rights,
            end=self._end_rights,
            then=self._look_elsewhere,
        )
        self._loop = asyncio.get_running_loop()
        runtime.on_page_turn = self._note_turn
        runtime.store.on_rights_change = self._look_soon
        runtime.switches.on_change = self._tell_off

    def close(self) -> None:
        """The process ends, and with it what it does by itself; sockets are closed by the server."""
        self._rights.stop()
        self.elsewhere.stop()

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
        """Until the page leaves, or is told why it has to. `flow` is an id or name, `time_zone` the browser's."""
        try:
            caller = await self._runtime.access.recheck(caller)
            wired = await self._runtime.access.open_flow(caller, flow)
        except (NotSignedIn, FlowNotFound, StoreUnavailable) as error:
            await refuse_socket(socket, error)
            return
        shown: ShownConversation | None = None
        outbox = Outbox(
            socket.send,
            patience=self._patience,
            give_up=socket.cut,
            refill=lambda: shown.tell_rest() if shown else None,
            unsent=self._unsent.setdefault(str(caller.owner), UnsentFrames()),
        )
        shown = ShownConversation(
            self._runtime,
            caller,
            wired,
            outbox,
            is_public=is_public,
            neighbours=self,
        )
        page = AskingPage(self._runtime, shown, came_from=came_from, time_zone=time_zone)
        key, opened = (str(caller.owner), caller.sign_in_id, wired.id), _OpenSocket(socket, outbox, shown, page)
        self._open.setdefault(key, {})[opened] = None
        self._rights.start()
        writing = asyncio.create_task(outbox.run())
        try:
            await self._read_frames(opened)
        finally:
            self._forget(shown)
            writing.cancel()
            self._open[key].pop(opened)
            if not self._open[key]:
                del self._open[key]
            if not self._open:
                self._rights.stop()

    async def _read_frames(self, opened: _OpenSocket) -> None:
        while await opened.outbox.wait_for_room():
            if not await self._read_frame(opened):
                return

    async def _read_frame(self, opened: _OpenSocket) -> bool:
        """Waits for one and does what it asks; False at the end. Holds nothing of it afterwards, for it may be long."""
        message = await opened.socket.receive()
        if message["type"] != "websocket.receive":
            return False
        text = message.get("text") or ""
        try:
            frame = read_frame(text)
            if not isinstance(frame, SayFrame):  # what is said has its limits
                await opened.socket.wait_to_read()
            await opened.page.answer(frame)
        except (NotSignedIn, FlowNotFound, UnreadableFrame) as error:
            await _close(opened, error)
            return False
        except FlowgroundError as error:
            opened.outbox.put(encode("refused", id=find_id(text), **write_refusal(error)))
        return True

    # Rights

    def _look_soon(self) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._rights.look_soon)

    def _list_open(self) -> Mapping[RightsKey, tuple[Caller, WiredFlow]]:
        shown = {key: next(iter(here)).shown for key, here in self._open.items()}
        return {key: (one.caller, one.wired) for key, one in shown.items()}

    def _take_rights(self, key: RightsKey, caller: Caller, wired: WiredFlow) -> None:
        for opened in [*self._open.get(key, ())]:
            opened.shown.take_rights(caller, wired)

    def _end_rights(self, key: RightsKey, error: FlowgroundError) -> None:
        for opened in [*self._open.get(key, ())]:
            self._forget(opened.shown)
            task = asyncio.get_running_loop().create_task(_close(opened, error))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _tell_off(self) -> None:
        for here in self._open.values():
            for opened in here:
                opened.shown.tell_off()

    # Who shows what

    def show(self, shown: ShownConversation, place: ConversationPlace) -> None:
        """The socket shows this conversation from now on."""
        self._forget(shown)
        self._shown.setdefault(place, {})[shown] = None

    def _forget(self, shown: ShownConversation) -> None:
        shown.leave()
        if shown.place and (here := self._shown.get(shown.place)):
            here.pop(shown, None)
            if not here:
                del self._shown[shown.place]
        shown.place = None

    async def tell_others(self, chooser: ShownConversation, place: ConversationPlace, version: str) -> None:
        """As `Neighbours` says."""
        others = [shown for shown in self._shown.get(place, ()) if shown is not chooser]
        await _tell_anew(others, place, through=version)

    async def _look_elsewhere(self) -> None:
        """Conversations that are shown here, and in which another process began a run meanwhile, are told anew."""
        if not self._shown:
            return
        holder = self._runtime.running.holder
        found = await self._runtime.store.read(progress.list_places_elsewhere, holder=holder)
        for place in {ConversationPlace(*one) for one in found}:
            unaware = [shown for shown in self._shown.get(place, ()) if shown.telling is None]
            await _tell_anew(unaware, place)

    def _note_turn(self, turn: LiveTurn) -> None:
        place = ConversationPlace(str(turn.caller.owner), turn.wired.id, turn.request.session_id or "")
        for shown in [*self._shown.get(place, ())]:
            shown.note_turn(turn)

    def find_telling(self, turn: LiveTurn) -> Telling:
        if turn not in self._tellings:
            self._tellings[turn] = Telling(turn, forget=self._forget_telling)
        return self._tellings[turn]

    def _forget_telling(self, telling: Telling) -> None:
        if self._tellings.get(telling.turn) is telling:
            del self._tellings[telling.turn]


async def _tell_anew(
    pages: Sequence[ShownConversation], place: ConversationPlace, *, through: str | None = None
) -> None:
    for shown in pages[:_TOLD_ANEW]:
        with suppress(StoreUnavailable):  # they see it when they open the conversation next
            await shown.tell_anew(place, through=through)
    for shown in pages[_TOLD_ANEW:]:
        shown.tell_behind()


async def refuse_socket(socket: SocketEnds, error: FlowgroundError) -> None:
    """Says why it is closed at once."""
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
    """Code and reason of the close."""
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
