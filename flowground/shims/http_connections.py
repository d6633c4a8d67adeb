"""HTTP connections as uvicorn 0.54 holds them: what a head may be, which of them wait, and what is left unread.

httptools keeps what it reads of a head until its end, and joins a long line anew with every piece: 100 MB of it would
cost the process as much memory, and twenty seconds in which it serves nobody.
"""

import asyncio
import socket
import sys
from asyncio.trsock import TransportSocket
from contextlib import suppress
from typing import Any, ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if sys.platform != "win32":
    import fcntl
    import termios

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(Protocol):
    transport: asyncio.Transport
    client: tuple[str, int] | None


class Waiting(Protocol):
    """Told of connections without a whole request."""

    def add(self, connection: Connection) -> None:
        """It waits from now on."""

    def hear(self, connection: Connection) -> None:
        """It said something, whether it waits or not."""

    def remove(self, connection: Connection) -> None:
        """It is at work, or gone; one that did not wait is left alone."""


class BoundedHeads(HttpToolsProtocol):
    """Counts what comes between two pieces of a body: heads, trailers, and what frames the pieces."""

    waiting: ClassVar[Waiting]
    largest: ClassVar[int]
    _is_in_head = True
    _since = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        _send_at_once(transport)
        self.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.remove(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.waiting.remove(self)
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self.waiting.add(self)

    def data_received(self, data: bytes) -> None:
        self._since += len(data)
        self.waiting.hear(self)
        super().data_received(data)
        if self._since > self.largest and not self.transport.is_closing():
            if self._is_in_head and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._since = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._since = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since = 0
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self.waiting.remove(self)


def find_last_request(connection: Any) -> object:
    """The request that came last on it; None before the first. A websocket is its own."""
    return getattr(connection, "cycle", connection)


def waits_for_head(connection: Any) -> bool:
    """A connection whose answer is not complete is at work; so is a websocket."""
    last = find_last_request(connection)
    return last is None or getattr(last, "response_complete", False)


def count_unread(connection: Any) -> int:
    """Bytes here and in the kernel while nothing is added to them, so that fewer means: the client reads.

    Nothing is added while uvicorn waits for room, and after the end of an answer. Websockets have pings of their own.
    """
    cycle = getattr(connection, "cycle", None)
    if cycle is None:
        return 0
    transport = connection.transport
    is_still = connection.flow.write_paused or cycle.response_complete or transport.is_closing()
    here: int = transport.get_write_buffer_size() if is_still else 0
    return here and here + _count_in_kernel(transport)


def _count_in_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has taken and the client has not: up to 4 MB on Linux, 0 where nobody can tell."""
    connection = transport.get_extra_info("socket")
    if sys.platform == "win32" or connection is None:
        return 0
    with suppress(OSError):
        said = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(said, sys.byteorder)
    return 0


def _send_at_once(transport: asyncio.Transport) -> None:
    """`streamlit run` makes its socket without naming TCP, so asyncio leaves Nagle's algorithm on: an answer's head and
    body meet the peer's delayed acknowledgement, 44 ms a request. uvloop turns it off by itself."""
    connection = transport.get_extra_info("socket")
    if isinstance(connection, TransportSocket) and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
