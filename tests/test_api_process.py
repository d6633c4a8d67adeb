"""The API under the real server: clients that leave, wait or do not read, the process that ends, a log without keys."""

import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from tests.page_socket import Browser, open_page
from tests.raw_client import RawClient, read_to_end, reset
from tests.running import chat_flow
from tests.servers import AppServer
from tests.waiting import eventually

COMMANDS: list[Literal["streamlit", "uvicorn"]] = ["streamlit", "uvicorn"]
FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("echo", "slow", "long", "fail")}
FLOWS |= {name: chat_flow("scripted:silent") for name in ("silent", "silent-sse", "silent-stream")}
FLOWS |= {"long-sse": FLOWS["long"]}
FLOWS["whole"] = """\
name: Whole
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In}"}
"""
LONG = "\x01" * 200_000
"""A message of the longest kind, six bytes a character in JSON: an answer is 7 MB, a stream 13 MB, more than the
kernel's buffers take in."""
LOUD = {"STREAMLIT_LOGGER_LEVEL": "debug", "UVICORN_LOG_LEVEL": "debug"}


class Client(RawClient):
    """Calls of one server with one token, whole ones too."""

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}

    def run(self, flow: str, query: str = "", **more: Any) -> requests.Response:
        url = f"{self.server.url}/api/v1/run/{flow}{query}"
        given: dict[str, Any] = {"json": {"input_value": "hi"}, "headers": self.headers, "timeout": 30}
        return requests.post(url, **given | more)

    def messages(self, flow: str, *, count: int = 1) -> list[dict[str, Any]]:
        """The token's messages in a flow, once there are `count`."""
        url = f"{self.server.url}/api/v1/monitor/messages?flow_id={flow}"

        def look() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = requests.get(url, headers=self.headers, timeout=10).json()
            return found if len(found) >= count else []

        return eventually(look)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    config = {"limits": {"resume_seconds": 0.5}}
    with AppServer(tmp_path_factory.mktemp("api"), flows=FLOWS, config=config) as server:
        yield Client(server)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that waits for no piece of a request for long."""
    config = {"limits": {"request_seconds": 1}}
    with AppServer(tmp_path_factory.mktemp("hasty"), flows=FLOWS, config=config) as server:
        yield Client(server)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    config = {"limits": {"request_seconds": 3}}
    with AppServer(tmp_path_factory.mktemp("impatient"), flows=FLOWS, config=config) as server:
        yield Client(server)


@pytest.mark.parametrize(("flow", "query"), [("long", "?stream=true"), ("long-sse", "?stream=sse&shape=simple")])
def test_tokens_arrive_as_they_are_said_and_a_client_that_leaves_ends_the_run(
    client: Client, flow: str, query: str
) -> None:
    with client.run(flow, query, stream=True) as stream:
        lines = (line.decode() for line in stream.iter_lines())
        assert "word1" in next(line for line in lines if "word" in line)
    text = client.messages(flow, count=2)[1]["text"]  # the whole answer takes ten seconds
    assert text.startswith("word1")
    assert text.count("word") < 100


@pytest.mark.parametrize(
    ("flow", "query"), [("silent-sse", "?stream=sse"), ("silent-stream", "?stream=true"), ("silent", "")]
)
def test_fifty_clients_that_leave_a_silent_model_leave_nothing_in_the_log(
    client: Client, flow: str, query: str
) -> None:
    """Who shuts down the writing side counts as gone."""
    before = len(client.server.log)
    with ExitStack() as open_ones:
        leavers = [open_ones.enter_context(client.sent(client.request(flow, query))) for _ in range(50)]
        assert len(client.messages(flow, count=50)) == 50  # every model is asked, and says nothing
        for number, leaver in enumerate(leavers):
            if number % 3 == 0:
                leaver.close()
            elif number % 3 == 1:
                reset(leaver)
            else:
                leaver.shutdown(socket.SHUT_WR)
        assert len(client.messages(flow, count=100)) == 100  # each call ended down to the model: its turn is stored
        assert query or {read_to_end(leaver) for leaver in leavers[2::3]} == {b""}
    log = client.server.log[before:]
    assert "Traceback" not in log
    assert "unexpected failure" not in log


def test_an_older_client_gets_a_stream_in_chunks(client: Client) -> None:
    """uvicorn 0.54 does so for every version; nginx, which speaks HTTP/1.0 unless told otherwise, reads them."""
    head, _, body = client.heard(client.request("echo", "?stream=true", version="1.0")).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"\r\n0\r\n\r\n")
    head, _, body = client.heard(client.request("echo", version="1.0")).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head


def test_idle_slow_clients_do_not_stop_a_healthy_one(client: Client) -> None:
    head = client.head("echo", length=100)
    halves = (head[:-2], head + b'{"input')
    with ExitStack() as idle:
        for number in range(200):
            idle.enter_context(client.sent(halves[number % 2]))
        for _ in range(5):
            assert client.run("echo").status_code == 200
    assert client.run("echo").status_code == 200


def test_a_stream_that_nobody_reads_can_be_stopped(client: Client) -> None:
    """The server waits for room to send then, not for the model."""
    with connected_narrowly(client) as stuck:
        stuck.sendall(client.request("whole", "?stream=true", message=LONG))
        run = client.messages("whole")[0]["session_metadata"]["graph_run_id"]
        address = f"{client.server.url}/api/v1/runs/{run}/stop"
        told = requests.post(address, headers=client.headers, timeout=30)
        assert told.status_code == 200
        assert told.json()["status"] in ("stopped", "complete")


def test_fifty_heads_without_a_body_are_answered_and_closed(hasty: Client) -> None:
    with ExitStack() as open_ones:
        waiting = [open_ones.enter_context(hasty.sent(hasty.head("echo", length=100))) for _ in range(50)]
        answers = [read_to_end(connection).decode() for connection in waiting]
    assert {answer.partition("\r\n")[0] for answer in answers} == {"HTTP/1.1 408 Request Timeout"}
    assert all("connection: close" in answer and '"code":"body_too_slow"' in answer for answer in answers)


def test_half_a_request_is_given_up(hasty: Client) -> None:
    head, whole = hasty.head("echo", length=100)[:-2], hasty.head("echo", length=2) + b"{}"
    assert hasty.heard(head) == b""
    assert hasty.heard(b"") == b""
    half = hasty.heard(head + b"\r\n{")
    assert half.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b'"code":"body_too_slow"' in half
    assert hasty.heard(whole + head).count(b"HTTP/1.1 200") == 1
    with open_page(Browser(hasty.server.url)) as page:  # neither are pages idle, nor a second at work
        page.visit()
        answer = hasty.run("slow", "?shape=simple", json={"input_value": "word " * 30})
        assert answer.json()["text"].count("word") == 30
        page.visit()


def test_a_body_that_comes_byte_by_byte_has_an_end(hasty: Client) -> None:
    """Ten times the patience for a piece; each of its pieces is in time."""
    with hasty.sent(hasty.head("echo", length=1000) + b"{") as slow:
        slow.settimeout(0.05)
        answer = b""
        for _ in range(500):
            try:
                if not (piece := slow.recv(65536)):
                    break
                answer += piece
            except TimeoutError:
                with suppress(OSError):
                    slow.sendall(b" ")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"The whole body did not arrive within 10 s." in answer


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"], ids=["plain", "stream", "sse"])
def test_who_does_not_read_an_answer_is_cut(impatient: Client, query: str) -> None:
    with connected_narrowly(impatient) as idle:
        idle.sendall(impatient.request("whole", query, message=LONG))
        poll = select.poll()
        poll.register(idle, 0)
        assert poll.poll(30_000)  # the other side ends the connection, without anybody reading from it
    assert requests.get(f"{impatient.server.url}/health", timeout=10).status_code == 200
    assert "Traceback" not in impatient.server.log


@pytest.mark.parametrize("query", ["", "?stream=true"], ids=["plain", "stream"])
def test_who_reads_slowly_gets_the_whole_answer(impatient: Client, query: str) -> None:
    with connected_narrowly(impatient) as slow:
        slow.sendall(impatient.request("whole", query, message=LONG).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        size, began = 0, time.monotonic()
        while piece := slow.recv(65_536):
            size += len(piece)
            if time.monotonic() - began < 4:  # longer than anybody may pause
                time.sleep(0.2)
    assert size > 30 * len(LONG)


@contextmanager
def connected_narrowly(client: Client) -> Iterator[socket.socket]:
    """A connection whose own side keeps little of what nobody reads."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", client.server.port))
        yield connection


