"""Requests written byte for byte: what no HTTP library would send, and connections that end in every way."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import AppServer


class RawClient:
    """Sockets to one server, and the heads of its run requests with one token."""

    def __init__(self, server: AppServer) -> None:
        self.server = server
        self.key = server.token("raw")

    def head(self, flow: str, query: str = "", *, length: int, version: str = "1.1") -> bytes:
        """A whole head of a run request that announces a body of `length` bytes."""
        lines = (
            f"POST /api/v1/run/{flow}{query} HTTP/{version}",
            f"Host: 127.0.0.1:{self.server.port}",
            f"x-api-key: {self.key}",
            f"Content-Length: {length}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def request(self, flow: str, query: str = "", *, message: str = "hi", version: str = "1.1") -> bytes:
        """A whole run request."""
        body = json.dumps({"input_value": message}).encode()
        return self.head(flow, query, length=len(body), version=version) + body

    @contextmanager
    def sent(self, said: bytes, *, timeout: float = 20) -> Iterator[socket.socket]:
        """A connection over which `said` was sent."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=timeout) as connection:
            connection.sendall(said)
            yield connection

    def heard(self, said: bytes) -> bytes:
        """Everything that the server answers to `said` until it hangs up."""
        with self.sent(said) as connection:
            return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    answer = b""
    while piece := connection.recv(65_536):
        answer += piece
    return answer


def reset(connection: socket.socket) -> None:
    """Ends the connection as a killed process does: no goodbye, a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
