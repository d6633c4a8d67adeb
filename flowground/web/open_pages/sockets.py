"""What an open page may send, and how many pages people without a sign-in may have open.

Every page is a socket, four file descriptors and some 200 kB of memory, open before anybody signs in. A *guest* here is
whoever has not signed in: somebody at the sign-in page, or a visitor of a flow that is shared in public. Guests share
what this file gives them; members are never refused because of them. A person who is signed in has many, and no more.
"""

import asyncio
import hashlib
from collections import Counter
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowground.caller import Caller, Owner
from flowground.settings import Limits
from flowground.shims.page_frames import allow_messages, cut
from flowground.shims.page_messages import SMALLEST, Outline
from flowground.web.address import name_address
from flowground.web.open_pages.pace import GuestQueue, Pace
from flowground.web.open_pages.seats import GuestSeats
from flowground.web.process import Tidying

_BYTES_A_CHARACTER = 4
"""UTF-8 has no longer ones."""
_BESIDE_THE_MESSAGE = 64_000
"""Bytes of everything a chat page says with a message."""
LARGEST_SIGNED_IN = 3_000_000
"""Bytes: an override of every text field of a flow goes along with each message."""

_NOTHING: Message = {"type": "websocket.receive", "bytes": b""}
"""To Streamlit 1.67 a message without a kind, which flowground/shims/page_messages.py does not hand on."""
_A_PAGE = (0.5, 10)
"""Seconds between two messages of one guest's page, and how many do not wait after a quiet time."""
_PATIENCE = 2
"""Seconds a client has to take in that its page is closed."""
FAREWELL = 1
"""Seconds that a client has to answer the close of its page; uvicorn 0.54 would wait ten with an open descriptor."""
_MOST_FAREWELLS = 32
"""Refused pages that are waited for at the same time; beyond it they are cut as soon as it is said."""
_DESCRIPTORS_A_GUEST = 16
"""Guests get a quarter of the process's descriptors: each page takes four."""
MOST_A_PERSON = 200
"""Pages of somebody who is signed in that are open at once, on all devices; also their conversations' sockets."""
_TOO_MANY_YOURS = "you have too many pages open; close some of them"
_TOO_MANY = "too many people who are not signed in have a page open; try again later"
_closing: set[asyncio.Task[None]] = set()


class OpenPage:
    """One page's socket as the app behind the edge sees it: bounded, and closable from outside."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, largest: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._largest = largest
        self._has_ended = False
        self._was_large = False
        self.is_in_use = False
        """Somebody pressed, chose or wrote something."""
        allow_messages(scope, largest)

    async def receive(self) -> Message:
        """A large message is followed by an empty one: Streamlit holds the last one, twice, until the next comes."""
        if self._was_large and not self._has_ended:
            self._was_large = False
            return _NOTHING
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._has_ended:
            return message
        if mistake := self._find_mistake(message):
            return await self._refuse(*mistake)
        return message

    def _find_mistake(self, message: Message) -> tuple[int, str] | None:
        """Code and reason with which the page is closed for what it sent."""
        data = message.get("bytes")
        if data is None:
            return 1003, "only binary messages are understood"
        if len(data) > self._largest:
            return 1009, "the message is too large"
        try:
            outline = Outline(data)
        except ValueError:
            return 1007, "the message cannot be read"
        if outline.is_too_much:
            return 1009, "the message has too many parts"
        self._was_large = len(data) > SMALLEST
        self.is_in_use = self.is_in_use or outline.widgets > 0
        return None

    async def send(self, message: Message) -> None:
        """What comes after the end goes nowhere: told of it, Streamlit 1.67 and Starlette log two tracebacks a page."""
        if self._has_ended:
            return
        try:
            await self._send(message)
        except (OSError, RuntimeError):  # of uvicorn 0.54: the client is gone, or did not answer its pings
            if message["type"] != "websocket.send":
                raise
            self._has_ended = True
            cut(self._scope)

    async def close(self, code: int, reason: str) -> None:
        """Tells the client why, or cuts the connection when it does not read."""
        if self._has_ended:
            return
        self._has_ended = True
        with suppress(Exception):  # it may be gone by itself
            async with asyncio.timeout(_PATIENCE):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
                asyncio.get_running_loop().call_later(FAREWELL, cut, self._scope)
                return
        cut(self._scope)

    def close_soon(self, code: int, reason: str) -> None:
        """As `close`; returns at once."""
        task = asyncio.get_running_loop().create_task(self.close(code, reason))
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _refuse(self, code: int, reason: str) -> Message:
        await self.close(code, reason)
        return {"type": "websocket.disconnect", "code": code, "reason": reason}


class GuestPage(OpenPage):
    """The page of somebody who is not signed in: its messages wait for their turn."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, largest: int, queue: GuestQueue, address: str
    ) -> None:
        super().__init__(scope, receive, send, largest=largest)
        self._queue = queue
        self.address = address
        self._pace = Pace(*_A_PAGE)
        self._ahead: asyncio.Task[Message] | None = None
        self.has_asked = False
        self.opened_at = self.active_at = asyncio.get_running_loop().time()

    async def receive(self) -> Message:
        """While a message waits the next one is looked at: a page that is closed waits no longer."""
        message = await (self._ahead or self._receive_next())
        self._ahead = None
        if message["type"] != "websocket.receive" or message is _NOTHING:
            return message
        self.has_asked = True
        self.active_at = asyncio.get_running_loop().time()
        turn = asyncio.create_task(self._wait_for_turn())
        self._ahead = asyncio.create_task(self._receive_next())
        try:
            await asyncio.wait({turn, self._ahead}, return_when=asyncio.FIRST_COMPLETED)
            if self._ahead.done() and self._ahead.result()["type"] == "websocket.disconnect":
                return self._ahead.result()
            await turn
        finally:
            turn.cancel()
        return message

    async def send(self, message: Message) -> None:
        self.active_at = asyncio.get_running_loop().time()
        await super().send(message)

    def close_silent(self) -> None:
        """A browser asks at once; whoever does not holds a place for nothing."""
        if not self.has_asked:
            self.close_soon(1008, "nothing was asked")

    def leave(self) -> None:
        """Nobody asks for messages any more."""
        if self._ahead:
            self._ahead.cancel()

    async def _receive_next(self) -> Message:
        return await super().receive()

    async def _wait_for_turn(self) -> None:
        await self._pace.wait_for_turn()
        await self._queue.take(self.address)


