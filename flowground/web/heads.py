"""Hangs up on a request whose head, or trailer, is larger than any real one.

httptools keeps what it reads of a head until its end, and joins a long line anew with every piece: 100 MB of it would
cost the process as much memory, and twenty seconds in which it serves nobody. h11 has a limit of its own.

The same class, of uvicorn 0.54, tells which connections wait for the rest of a request (waiting_connections.py).
"""

import asyncio
from typing import ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowground.web.waiting_connections import WaitingConnections

LARGEST = 65_536
"""Bytes, as h11 has it; the longest address and cookies of a browser are a fraction."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def limit_heads(server: uvicorn.Server | None, *, descriptors: int) -> None:
    """For every connection from now on. Without a server (tests, other servers) it does nothing.

    `descriptors` is how many files the process may have open.
    """
    if server is not None and server.config.http_protocol_class is HttpToolsProtocol:
        _LimitedHeads.waiting = WaitingConnections(descriptors)
        server.config.http_protocol_class = _LimitedHeads


class _LimitedHeads(HttpToolsProtocol):
    """Counts what comes between two pieces of a body: heads, trailers, and what frames the pieces."""

    waiting: ClassVar[WaitingConnections]
    """The process's, set before its first connection."""
    _in_head = True
    _since = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
        if self._since > LARGEST and not self.transport.is_closing():
            if self._in_head and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._since = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._since = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since = 0
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self.waiting.remove(self)
