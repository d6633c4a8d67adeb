"""The sockets of conversations: how many there may be, how large and how quick their messages.

As pages are, of which each has one: guests share their places, of which one goes for a newcomer as pages' do; a person
who is signed in has many.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from flowground.caller import Caller, Owner
from flowground.conversation import ConversationDoor
from flowground.conversation.door import SocketEnds, TooManyOpen, refuse_socket
from flowground.errors import FlowgroundError, NotSignedIn, StoreUnavailable
from flowground.settings import Limits
from flowground.shims.page_frames import cut, pace_bytes
from flowground.shims.page_messages import SMALLEST
from flowground.web.address import name_address
from flowground.web.open_pages.pace import GuestQueue, Pace, PeoplesPaces
from flowground.web.open_pages.seats import GuestSeats
from flowground.web.open_pages.sockets import (
    FAREWELL,
    LARGEST_SIGNED_IN,
    MOST_A_PERSON,
    GuestPage,
    OpenPage,
    count_guests,
    count_message_bytes,
)

PATH = "/chat"
_A_SECOND = (1 / 20, 60)
"""Seconds between two messages of somebody who is signed in, and how many do not wait after a quiet time."""
_READING = (1 / 10, 120)
"""Seconds between two frames of one person, on all their sockets, for which the store is read, and how many do not
wait: ten tabs come back at once after a restart, each with two."""
_STOPPING = (1 / 10, 60)
_BYTES = (1 / 16_000_000, 24_000_000)
"""Of one person's sockets together, before anything is made of them: 16 MB a second cost a tenth of one core."""
_MOST_REFUSED = 128
"""Refused sockets that stand until their client has heard why; beyond it they are cut as soon as it is said."""
_ALL_GUESTS = (1 / 80, 160)
_AN_ADDRESS = (1 / 20, 60)
"""A message costs 3 ms: all guests together get a quarter of one core at most."""
_LONGEST_ZONE = 100
_TOO_MANY = "too many conversations are open"


class _ChatMessages(OpenPage):
    """Frames of text, of a bounded size."""

    def _find_mistake(self, message: Message) -> tuple[int, str] | None:
        text = message.get("text")
        if text is None:
            return 1003, "only text is understood"
        if len(text) > self._largest:  # in bytes the connection has counted it
            return 1009, "the message is too large"
        self.is_in_use = True
        return None


class MemberChat(_ChatMessages):
    """Of somebody who is signed in."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, largest: int) -> None:
        super().__init__(scope, receive, send, largest=largest)
        self._pace = Pace(*_A_SECOND)

    async def receive(self) -> Message:
        message = await super().receive()
        await self._pace.wait_for_turn()
        return message


class GuestChat(_ChatMessages, GuestPage):
    """Of a visitor: its messages wait for their turn."""


class ChatSockets:
    """All of this process. `descriptors` is how many files it may have open."""

    def __init__(self, door: ConversationDoor, limits: Limits, *, descriptors: int) -> None:
        self._door = door
        most, most_an_address = count_guests(limits, descriptors)
        self._message_bytes = count_message_bytes(limits)
        self._silent = limits.request_seconds
        self._seats = GuestSeats[GuestPage](most=most, most_an_address=most_an_address, silent=self._silent)
        self._queue = GuestQueue(every=_ALL_GUESTS, an_address=_AN_ADDRESS)
        self._people = Counter[Owner]()
        self._reading, self._stopping = PeoplesPaces(*_READING), PeoplesPaces(*_STOPPING)
        self._bytes = PeoplesPaces(*_BYTES)
        self._refused = 0

    def end(self) -> None:
        """Cancels what would be done later by itself."""
        self._door.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, caller: Caller | None) -> None:
        """One socket, until it is closed."""
        await receive()
        await send({"type": "websocket.accept"})
        address = name_address(scope)
        if caller is not None and caller.kind == "visitor":
            await self._serve_guest(scope, receive, send, caller=caller, address=address)
            return
        if caller is None:
            await self._refuse(NotSignedIn("Sign in first."), scope, receive, send)
            return
        if self._people[caller.owner] >= MOST_A_PERSON:
            await self._refuse(TooManyOpen(), scope, receive, send)
            return
        largest = self._message_bytes
        if caller.opens_every_flow:  # who may override every field
            largest = max(largest, LARGEST_SIGNED_IN)
        pace_bytes(scope, partial(self._bytes.take_later, str(caller.owner)))
        chat = MemberChat(scope, receive, send, largest=largest)
        self._people[caller.owner] += 1
        try:
            await self._hand_over(scope, chat, caller=caller, address=address)
        finally:
            self._people[caller.owner] -= 1
            if not self._people[caller.owner]:
                del self._people[caller.owner]

    async def show_outage(self, error: StoreUnavailable, scope: Scope, receive: Receive, send: Send) -> None:
        """Says why nobody is served: who asks could not be found out."""
        await receive()
        await send({"type": "websocket.accept"})
        await self._refuse(error, scope, receive, send)

    async def _refuse(self, error: FlowgroundError, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing that such a socket sends is read; it is cut a second later, or at once where many stand."""
        chat = _ChatMessages(scope, receive, send, largest=SMALLEST)
        await refuse_socket(_make_ends(scope, chat), error)
        if self._refused >= _MOST_REFUSED:
            cut(scope)
            return
        self._refused += 1
        asyncio.get_running_loop().call_later(FAREWELL, self._note_refused)

    def _note_refused(self) -> None:
        self._refused -= 1

    async def _serve_guest(self, scope: Scope, receive: Receive, send: Send, *, caller: Caller, address: str) -> None:
        loop = asyncio.get_running_loop()
        has_room, other = self._seats.find_room(address, loop.time())
        if other is not None:
            self._seats.leave(other)
            other.close_soon(1013, _TOO_MANY)
        if not has_room:
            await self._refuse(TooManyOpen(), scope, receive, send)
            return
        largest = self._message_bytes
        chat = GuestChat(scope, receive, send, largest=largest, queue=self._queue, address=address)
        self._seats.take(chat)
        silence = loop.call_later(self._silent, chat.close_silent)
        try:
            await self._hand_over(scope, chat, caller=caller, address=address)
        finally:
            silence.cancel()
            chat.leave()
            self._seats.leave(chat)

    async def _hand_over(self, scope: Scope, chat: OpenPage, *, caller: Caller, address: str) -> None:
        flow, is_public = read_address(scope)
        ends = _make_ends(scope, chat)
        if caller.kind != "visitor":  # whose frames have waited for their address's turn
            person = str(caller.owner)
            ends = replace(
                ends,
                wait_to_read=partial(self._reading.take, person),
                wait_to_stop=partial(self._stopping.take, person),
            )
        zone = _read_query(scope).get("zone", "")[:_LONGEST_ZONE]
        await self._door.serve(ends, caller=caller, flow=flow, came_from=address, is_public=is_public, time_zone=zone)


def _make_ends(scope: Scope, chat: OpenPage) -> SocketEnds:
    return SocketEnds(chat.receive, chat.send, chat.close, lambda: cut(scope))


def read_address(scope: Scope) -> tuple[str, bool]:
    """Which flow's conversation a socket is for, and whether its page is the shareable playground."""
    query = _read_query(scope)
    return query.get("flow", ""), query.get("at") == "public"


def _read_query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=1_000))