class PageSockets:
    """All open pages of this process. `descriptors` is how many files it may have open."""

    def __init__(self, limits: Limits, *, descriptors: int) -> None:
        self.most, self.most_an_address = count_guests(limits, descriptors)
        self._message_bytes = count_message_bytes(limits)
        self._silent = limits.request_seconds
        """Seconds after which a page that asked for nothing is closed."""
        self._seats = GuestSeats[GuestPage](
            most=self.most, most_an_address=self.most_an_address, silent=limits.request_seconds
        )
        self._queue = GuestQueue()
        self._people = Counter[Owner]()
        self._tidying = Tidying()
        self._farewells = 0

    def end(self) -> None:
        """Cancels what would be done later by itself."""
        self._tidying.end()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: Caller | None) -> None:
        """Runs `app` for one page until it is closed."""
        self._tidying.note_start()
        try:
            await self._serve(app, scope, receive, send, caller=caller)
        finally:
            self._tidying.note_end()

    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: Caller | None) -> None:
        if caller is not None and caller.kind != "visitor":
            await self._serve_person(app, scope, receive, send, owner=caller.owner)
            return
        address = name_address(scope)
        if not self._make_room(address):
            await self._refuse(scope, receive, send, why=_TOO_MANY)
            return
        largest = SMALLEST if caller is None else max(SMALLEST, self._message_bytes)
        guest = GuestPage(scope, receive, send, largest=largest, queue=self._queue, address=address)
        self._seats.take(guest)
        silence = asyncio.get_running_loop().call_later(self._silent, guest.close_silent)
        try:
            await app(scope, guest.receive, guest.send)
        finally:
            silence.cancel()
            guest.leave()
            self._seats.leave(guest)

    async def _serve_person(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, owner: Owner) -> None:
        if self._people[owner] >= MOST_A_PERSON:
            await self._refuse(scope, receive, send, why=_TOO_MANY_YOURS)
            return
        page = OpenPage(scope, receive, send, largest=max(LARGEST_SIGNED_IN, self._message_bytes))
        self._people[owner] += 1
        try:
            await app(scope, page.receive, page.send)
        finally:
            self._people[owner] -= 1
            if not self._people[owner]:
                del self._people[owner]

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, *, why: str) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1013, "reason": why})
        if self._farewells >= _MOST_FAREWELLS:
            cut(scope)
            return
        self._farewells += 1
        asyncio.get_running_loop().call_later(FAREWELL, self._end_farewell, scope)

    def _end_farewell(self, scope: Scope) -> None:
        self._farewells -= 1
        cut(scope)

    def _make_room(self, address: str) -> bool:
        """Whether one more page may be opened from there; closes the one that gives its place."""
        has_room, page = self._seats.find_room(address, asyncio.get_running_loop().time())
        if page is not None:
            self._seats.leave(page)
            page.close_soon(1013, _TOO_MANY)
        return has_room


def count_guests(limits: Limits, descriptors: int) -> tuple[int, int]:
    """How many pages guests may have open, of this many files; and those of one address."""
    most = max(1, min(limits.guest_pages, descriptors // _DESCRIPTORS_A_GUEST))
    return most, min(limits.guest_pages_per_address, most)


def count_message_bytes(limits: Limits) -> int:
    """Of the longest message, with what goes along with it."""
    return _BYTES_A_CHARACTER * limits.message_chars + _BESIDE_THE_MESSAGE


def name_page_owner(caller: Caller, browser: str) -> bytes:
    """Whose page it is, for Streamlit to compare when a page comes back: the same person, sign-in and browser."""
    who = "\n".join((str(caller.owner), caller.sign_in_id or "", browser))
    return f"{caller.kind}-{hashlib.sha256(who.encode()).hexdigest()}".encode()
