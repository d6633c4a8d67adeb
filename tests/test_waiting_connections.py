"""Strangers' connections that never become a request leave descriptors to everybody else: the oldest ones are cut."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests

from tests.page_socket import Browser, open_browser, open_page
from tests.people import CREDENTIALS
from tests.servers import PUBLIC, AppServer, share

MOST = 400
"""Files the process may have open."""


class SmallServer(AppServer):
    def launch(self) -> Any:
        process = super().launch()
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (MOST, MOST))  # long before its imports are done
        return process


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallServer]:
    config = CREDENTIALS | {"sharing": {"allow_public": True}, "limits": {"guest_pages": 2}}
    with SmallServer(tmp_path_factory.mktemp("small"), config=config, flows=["echo"], is_fresh=True) as server:
        share(server, "echo", PUBLIC)
        yield server


GET = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
ATTACKS = {
    "connect only": "",
    "half a head": GET,
    "kept alive": f"{GET}\r\n",
    "half a body": "POST /api/v1/run/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
    "half a body of a page": "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("said", ATTACKS.values(), ids=ATTACKS.keys())
def test_connections_without_a_request_leave_descriptors_to_the_others(small: SmallServer, said: str) -> None:
    """Members run, open and use pages, and so does a visitor, while strangers hold what they get."""
    member, token = open_browser(small, "augusta"), {"x-api-key": small.token("test")}
    with (
        ExitStack() as stack,
        open_page(Browser(small.url), base="/public_flow/echo") as visitor,
        open_page(member) as before,
    ):
        visitor.visit()
        before.visit()
        for attempt in range(2):
            for _ in range(MOST // 2):
                with suppress(OSError):
                    stranger = socket.create_connection(("127.0.0.1", small.port), timeout=5)
                    stack.enter_context(stranger)
                    stranger.sendall(said.encode())
            run = {"input_value": f"hello {attempt}"}
            # Each time on a connection of its own: an idle one may be closed at any moment, as everywhere in HTTP.
            answer = requests.post(f"{small.url}/api/v1/run/echo", json=run, headers=token, timeout=15)
            assert answer.status_code == 200
            with open_page(member) as page:
                assert b"Sign out" in page.visit()
            assert b"Sign out" in before.visit()
            assert f"say {attempt}".encode() in visitor.say(f"say {attempt}")
        assert len(os.listdir(f"/proc/{small.pid}/fd")) < MOST * 3 // 4
    assert "Traceback" not in small.log


def test_an_upload_is_not_cut_for_silent_connections_of_another_address(small: SmallServer) -> None:
    """Neither is one that began before them: each piece of its body counts."""
    body = b'{"input_value": "hello"}'
    head = f"POST /api/v1/run/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {small.token('slow')}\r\n"
    with ExitStack() as stack, socket.create_connection(("127.0.0.1", small.port), timeout=15) as member:
        member.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for sent in range(len(body)):
            for _ in range(MOST // len(body)):
                with suppress(OSError):
                    source = ("127.0.0.2", 0)
                    stack.enter_context(socket.create_connection(("127.0.0.1", small.port), 5, source))
            member.sendall(body[sent : sent + 1])
        assert member.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_refused_page_that_never_answers_is_cut(small: SmallServer) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(small.url))) for _ in range(2)]
        for page in pages:
            page.visit()
        asked = (
            f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{small.port}\r\nOrigin: {small.url}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamlit, x\r\n\r\n"
        )
        for _ in range(40):
            refused = stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=30))
            refused.sendall(asked.encode())
        told = b""
        with suppress(ConnectionResetError):
            while piece := refused.recv(4_096):
                told += piece
        assert b"try again later" in told
        for page in pages:
            assert b"Sign in" in page.visit()
