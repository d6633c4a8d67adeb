"""One socket: the conversation that its page shows, and the page's overrides between two messages."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, RunRequest
from flowground.core.errors import NotAllowed
from flowground.flows.tweaks import FieldValues, keep_values
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.store.runs import conversations, feedback, progress
from flowground.store.runs.conversations import AskedQuestion
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.versions import ConversationChanged
from flowground.ui.conversation.broadcast import ConversationPlace, Outbox, Turn, TurnBroadcast, Viewer
from flowground.ui.conversation.frames import ResumePoint
from flowground.ui.conversation.messages import Fields, write_messages

_TWEAKS_CHARS = 10_000
"""Most characters of JSON. A person has up to 200 sockets, and one override of a text may have a million characters."""

_PAGE_MESSAGES = 50
_PAGE_CHARS = 500_000
"""Characters of one page of messages, beyond which no older messages are added to it."""

_CHANGED = "This flow was changed: the new version answers from here on."
_DRAFT = "Your draft answers from here on."
_SAVED = "The flow as it is saved answers from here on."
_UNKEPT = "This flow keeps no messages: a reload clears them."


def hold_short(tweaks: FieldValues) -> FieldValues:
    """The shortest overrides, up to `_TWEAKS_CHARS` together.

    What a socket needs them for is short: which model is asked, and whether messages are kept.
    """
    sizes = [(len(json.dumps((name, key, own[key]))), name, key) for name, own in tweaks.items() for key in own]
    held: dict[str, dict[str, Any]] = {}
    left = _TWEAKS_CHARS
    for size, name, key in sorted(sizes):
        left -= size
        if left < 0:
            break
        held.setdefault(name, {})[key] = tweaks[name][key]
    return held


class ShownConversation(Viewer):
    """The conversation that one socket shows, on the runtime's loop.

    A shareable playground shows nothing of the flow's inside, and takes overrides only of the fields that it asks
    people for. `places` and `broadcasts` are those of all sockets of the process.
    """

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        wired: WiredFlow,
        outbox: Outbox,
        *,
        is_public: bool,
        places: "dict[ConversationPlace, dict[ShownConversation, None]]",
        broadcasts: dict[Turn, TurnBroadcast],
    ) -> None:
        super().__init__(caller, wired, outbox, is_public=is_public)
        self.place: ConversationPlace | None = None
        self._runtime, self._places, self._broadcasts = runtime, places, broadcasts
        self._is_draft = False
        self._is_reading = False
        self._opening = asyncio.Lock()
        self._tweaks: FieldValues = {}
        self._off: str | None = None
        self._take_flow(wired)

    # Turns and rights

    def record_turn(self, turn: LiveTurn) -> None:
        """A turn begins in the shown conversation: subscribes to it."""
        self.announced_turn = turn
        if not self._is_reading:
            self._subscribe(turn)

    def _unsubscribe(self) -> None:
        """Follows no turn any more; the turn goes on."""
        if self.broadcast:
            self.broadcast.unsubscribe(self)
            self.broadcast = None

    def leave(self) -> None:
        """Shows no conversation any more."""
        self._unsubscribe()
        if self.place and (here := self._places.get(self.place)):
            here.pop(self, None)
            if not here:
                del self._places[self.place]
        self.place = None

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
            self.leave()
            self._places.setdefault(place, {})[self] = None
            self.place = place
            await self._send_conversation(place, after)

    async def send_earlier(self, place: ConversationPlace, before: str) -> None:
        messages, more = await self._read_page(place, before=before)
        written = write_messages(messages, visibility=self.visibility, is_newest=False)
        self.send("messages", session=place.session_id, messages=written, **more)

    async def send_note(self) -> None:
        """Sends what the overrides change: whether messages are kept, and whether the flow or its model is off."""
        await self._runtime.switches.refresh()
        self.send("note", note=self._find_note())
        self.send_off()

    async def send_anew(self, place: ConversationPlace, *, through: str | None, is_own: bool = False) -> None:
        """Sends the conversation again, back to the message `through`: a version was chosen, or another process began a
        run. `is_own`: this page chose it."""
        async with self._opening:
            if self.place == place and (is_own or not self.is_too_slow()):
                self._unsubscribe()
                await self._send_conversation(place, None, through=through)

    async def read_elsewhere(self, place: ConversationPlace) -> RunRecord | None:
        """The run of another process that answers in the conversation, if any."""
        run = await self._runtime.store.read(progress.find_running, **place._asdict())
        return None if run is None or run.holder == self._runtime.running.holder else run

    async def find_message(self, place: ConversationPlace, message_id: str) -> StoredMessage | None:
        """The held or stored message; None if there is no such message."""
        held = (message for message in self.held.list_messages(place) if message.id == message_id)
        find = conversations.find_message
        return next(held, None) or await self._runtime.store.read(find, **place._asdict(), message_id=message_id)

    async def find_question(self, place: ConversationPlace, message_id: str) -> AskedQuestion:
        """The question that this message is, or answers. Raises ConversationChanged if there is none."""
        asked = self.held.find_question(place, message_id) or await self._runtime.store.read(
            conversations.find_question, **place._asdict(), message_id=message_id.removesuffix(":none")
        )
        if asked is None:
            raise ConversationChanged
        return asked

    async def _send_conversation(
        self, place: ConversationPlace, after: ResumePoint | None, *, through: str | None = None
    ) -> None:
        self._is_reading, self.is_behind = True, False
        try:
            await self._runtime.switches.refresh()
            turn, messages, more = await self._read(place, through=through)
            elsewhere = None
            if turn is None and messages and messages[-1].role == "user":
                elsewhere = await self.read_elsewhere(place)
                turn, messages, more = await self._read(place, through=through)
        finally:
            self._is_reading = False
        if self.place != place:
            return  # the rights ended, or the page was closed
        if held := self.held.list_messages(place):
            messages = sorted((*messages, *held), key=lambda message: message.created_at)
        started = turn.started if turn else None
        coming = set(started.answer_ids.values()) if started else set()
        running = [run for run in (started and started.run_id, elsewhere and elsewhere.id) if run]
        shown = [message for message in messages if message.id not in coming]
        self._off = self._find_off()
        fields: Fields = {"messages": write_messages(shown, visibility=self.visibility, running=running)}
        fields |= {"running": running[0] if running else None, "off": self._off, "note": self._find_note()}
        self.send("conversation", session=place.session_id, **fields, **more)
        known = after.number if after and after.run in running else 0
        if turn:
            self._subscribe(turn, after=known)
        elif elsewhere:
            self._subscribe(self._runtime.elsewhere.open(elsewhere, self.wired), after=known)

    async def _read(
        self, place: ConversationPlace, *, through: str | None
    ) -> tuple[LiveTurn | None, Sequence[StoredMessage], Fields]:
        """The turn that runs here, if any, and the newest messages, read while no turn began or ended."""
        while True:
            self.announced_turn = None
            before = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            page = await self._read_page(place, through=through)
            turn = self._runtime.find_page_turn(self.caller, place.flow_id, place.session_id)
            if turn is before and self.announced_turn is None:
                return turn, *page

    async def _read_page(
        self, place: ConversationPlace, *, before: str | None = None, through: str | None = None
    ) -> tuple[Sequence[StoredMessage], Fields]:
        """The newest messages, or messages before the id `before`; with `through`, at least back to that id. And
        whether there are earlier ones, their ratings by id, and ids of those whose rating has a reason."""
        bounds: dict[str, Any] = {"most": _PAGE_MESSAGES, "most_chars": _PAGE_CHARS}
        read, here = self._runtime.store.read, place._asdict()
        messages, has_earlier = await read(conversations.list_page, **here, before=before, through=through, **bounds)
        answers = [message.id for message in messages if message.role == "assistant"]
        rated = await read(feedback.list_values, **here, message_ids=answers) if answers else {}
        ratings = {key: value for key, (value, _) in rated.items()}
        explained = [key for key, (_, is_explained) in rated.items() if is_explained]
        return messages, {"has_earlier": has_earlier, "ratings": ratings, "explained": explained}

    def _subscribe(self, turn: Turn, *, after: int = 0) -> None:
        if self.broadcast and self.broadcast.is_over:  # its end was not sent: this page reads too slowly
            self.is_behind = True
        self._unsubscribe()
        self.broadcast = self._broadcasts.get(turn) or TurnBroadcast(turn, self._broadcasts)
        self.broadcast.subscribe(self, after=after)

    def _find_off(self) -> str | None:
        off = self._runtime.switches.find_off(self.wired, RunRequest(tweaks=self._tweaks), self.caller)
        return off.message if off else None

    def _find_note(self) -> str | None:
        return None if keeps_messages(self.wired, self._tweaks) else _UNKEPT
