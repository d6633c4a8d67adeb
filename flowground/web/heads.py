"""Hangs up on a request whose head, or trailer, is larger than any real one.

httptools keeps what it reads of a head until its end, and joins a long line anew with every piece: 100 MB of it would
cost the process as much memory, and twenty seconds in which it serves nobody. h11 has a limit of its own.
"""

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST = 65_536
"""Bytes, as h11 has it; the longest address and cookies of a browser are a fraction."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def limit_heads(server: uvicorn.Server | None) -> None:
    """For every connection from now on. Without a server (tests, other servers) it does nothing."""
    if server is not None and server.config.http_protocol_class is HttpToolsProtocol:
        server.config.http_protocol_class = _LimitedHeads


class _LimitedHeads(HttpToolsProtocol):
    """Counts what comes between two pieces of a body: heads, trailers, and what frames the pieces."""

    _in_head = True
    _since = 0

    def data_received(self, data: bytes) -> None:
        self._since += len(data)
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
