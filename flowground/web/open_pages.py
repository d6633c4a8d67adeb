"""The WebSockets of pages and of their conversations: how many there may be, and what each may send.

A *guest* is somebody who has not signed in: at the sign-in page, or a visitor of a flow that is shared in public.
Guests share bounds: sockets of one address, sockets in all, an idle time, the size of a page's message, and one pace.
People who are signed in are never refused because of guests. How often one address may connect is for a proxy to bound
(docs/proxies.md).
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Literal
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowground.core.caller import Caller, Owner
from flowground.core.errors import FlowgroundError
from flowground.settings.limits import Limits
from flowground.ui.conversation.socket import ConversationEndpoint, SocketEnds, TooManyOpen, refuse_socket
from flowground.ui.shims.page_messages import SMALLEST
from flowground.ui.shims.uvicorn_server import allow_messages, cut, is_open
from flowground.web.origin import name_address
from flowground.web.process import MemoryTrimmer

CHAT_PATH = "/chat"
_BYTES_A_CHARACTER = 4
"""The most in UTF-8."""
_FIELDS_BYTES = 64_000
"""Bytes of a chat page's message beside its text."""
_LARGEST_MESSAGE = 3_000_000
"""Most bytes of a message of somebody signed in: it may have overrides of every text field of a flow."""
_DESCRIPTORS_A_GUEST = 16
"""Guests get a quarter of the process's descriptors: each page takes four."""
_MOST_A_PERSON = 200
"""Most open pages of a signed-in person, on all devices; also most open conversations' sockets."""
GUEST_PAGES, _GUEST_FRAMES = (12, 60), (80, 160)
"""Messages of all guests a second, and how many of them need not wait after a quiet time. A page takes 20 ms to render,
a conversation's frame 3 ms to answer: guests get a quarter of one core for each kind."""
_READS = (10, 120)
"""Frames of one person, on all their sockets, that are large or refused or for which the store is read: a second, and
at once after a quiet time, since ten tabs reconnect at once after a restart."""
_LARGE = 8_192
"""Bytes of a page's message from which it is not kept until the next: parsed it takes thirty times as much."""
_CLOSE_SECONDS = 2
"""Seconds in which a client must take the close frame of its page."""
_ZONE_CHARS = 100
_TOO_MANY_YOURS = "you have too many pages open; close some of them"
_TOO_MANY = "too many people who are not signed in have a page open; try again later"


class Pace:
    """Lets `a_second` calls through a second, and `at_once` after a quiet time."""

    def __init__(self, a_second: float, at_once: int) -> None:
        self._pause = 1 / a_second
        self._ahead = self._pause * at_once
        self._next = 0.0

    async def wait(self) -> None:
        """Takes the next turn, and returns when it is due."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - self._ahead) + self._pause
        if (left := self._next - now) > 0:
            await asyncio.sleep(left)


class GuestTurns:
    """Guests' messages, at one pace for all. Only one message of each address waits for the pace, its other messages
    queue behind it, so that many pages of one address do not delay another address."""

    def __init__(self, a_second: float, at_once: int) -> None:
        self._pace = Pace(a_second, at_once)
        self._addresses: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def wait(self, socket: "OpenSocket") -> None:
        """Returns when this socket's message may be handled, or the socket is closed."""
        async with self._addresses.setdefault(socket.address, asyncio.Lock()):
            if socket.is_open:
                await self._pace.wait()


