"""What an open page may send, and how many pages people without a sign-in may have open.

Every page is a socket, four file descriptors and some 200 kB of memory, open before anybody signs in. A *guest* here is
whoever has not signed in: somebody at the sign-in page, or a visitor of a flow that is shared in public. Guests share
what this file gives them; members are never refused because of them.
"""

import asyncio
import hashlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowground.caller import Caller
from flowground.settings import Limits
from flowground.web.address import address_of
from flowground.web.frames import SMALLEST, allow_messages, cut

_BYTES_A_CHARACTER = 4
"""UTF-8 has no longer ones."""
_BESIDE_THE_MESSAGE = 64_000
"""Bytes of everything a chat page says with a message."""
_SIGNED_IN = 3_000_000
"""Bytes: an override of every text field of a flow goes along with each message."""

_PAUSE = {"page": 0.5, "address": 1 / 6, "all": 1 / 12}
"""Seconds between two messages of one guest, of guests at one address, and of all guests.

Drawing a page costs some 20 ms: all guests together get a quarter of one core at most.
"""
_AT_ONCE = {"page": 10, "address": 40, "all": 60}
"""Messages that wait for nothing after a quiet time: opening a page, filling in a form."""
_PATIENCE = 2
"""Seconds a client has to take in that its page is closed."""
_REMEMBERED = 2_000
"""Addresses of guests, with and without open pages."""
_DESCRIPTORS_A_GUEST = 16
"""Guests get a quarter of the process's descriptors: each page takes four."""


class Pace:
    """At most one a `pause` seconds, `at_once` of them without waiting after a quiet time."""

    def __init__(self, pause: float, at_once: int) -> None:
        self._pause = pause
        self._ahead = pause * at_once
        self._next = 0.0

    def book(self, now: float) -> float:
        """Seconds to wait for the turn that is hereby taken."""
        self._next = max(self._next, now - self._ahead) + self._pause
        return max(0.0, self._next - now)


class OpenPage:
    """One page's socket as the app behind the edge sees it: bounded, paced for guests, and closable from outside."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, largest: int, paces: tuple[Pace, ...]) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._largest = largest
        self._paces = paces
        self._ended = False
        self.asked = False
        allow_messages(scope, largest)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._ended:
            return message
        data = message.get("bytes")
        if data is None:
            return await self._refuse(1003, "only binary messages are understood")
        if len(data) > self._largest:
            return await self._refuse(1009, "the message is too large")
        self.asked = True
        for pace in self._paces:
            if wait := pace.book(asyncio.get_running_loop().time()):
                await asyncio.sleep(wait)
        return {"type": "websocket.disconnect", "code": 1013} if self._ended else message

    async def send(self, message: Message) -> None:
        if not self._ended:
            await self._send(message)

    async def close(self, code: int, reason: str) -> None:
        """Tells the client why, or cuts the connection when it does not read."""
        if self._ended:
            return
        self._ended = True
        with suppress(Exception):  # it may be gone by itself
            async with asyncio.timeout(_PATIENCE):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
                return
        cut(self._scope)

    async def _refuse(self, code: int, reason: str) -> Message:
        await self.close(code, reason)
        return {"type": "websocket.disconnect", "code": code, "reason": reason}


@dataclass
class _Address:
    """The guests of one address, those first that were silent longest."""

    pages: "OrderedDict[OpenPage, None]"
    pace: Pace


class PageSockets:
    """All open pages of this process. `descriptors` is how many files it may have open."""

    def __init__(self, limits: Limits, *, descriptors: int) -> None:
        self.most = max(1, min(limits.guest_pages, descriptors // _DESCRIPTORS_A_GUEST))
        self.most_an_address = min(limits.guest_pages_per_address, self.most)
        self._message_bytes = _BYTES_A_CHARACTER * limits.message_chars + _BESIDE_THE_MESSAGE
        self._silent = limits.request_seconds
        self._addresses: dict[str, _Address] = {}
        self._pace = _pace("all")
        self._closing: set[asyncio.Task[None]] = set()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: Caller | None) -> None:
        """Runs `app` for one page until it is closed."""
        if caller is not None and caller.kind != "visitor":
            page = OpenPage(scope, receive, send, largest=max(_SIGNED_IN, self._message_bytes), paces=())
            await app(scope, page.receive, page.send)
            return
        largest = SMALLEST if caller is None else max(SMALLEST, self._message_bytes)
        await self._serve_guest(app, scope, receive, send, largest=largest)

    async def _serve_guest(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, largest: int) -> None:
        address = self._address(address_of(scope))
        page = OpenPage(scope, receive, send, largest=largest, paces=(_pace("page"), address.pace, self._pace))
        self._make_room(address)
        address.pages[page] = None

        async def hear() -> Message:
            message = await page.receive()
            if page in address.pages:
                address.pages.move_to_end(page)
            return message

        async def say(message: Message) -> None:
            if page in address.pages:
                address.pages.move_to_end(page)
            await page.send(message)

        silence = asyncio.get_running_loop().call_later(self._silent, self._close_silent, page)
        try:
            await app(scope, hear, say)
        finally:
            silence.cancel()
            address.pages.pop(page, None)

    def _address(self, name: str) -> _Address:
        """Kept without pages too: whoever comes back at once goes on at the pace they left with."""
        if len(self._addresses) >= _REMEMBERED:
            self._addresses = {name: one for name, one in self._addresses.items() if one.pages}
        return self._addresses.setdefault(name, _Address(OrderedDict(), _pace("address")))

    def _make_room(self, address: _Address) -> None:
        """Closes the page that was silent longest: of the same address, else of the one with most pages."""
        if len(address.pages) >= self.most_an_address:
            self._close_oldest(address)
        elif sum(len(one.pages) for one in self._addresses.values()) >= self.most:
            self._close_oldest(max(self._addresses.values(), key=lambda one: len(one.pages)))

    def _close_oldest(self, address: _Address) -> None:
        page, _ = address.pages.popitem(last=False)
        self._close(page, 1013, "too many people who are not signed in have a page open; try again later")

    def _close_silent(self, page: OpenPage) -> None:
        """A browser asks at once; whoever does not holds a place for nothing."""
        if not page.asked:
            self._close(page, 1008, "nothing was asked")

    def _close(self, page: OpenPage, code: int, reason: str) -> None:
        task = asyncio.get_running_loop().create_task(page.close(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def page_owner(caller: Caller, browser: str) -> bytes:
    """Whose page it is, for Streamlit to compare when a page comes back: the same person, sign-in and browser."""
    who = "\n".join((caller.key, caller.sign_in_id or "", browser))
    return f"{caller.kind}-{hashlib.sha256(who.encode()).hexdigest()}".encode()


def _pace(what: Literal["page", "address", "all"]) -> Pace:
    return Pace(_PAUSE[what], _AT_ONCE[what])
