"""What a stranger may make the server keep before it knows what is asked: very little, and not for long."""

import socket
from pathlib import Path

import pytest
import requests

from tests.page_socket import Browser
from tests.servers import AppServer

PIECE = b"a" * 100_000
PIECES = 200
"""20 MB: more than any socket's buffers take in while the server does not read."""


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nx-long: ",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /health HTTP/1.1\r\nx-long: ",
        b"POST /session/start HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-long: ",
    ],
    ids=["address", "header", "second request", "trailer"],
)
def test_a_head_without_an_end_is_hung_up_on(server: AppServer, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(begun)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(PIECE * PIECES)


def test_many_headers_are_as_much_as_one_long_one(server: AppServer) -> None:
    def asked(count: int, *, end: bytes) -> str:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"x-some: 0123456789\r\n" * count)
            client.sendall(end)
            return client.recv(65_536).decode().partition("\r\n")[0]

    assert asked(2_000, end=b"\r\n") == "HTTP/1.1 200 OK"
    assert asked(4_000, end=b"") == "HTTP/1.1 431 Request Header Fields Too Large"


def test_a_body_in_small_pieces_is_no_head(server: AppServer) -> None:
    whole = b'{"input_value": "%s"}' % (b"a" * 9_000)
    pieces = (bytes([byte]) for byte in whole + b" " * 50_000)
    key = {"x-api-key": server.token("heads"), "content-type": "application/json"}
    answer = requests.post(f"{server.url}/api/v1/run/echo?shape=simple", data=pieces, headers=key, timeout=30)
    assert (answer.status_code, len(answer.json()["text"])) == (200, 9_000)


def test_half_a_ticket_is_given_up(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"], config={"limits": {"request_seconds": 0.5}}) as server:
        head = (
            f"POST /session/start HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: {server.url}\r\n"
            f"Cookie: {Browser(server.url).cookies}\r\nContent-Length: 100\r\n\r\n{{"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
            slow.sendall(head.encode())
            answer = b""
            while piece := slow.recv(65_536):
                answer += piece
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as leaving:
            leaving.sendall(head.encode())
        assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert "Traceback" not in server.log
