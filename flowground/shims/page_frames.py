"""Bounds what a page's socket may make the server hold before anybody has read it.

uvicorn 0.54 has one bound for all sockets. Here a connection begins with the smallest, which is raised once somebody
knows who asks. Neither uvicorn nor websockets 17 bounds the pieces of a message, or the answers to pings that a client
never reads.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_UNREADABLE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CONNECTION = "flowground.connection"
_LINGER = 2
"""Seconds that a client which sent too much has to read why its connection ends."""


def allow_messages(scope: Scope, largest: int) -> None:
    """This connection's messages may have `largest` bytes from now on."""
    connection = _find_connection(scope)
    if connection is not None:
        connection.conn.max_message_size = largest


def cut(scope: Scope) -> None:
    """Ends the connection without a word, for clients that do not read."""
    connection = _find_connection(scope)
    if connection is not None and not connection.is_refused:
        connection.transport.abort()


def pace_bytes(scope: Scope, wait: Callable[[int], float]) -> None:
    """After so many bytes this connection is read again in as many seconds as `wait` says: what its client sends
    meanwhile stays with the client."""
    connection = _find_connection(scope)
    if connection is not None:
        connection.wait = wait


def _find_connection(scope: Scope) -> "BoundedFrames | None":
    found = scope.get("extensions", {}).get(_CONNECTION)
    return found if isinstance(found, BoundedFrames) else None


class BoundedFrames(WebSocketsSansIOProtocol):
    smallest: ClassVar[int]
    pieces: ClassVar[int]
    unread: ClassVar[int]
    scope: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn.max_message_size = self.smallest
        self.is_refused = False
        self.wait: Callable[[int], float] = lambda _: 0.0

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        super().data_received(data)
        if (wait := self.wait(len(data))) and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()
            self.loop.call_later(wait, _read_on, self)
        # websockets refuses a line over 8 kB, or a body; uvicorn would wait for ever, with nobody to be answered.
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(_UNREADABLE)
            self.transport.close()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # none when the handshake was refused
        if scope is not None:
            scope["extensions"][_CONNECTION] = self

    def handle_text(self, event: Any) -> None:
        super().handle_text(event)
        event.data = b""  # websockets holds a connection's last frame until the next comes

    def handle_bytes(self, event: Any) -> None:
        super().handle_bytes(event)
        event.data = b""

    def handle_cont(self, event: Any) -> None:
        if len(self.frames) < self.pieces:
            super().handle_cont(event)
            event.data = b""
        elif not self.close_sent:
            self.conn.fail(1009, "too many pieces")
            self.frames = []
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > self.unread:
            self.transport.abort()
        elif not self.is_refused:
            super().handle_ping()

    def handle_parser_exception(self) -> None:
        """Says why, and drops what still comes. uvicorn closes at once: with bytes unread that resets the connection,
        and a client that is still sending never reads the reason."""
        self.is_refused = self.close_sent = True
        close = self.conn.close_sent
        if close is not None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(_LINGER, self.transport.abort)


def _read_on(frames: BoundedFrames) -> None:
    if frames.read_paused and frames.queue.empty() and not frames.transport.is_closing():  # else `receive` does
        frames.read_paused = False
        frames.transport.resume_reading()
