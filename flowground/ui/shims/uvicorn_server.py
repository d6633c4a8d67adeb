"""The server of this process, uvicorn 0.54: its address, its signals, and what one connection may hold.

Whoever starts the process (`streamlit run`, `uvicorn app:app`) makes the server and gives it to nobody. uvicorn bounds
neither how long a client may take for the head of a request, nor how large a head is, nor how many pieces a WebSocket's
message has. httptools joins a long line again with every piece: 100 MB of it would keep the process for twenty seconds.
"""

import asyncio
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import uvicorn
from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LARGEST_HEAD = 65_536
"""Most bytes of a request's head, as in h11; the longest address and cookies of a browser are a fraction."""
_MOST_PIECES = 4_096
"""Most frames of one WebSocket message; a browser or proxy that splits 3 MB makes some hundreds."""
_MOST_UNREAD = 1_000_000
"""Most bytes of answers to pings that a client may leave unread."""
_UNSENT = 131_072
"""Most bytes of an answer that wait in the kernel."""
_FAREWELL = 1
"""Seconds in which a client must answer the close of its WebSocket."""
_LINGER = 2
"""Seconds in which a client that sent too much may read why its connection ends."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER for a reset: the kernel drops what was not read."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_UNREADABLE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CONNECTION = "flowground.connection"
"""Key of a WebSocket's connection in the extensions of its scope."""


class UvicornServer:
    """uvicorn's server, configured while the process starts, on the server's loop, before the first connection."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server

    @property
    def address(self) -> str | None:
        """The address to open on this computer; None if it is not known."""
        config = self._server.config
        if config.uds or config.fd is not None:
            return None
        host = "127.0.0.1" if config.host in ("", "0.0.0.0", "::") else config.host  # noqa: S104 - read, not bound
        return f"{'https' if config.is_ssl else 'http'}://{f'[{host}]' if ':' in host else host}:{config.port}"

    def believe_no_header(self) -> None:
        """Removes uvicorn's own reading of `X-Forwarded-*`, which believes every process of this computer, and hosts
        that FORWARDED_ALLOW_IPS names."""
        if isinstance(self._server.config.loaded_app, ProxyHeadersMiddleware):
            self._server.config.loaded_app = self._server.config.loaded_app.app

    def bound_connections(self, *, waiting: int, idle: float, frame: int) -> None:
        """Bounds connections: at most `waiting` without a whole request, each for `idle` seconds, as long as a client
        may leave an answer unread; WebSocket messages of at most `frame` bytes, until `allow_messages`.

        Without httptools HTTP stays as it is: h11 bounds heads itself.
        """
        config = self._server.config
        if config.http_protocol_class is HttpToolsProtocol:
            BoundedHttp.most_waiting, BoundedHttp.idle = waiting, idle
            config.http_protocol_class = BoundedHttp
        if config.ws_protocol_class is WebSocketsSansIOProtocol:
            BoundedFrames.largest = frame
            config.ws_protocol_class = BoundedFrames

    def take_signals(self, on_signal: Callable[[int], None], *, cut_after: int) -> None:
        """Calls `on_signal` on the loop with each signal to end; `on_signal` must call `end`. The server then waits
        `cut_after` seconds for open answers, unless it has a limit already: Streamlit sets none."""
        loop, config = asyncio.get_running_loop(), self._server.config
        if config.timeout_graceful_shutdown is None:
            config.timeout_graceful_shutdown = cut_after
        for number in _SIGNALS:
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(on_signal, number))

    def stop_listening(self) -> None:
        """Accepts no new connections; open ones go on."""
        for listening in self._server.servers:
            listening.close()

    def end(self, number: int) -> None:
        """Does what this signal would have done."""
        self._server.handle_exit(number, None)


def find_server() -> UvicornServer | None:
    """The server that runs in this thread, found by its signal handler, since nothing else refers to it. None in tests
    and under other servers."""
    if threading.current_thread() is not threading.main_thread():
        return None
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return UvicornServer(server) if isinstance(server, uvicorn.Server) else None


class BoundedHttp(HttpToolsProtocol):
    """An HTTP connection. It *waits* while it has no whole request: it is silent, kept alive, or in the middle of one.

    If too many connections wait, of the address that has most the one silent longest is cut, so that new ones always
    get in and an address alone cuts nobody else. Each piece of a body counts as a sign of life.
    """

    most_waiting: ClassVar[int]
    idle: ClassVar[float]
    waiting: ClassVar[dict["BoundedHttp", None]] = {}
    """Waiting connections, the one silent longest first."""
    held: ClassVar[Counter[str]] = Counter()
    """Waiting connections of each address."""
    _host = ""
    _timer: asyncio.TimerHandle | None = None
    _is_in_head = True
    _since = 0
    """Bytes since the last piece of a body: heads, trailers and framing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        _tune(transport)
        self._host = self.client[0] if self.client else ""
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._wait()

    def data_received(self, data: bytes) -> None:
        self._since += len(data)
        super().data_received(data)
        if self._since > _LARGEST_HEAD and not self.transport.is_closing():
            if self._is_in_head and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._since = False, 0
        self._stop_timer()  # its reader bounds how long a body may take
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._since = 0
        if self in self.waiting:
            self.waiting[self] = self.waiting.pop(self)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since = 0
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._leave_queue()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self not in self.waiting:
            self._stop_timer()

    def _wait(self) -> None:
        self._leave_queue()
        self.waiting[self] = None
        self.held[self._host] += 1
        self._start_timer()
        if len(self.waiting) > self.most_waiting:
            most = max(self.held.values())
            next(one for one in self.waiting if self.held[one._host] == most).cut()

    def _stop_waiting(self) -> None:
        self._leave_queue()
        self._stop_timer()

    def _leave_queue(self) -> None:
        if self in self.waiting:
            del self.waiting[self]
            self.held[self._host] -= 1
            if not self.held[self._host]:
                del self.held[self._host]

    def _start_timer(self) -> None:
        self._stop_timer()
        left = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self.idle, self._end_idle, left)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_idle(self, before: int) -> None:
        """Ends the connection, unless its client has read something of an answer meanwhile."""
        left = self.transport.get_write_buffer_size()
        if not left:
            self.transport.close()
        elif left < before:
            self._start_timer()
        else:
            self.cut()

    def cut(self) -> None:
        """Ends the connection at once; what its client has not read is lost."""
        self._stop_waiting()
        if (connection := self.transport.get_extra_info("socket")) is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()


