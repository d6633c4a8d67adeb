"""The server of this process, of uvicorn 0.54: its address, its signals, its connections, and what they may send.

Whoever starts the process (`streamlit run`, `uvicorn app:app`) makes the server and hands it to nobody.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from flowground.shims.http_connections import BoundedHeads, Waiting
from flowground.shims.page_frames import BoundedFrames

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class UvicornServer:
    """Changed while the process starts, on the server's loop, before the first connection."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server

    @property
    def address(self) -> str | None:
        """The one to open on this computer; None where nobody can tell."""
        config = self._server.config
        if config.uds or config.fd is not None:
            return None
        host = "127.0.0.1" if config.host in ("", "0.0.0.0", "::") else config.host  # noqa: S104 - read, not bound
        return f"{'https' if config.is_ssl else 'http'}://{f'[{host}]' if ':' in host else host}:{config.port}"

    @property
    def connections(self) -> list[Any]:
        """HTTP's, for the questions of `http_connections`, and websockets."""
        return list(self._server.server_state.connections)

    def believe_no_header(self) -> None:
        """Takes away uvicorn's own reading of `X-Forwarded-*`, which believes every process of this computer, and what
        FORWARDED_ALLOW_IPS names."""
        if isinstance(self._server.config.loaded_app, ProxyHeadersMiddleware):
            self._server.config.loaded_app = self._server.config.loaded_app.app

    def bound_heads(self, waiting: Waiting, *, largest: int) -> None:
        """`waiting` is told of every connection; a head or trailer has at most `largest` bytes. Where httptools is
        missing nothing is done: h11 has a bound of its own."""
        if self._server.config.http_protocol_class is HttpToolsProtocol:
            BoundedHeads.waiting, BoundedHeads.largest = waiting, largest
            self._server.config.http_protocol_class = BoundedHeads

    def bound_frames(self, *, smallest: int, pieces: int, unread: int) -> None:
        """A socket's message has at most `smallest` bytes until `page_frames.allow_messages` says more, and `pieces`
        frames; a client may leave `unread` bytes of answers to its pings."""
        if self._server.config.ws_protocol_class is WebSocketsSansIOProtocol:
            BoundedFrames.smallest, BoundedFrames.pieces, BoundedFrames.unread = smallest, pieces, unread
            self._server.config.ws_protocol_class = BoundedFrames

    def take_signals(self, on_signal: Callable[[int], None], *, cut_after: int) -> None:
        """`on_signal` gets the number of each signal to end, on the loop, and calls `end`. The server then waits
        `cut_after` seconds for open answers: for ever, unless it has a limit, and Streamlit gives it none."""
        loop, config = asyncio.get_running_loop(), self._server.config
        if config.timeout_graceful_shutdown is None:
            config.timeout_graceful_shutdown = cut_after
        for number in _SIGNALS:
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(on_signal, number))

    def stop_listening(self) -> None:
        """Lets nobody new in; who is in goes on."""
        for listening in self._server.servers:
            listening.close()

    def end(self, number: int) -> None:
        """What this signal would have done."""
        self._server.handle_exit(number, None)


def find_server() -> UvicornServer | None:
    """The server that runs in this thread, found by its signal handler: it has no other public place. None in tests and
    under other servers."""
    if threading.current_thread() is not threading.main_thread():
        return None
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return UvicornServer(server) if isinstance(server, uvicorn.Server) else None