class OpenSocket:
    """One WebSocket for the app behind the edge: bounded, and closable from outside. `turns`: the pace, of a guest."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        largest: int,
        kind: Literal["bytes", "text"] = "bytes",
        turns: GuestTurns | None = None,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._kind = kind
        self._largest = largest
        self._turns = turns
        self._has_ended = self._was_large = False
        self._closing: asyncio.Task[None] | None = None
        self.address = name_address(scope)
        self.has_asked = False
        self.active_at = asyncio.get_running_loop().time()
        """Time of the client's last message, by the loop's clock."""
        allow_messages(scope, largest)

    @property
    def is_open(self) -> bool:
        return not self._has_ended and is_open(self._scope)

    async def receive(self) -> Message:
        """After a large message of a page comes an empty one: Streamlit keeps the last message until the next."""
        if self._was_large and not self._has_ended:
            self._was_large = False
            return {"type": "websocket.receive", "bytes": b""}
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._has_ended:
            return message
        data = message.get(self._kind)
        if data is None:
            return await self._refuse(1003, "that kind of message is not understood")
        if len(data) > self._largest:  # the connection bounds a text by its bytes
            return await self._refuse(1009, "the message is too large")
        self._was_large = self._kind == "bytes" and len(data) > _LARGE
        self.has_asked, self.active_at = True, asyncio.get_running_loop().time()
        if self._turns is not None:
            await self._turns.wait(self)
        return message

    async def send(self, message: Message) -> None:
        """Drops messages after the end: for an error Streamlit 1.67 and Starlette would log two tracebacks."""
        if self._has_ended:
            return
        try:
            await self._send(message)
        except (OSError, RuntimeError):  # of uvicorn 0.54: the client is gone, or did not answer its pings
            if message["type"] != "websocket.send":
                raise
            self._has_ended = True
            self.cut()

    async def close(self, code: int, reason: str) -> None:
        """Sends a close frame, or cuts the connection if its client does not read."""
        if self._has_ended:
            return
        self._has_ended = True
        with suppress(Exception):  # the connection may be gone already
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
                return
        self.cut()

    def close_soon(self, code: int, reason: str) -> None:
        """Begins to close, and returns at once."""
        self._closing = asyncio.get_running_loop().create_task(self.close(code, reason))

    def cut(self) -> None:
        """Ends the connection without a close frame."""
        cut(self._scope)

    async def _refuse(self, code: int, reason: str) -> Message:
        await self.close(code, reason)
        return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Places:
    """Counts the sockets of one kind, pages or conversations, by who has them. On one loop.

    A guest's socket that sends nothing within `idle` seconds is closed.
    """

    def __init__(self, *, most: int, most_an_address: int, idle: float) -> None:
        """`most`: sockets of all guests together."""
        self.most = most
        self._most_an_address = min(most, most_an_address)
        self._idle = idle
        self._guests: dict[OpenSocket, None] = {}
        self._people = Counter[Owner]()

    @contextmanager
    def hold_for_person(self, owner: Owner) -> Iterator[bool]:
        """Counts a socket while the block runs; False if this person has too many."""
        self._people[owner] += 1
        try:
            yield self._people[owner] <= _MOST_A_PERSON
        finally:
            self._people[owner] -= 1
            self._people += Counter()

    @contextmanager
    def hold_for_guest(self, socket: OpenSocket) -> Iterator[bool]:
        """Counts a socket while the block runs, unless it is closed for another guest; False if there are too many."""
        if not self._make_room(socket.address):
            yield False
            return
        self._guests[socket] = None
        silence = asyncio.get_running_loop().call_later(self._idle, _close_silent, socket)
        try:
            yield True
        finally:
            silence.cancel()
            self._guests.pop(socket, None)

    def _make_room(self, address: str) -> bool:
        """Whether a guest's socket of this address may be counted, perhaps after closing another one.

        If all guests together have too many, the address with most sockets loses the one idle for longest, if it keeps
        as many as the new socket's address has then; else a socket goes that was idle for the idle time. If this
        address has too many, only such an idle socket of its own goes.
        """
        counts = Counter(socket.address for socket in self._guests)
        if counts[address] < self._most_an_address and len(self._guests) < self.most:
            return True
        idle = asyncio.get_running_loop().time() - self._idle
        if counts[address] >= self._most_an_address:
            going = [socket for socket in self._guests if socket.address == address and socket.active_at <= idle]
        elif (fullest := max(counts.values())) > counts[address] + 1:
            going = [socket for socket in self._guests if counts[socket.address] == fullest]
        else:
            going = [socket for socket in self._guests if socket.active_at <= idle]
        if not going:
            return False
        gone = min(going, key=lambda socket: socket.active_at)
        del self._guests[gone]
        gone.close_soon(1013, _TOO_MANY)
        return True


def _close_silent(socket: OpenSocket) -> None:
    """Closes a socket that sent nothing in time; browsers send immediately."""
    if not socket.has_asked:
        socket.close_soon(1008, "nothing was asked")


class OpenSockets:
    """All WebSockets of this process. `descriptors`: how many files it may have open."""

    def __init__(self, conversations: ConversationEndpoint, limits: Limits, *, descriptors: int) -> None:
        self._conversations = conversations
        self._message_bytes = _BYTES_A_CHARACTER * limits.message_chars + _FIELDS_BYTES
        self._largest = max(_LARGEST_MESSAGE, self._message_bytes)
        bounds = {
            "most": max(1, min(limits.guest_pages, descriptors // _DESCRIPTORS_A_GUEST)),
            "most_an_address": limits.guest_pages_per_address,
        }
        self.pages = Places(**bounds, idle=limits.request_seconds)
        self._chats = Places(**bounds, idle=limits.request_seconds)
        self._page_turns, self._chat_turns = GuestTurns(*GUEST_PAGES), GuestTurns(*_GUEST_FRAMES)
        self._reads: WeakValueDictionary[Owner, Pace] = WeakValueDictionary()
        self.tidying = MemoryTrimmer()

    async def serve_page(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, caller: Caller | None
    ) -> None:
        """Runs `app` for one page until it is closed."""
        with self.tidying.record_page():
            if caller is None or caller.kind == "visitor":
                page = OpenSocket(scope, receive, send, largest=SMALLEST, turns=self._page_turns)
                place, why = self.pages.hold_for_guest(page), _TOO_MANY
            else:
                page = OpenSocket(scope, receive, send, largest=self._largest)
                place, why = self.pages.hold_for_person(caller.owner), _TOO_MANY_YOURS
            with place as has_place:
                if has_place:
                    await app(scope, page.receive, page.send)
                else:
                    await _accept(receive, send)
                    await page.close(1013, why)

    async def serve_chat(self, scope: Scope, receive: Receive, send: Send, *, caller: Caller | FlowgroundError) -> None:
        """The socket of one conversation, until it is closed; without a caller it says why."""
        await _accept(receive, send)
        make = partial(OpenSocket, scope, receive, send, kind="text")
        if isinstance(caller, FlowgroundError):
            await refuse_socket(_make_ends(make(largest=SMALLEST)), caller)
            return
        if caller.kind == "visitor":
            chat = make(largest=self._message_bytes, turns=self._chat_turns)
            place = self._chats.hold_for_guest(chat)
        else:
            chat = make(largest=self._largest)
            place = self._chats.hold_for_person(caller.owner)
        with place as has_place:
            if has_place:
                await self._converse(scope, chat, caller)
            else:
                await refuse_socket(_make_ends(chat), TooManyOpen())

    async def _converse(self, scope: Scope, chat: OpenSocket, caller: Caller) -> None:
        flow, is_public = read_address(scope)
        ends = _make_ends(chat)
        if caller.kind != "visitor":  # visitors' frames have waited in `GuestTurns`
            ends = replace(ends, wait_to_read=self._reads.setdefault(caller.owner, Pace(*_READS)).wait)
        zone = _read_query(scope).get("zone", "")[:_ZONE_CHARS]
        await self._conversations.serve(
            ends, caller=caller, flow=flow, came_from=chat.address, is_public=is_public, time_zone=zone
        )


async def _accept(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


def _make_ends(chat: OpenSocket) -> SocketEnds:
    return SocketEnds(chat.receive, chat.send, chat.close, chat.cut)


def read_address(scope: Scope) -> tuple[str, bool]:
    """The flow of a conversation's socket, and whether its page is the shareable playground."""
    query = _read_query(scope)
    return query.get("flow", ""), query.get("at") == "public"


def _read_query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=1_000))


def name_page_owner(caller: Caller, browser: str) -> bytes:
    """The owner of a page, for Streamlit to compare when the page reconnects: person, sign-in and browser."""
    who = "\n".join((str(caller.owner), caller.sign_in_id or "", browser))
    return f"{caller.kind}-{hashlib.sha256(who.encode()).hexdigest()}".encode()