def _tune(transport: asyncio.Transport) -> None:
    """Turns off Nagle's algorithm, and bounds what the kernel holds.

    `streamlit run` makes its socket without naming TCP, so asyncio leaves the algorithm on: an answer's head and body
    meet the peer's delayed acknowledgement, 44 ms a request. uvloop turns it off by itself. The kernel holds `_UNSENT`
    bytes and not megabytes, so that the bytes left here show whether a client reads.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


class BoundedFrames(WebSocketsSansIOProtocol):
    """A WebSocket whose messages have at most `largest` bytes, until the caller is known (`allow_messages`)."""

    largest: ClassVar[int]
    scope: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn.max_message_size = self.largest
        self.is_refused = False

    async def send(self, message: Any) -> None:
        """Sends; after a close the client has a second to answer. uvicorn would wait ten seconds with an open
        descriptor, and for ever for a client that does not read."""
        await super().send(message)
        if message["type"] == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(_FAREWELL, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        super().data_received(data)
        # websockets refuses a line over 8 kB, or a body; uvicorn would then wait for ever.
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
        if len(self.frames) < _MOST_PIECES:
            super().handle_cont(event)
            event.data = b""
        elif not self.close_sent:
            self.conn.fail(1009, "too many pieces")
            self.frames = []
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > _MOST_UNREAD:
            self.transport.abort()
        elif not self.is_refused:
            super().handle_ping()

    def handle_parser_exception(self) -> None:
        """Sends the reason, and drops what still arrives. uvicorn would close at once: with unread bytes this resets
        the connection, and a client that is still sending never reads the reason."""
        self.is_refused = self.close_sent = True
        close = self.conn.close_sent
        if close is not None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(_LINGER, self.transport.abort)


def allow_messages(scope: Scope, largest: int) -> None:
    """Allows messages of `largest` bytes on this WebSocket."""
    if connection := _find_connection(scope):
        connection.conn.max_message_size = largest


def is_open(scope: Scope) -> bool:
    """Whether this WebSocket's client is still connected, as far as known."""
    connection = _find_connection(scope)
    return connection is None or not connection.transport.is_closing()


def cut(scope: Scope) -> None:
    """Ends this WebSocket without a close frame, for clients that do not read."""
    connection = _find_connection(scope)
    if connection is not None and not connection.is_refused:
        connection.transport.abort()


def _find_connection(scope: Scope) -> BoundedFrames | None:
    found = scope.get("extensions", {}).get(_CONNECTION)
    return found if isinstance(found, BoundedFrames) else None
