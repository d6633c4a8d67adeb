"""Clients that leave, wait or do not read, at the API of a real server: the server neither complains nor keeps them."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.raw_client import RawClient, read_to_end, reset
from tests.running import chat_flow
from tests.servers import AppServer

FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("echo", "silent")}
ECHO = """\
name: Whole
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In}"}
"""
LONG = "\x01" * 200_000
"""A message of the longest kind, six bytes a character in JSON: an answer is 7 MB, a stream 13 MB, more than the
kernel's buffers take in."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    with AppServer(tmp_path_factory.mktemp("connections"), flows=FLOWS | {"whole": ECHO}) as server:
        yield RawClient(server)


def messages(raw: RawClient, flow: str, *, count: int) -> list[dict[str, object]]:
    """The token's messages in a flow, once there are `count`."""
    url = f"{raw.server.url}/api/v1/monitor/messages?flow_id={flow}"
    end = time.monotonic() + 60
    while True:
        found: list[dict[str, object]] = requests.get(url, headers={"x-api-key": raw.key}, timeout=10).json()
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("query", ["?stream=sse", "?stream=true", ""], ids=["sse", "stream", "plain"])
def test_fifty_clients_that_leave_a_silent_model_leave_nothing_in_the_log(tmp_path: Path, query: str) -> None:
    config = {"limits": {"resume_seconds": 0.5}}
    with AppServer(tmp_path, flows={"silent": FLOWS["silent"]}, config=config) as server:
        raw = RawClient(server)
        with ExitStack() as open_ones:
            leavers = [open_ones.enter_context(raw.sent(raw.request("silent", query))) for _ in range(50)]
            assert len(messages(raw, "silent", count=50)) == 50  # every model is asked, and says nothing
            for number, leaver in enumerate(leavers):
                if number % 3 == 0:
                    leaver.close()
                elif number % 3 == 1:
                    reset(leaver)
                else:
                    leaver.shutdown(socket.SHUT_WR)
            stored = messages(raw, "silent", count=100)
        assert len(stored) == 100  # each call ended down to the model: its turn is stored
        log = server.log
    assert "Traceback" not in log
    assert "unexpected failure" not in log


def test_a_client_that_shuts_down_its_writing_side_counts_as_gone(raw: RawClient) -> None:
    with raw.sent(raw.request("silent")) as half:
        assert len(messages(raw, "silent", count=1)) == 1
        half.shutdown(socket.SHUT_WR)
        assert read_to_end(half) == b""
    assert len(messages(raw, "silent", count=2)) == 2  # the run has ended


def test_an_older_client_gets_a_stream_in_chunks(raw: RawClient) -> None:
    """uvicorn 0.54 does so for every version; nginx, which speaks HTTP/1.0 unless told otherwise, reads them."""
    head, _, body = raw.heard(raw.request("echo", "?stream=true", version="1.0")).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"\r\n0\r\n\r\n")
    head, _, body = raw.heard(raw.request("echo", version="1.0")).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head


def test_fifty_heads_without_a_body_are_answered_and_closed(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=FLOWS, config={"limits": {"request_seconds": 0.5}}) as server:
        raw = RawClient(server)
        with ExitStack() as open_ones:
            waiting = [open_ones.enter_context(raw.sent(raw.head("echo", length=100))) for _ in range(50)]
            answers = [read_to_end(connection).decode() for connection in waiting]
        assert len(answers) == 50
        assert {answer.partition("\r\n")[0] for answer in answers} == {"HTTP/1.1 408 Request Timeout"}
        assert all("connection: close" in answer and '"code":"body_too_slow"' in answer for answer in answers)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    config = {"limits": {"request_seconds": 3}}
    with AppServer(tmp_path_factory.mktemp("impatient"), flows=FLOWS | {"whole": ECHO}, config=config) as server:
        yield RawClient(server)


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"], ids=["plain", "stream", "sse"])
def test_who_does_not_read_an_answer_is_cut(impatient: RawClient, query: str) -> None:
    with connected_narrowly(impatient) as idle:
        idle.sendall(impatient.request("whole", query, message=LONG))
        assert is_reset(idle, within=30)
    assert requests.get(f"{impatient.server.url}/health", timeout=10).status_code == 200
    assert "Traceback" not in impatient.server.log


@pytest.mark.parametrize("query", ["", "?stream=true"], ids=["plain", "stream"])
def test_who_reads_slowly_gets_the_whole_answer(impatient: RawClient, query: str) -> None:
    with connected_narrowly(impatient) as slow:
        slow.sendall(impatient.request("whole", query, message=LONG).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        size, began = 0, time.monotonic()
        while piece := slow.recv(65_536):
            size += len(piece)
            if time.monotonic() - began < 5:  # longer than anybody may pause
                time.sleep(0.2)
    assert size > 30 * len(LONG)


def test_a_stream_that_nobody_reads_can_be_stopped(raw: RawClient) -> None:
    """The server waits for room to send then, not for the model."""
    with connected_narrowly(raw) as stuck:
        stuck.sendall(raw.request("whole", "?stream=true", message=LONG))
        question, *_ = messages(raw, "whole", count=1)
        metadata: Any = question["session_metadata"]
        address = f"{raw.server.url}/api/v1/runs/{metadata['graph_run_id']}"
        told = requests.post(f"{address}/stop", headers={"x-api-key": raw.key}, timeout=30)
        assert told.status_code == 200
        assert told.json()["status"] in ("stopped", "complete")


@contextmanager
def connected_narrowly(raw: RawClient) -> Iterator[socket.socket]:
    """A connection whose own side keeps little of what nobody reads."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", raw.server.port))
        yield connection


def is_reset(connection: socket.socket, *, within: float) -> bool:
    """Whether the other side ends the connection, without reading from it."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(within * 1000))