@pytest.mark.parametrize("by", COMMANDS)
def test_no_key_is_ever_logged(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    with AppServer(tmp_path, flows=FLOWS, by=by, environment=LOUD) as server:
        client = Client(server)
        key = client.key
        for flow in ("echo", "fail", "nothing"):
            client.run(flow)
            client.run(flow, headers={"authorization": f"Bearer {key}"})
            client.run(flow, f"?x-api-key={key}", headers={})
            client.run(flow, f"?stream=true&x-api-key={key}", headers={})
        client.run("echo", f"?x-api-key={key}&x-api-key={key}", data=b"{broken", json=None)
        requests.get(f"{server.url}/?x-api-key={key}", timeout=10)
        revoked = server.run_command("keys", "revoke", key)
        client.run("echo")
        log = server.log
    assert revoked.returncode == 0
    # Each server said what it says at that level only, so the log is the whole one.
    assert ("Starting uvicorn" if by == "streamlit" else "POST /api/v1/run/echo?stream=true HTTP") in log
    assert "Traceback" not in log
    assert key not in log
    assert key[3:20] not in log
    assert key not in revoked.stdout + revoked.stderr


def test_uses_and_revocation_are_seen_from_the_command_line(client: Client) -> None:
    mine = Client(client.server)
    mine.key = client.server.token("counted")
    for _ in range(3):
        assert mine.run("echo").status_code == 200

    def look() -> list[str] | None:
        listed = client.server.run_command("keys", "list").stdout.splitlines()
        (row,) = [line.split() for line in listed if "counted" in line]
        return row if row[-3] == "3" else None

    row = eventually(look) or []
    assert row[-4].startswith("20")
    assert client.server.run_command("keys", "revoke", row[0]).returncode == 0
    refused = mine.run("echo")
    assert (refused.status_code, refused.json()["code"]) == (403, "api_key_revoked")


@pytest.mark.parametrize("by", COMMANDS)
def test_what_runs_when_the_process_ends_is_told(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    config = {"limits": {"shutdown_seconds": 0.5}, "api": {"cors": False}}
    with AppServer(tmp_path, flows=FLOWS, by=by, config=config) as server:
        client = Client(server)
        asked = {"Origin": "http://example.com", "Access-Control-Request-Method": "POST"}
        for method, path in (("GET", "flows/"), ("OPTIONS", "run/echo")):
            answer = requests.request(method, f"{server.url}/api/v1/{path}", headers=asked, timeout=10)
            assert "access-control-allow-origin" not in answer.headers  # the setting lets no other site call
        with end_during(client, ("silent", ""), ("long", "?stream=true"), ("long", "?stream=sse")) as answers:
            began = time.monotonic()
        assert time.monotonic() - began < 9.5  # unless told otherwise it waits ten
        log = server.log
    plain, *streams = answers
    assert (plain.status_code, plain.json()["detail"]["code"]) == (503, "shutting_down")
    for stream in streams:
        assert "shutting_down" in stream.text.strip().splitlines()[-1]
    assert "Traceback" not in log


def test_what_can_finish_within_the_grace_does(tmp_path: Path) -> None:
    with (
        AppServer(tmp_path, flows={"slow": chat_flow("scripted:slow")}) as server,
        end_during(Client(server), ("slow", "?shape=simple"), said="word " * 20) as answers,
    ):
        pass
    assert answers[0].json()["text"].count("word") == 20


@contextmanager
def end_during(client: Client, *calls: tuple[str, str], said: str = "hi") -> Iterator[list[requests.Response]]:
    """The process is told to end while these are answered; afterwards it has, and their answers are there."""
    answers: dict[int, requests.Response] = {}

    def call(number: int, flow: str, query: str) -> None:
        answers[number] = client.run(flow, query, json={"input_value": said})

    threads = [threading.Thread(target=call, args=(number, *given)) for number, given in enumerate(calls)]
    for thread in threads:
        thread.start()
    for flow in {flow for flow, _ in calls}:
        client.messages(flow, count=[name for name, _ in calls].count(flow))
    assert client.server.process is not None
    client.server.process.send_signal(signal.SIGTERM)
    found: list[requests.Response] = []
    yield found
    client.server.process.wait(20)
    for thread in threads:
        thread.join(10)
    found += [answers[number] for number in range(len(calls))]
