"""The API under the real server: leaving clients, idle ones, the end of the process, and a log without keys."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from tests.page_socket import Browser, open_page
from tests.running import chat_flow
from tests.servers import AppServer
from tests.waiting import eventually

COMMANDS: list[Literal["streamlit", "uvicorn"]] = ["streamlit", "uvicorn"]
FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("echo", "slow", "long", "silent", "fail")} | {
    "sse": chat_flow("scripted:long")
}
LOUD = {"STREAMLIT_LOGGER_LEVEL": "debug", "UVICORN_LOG_LEVEL": "debug"}


class Client:
    """Calls of one server with one token."""

    def __init__(self, server: AppServer) -> None:
        self.server = server
        self.headers = {"x-api-key": server.token("test")}

    def run(self, flow: str, query: str = "", **more: Any) -> requests.Response:
        url = f"{self.server.url}/api/v1/run/{flow}{query}"
        given: dict[str, Any] = {"json": {"input_value": "hi"}, "headers": self.headers, "timeout": 30}
        return requests.post(url, **given | more)

    def messages(self, flow: str) -> list[dict[str, Any]]:
        url = f"{self.server.url}/api/v1/monitor/messages?flow_id={flow}"
        found: list[dict[str, Any]] = requests.get(url, headers=self.headers, timeout=10).json()
        return found

    def eventually_answered(self, flow: str) -> str:
        """The text of the flow's answer, once it is stored."""
        return str(eventually(lambda: self.messages(flow)[1:])[0]["text"])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    config = {"limits": {"resume_seconds": 0.5}}
    with AppServer(tmp_path_factory.mktemp("api"), flows=FLOWS, config=config) as server:
        yield Client(server)


def test_tokens_arrive_as_they_are_said(client: Client) -> None:
    began = time.monotonic()
    first = 0.0
    with client.run("long", "?stream=true", stream=True) as stream:
        for line in stream.iter_lines():
            if line and json.loads(line)["event"] == "token":
                first = time.monotonic() - began
                break
    assert 0 < first < 9  # the whole answer takes ten seconds


def test_a_client_that_leaves_a_stream_ends_the_run(client: Client) -> None:
    text = client.eventually_answered("long")  # the test above left after the first token
    assert text.startswith("word1")
    assert text.count("word") < 100


def test_a_client_that_leaves_server_sent_events_ends_the_run(client: Client) -> None:
    with client.run("sse", "?stream=sse&shape=simple", stream=True) as stream:
        assert next(stream.iter_lines()).startswith(b"id: ")
    assert client.eventually_answered("sse").count("word") < 100


def test_a_client_that_leaves_a_plain_run_ends_it(client: Client) -> None:
    with pytest.raises(requests.ReadTimeout):
        client.run("silent", timeout=3)
    assert client.eventually_answered("silent") == ""


def test_nobody_without_its_token_is_told_of_a_run_or_stops_it(client: Client) -> None:
    """Asked of a running server by programs that have no key, another's key, or a browser's cookies only."""
    other = {"x-api-key": client.server.token("somebody else's")}
    with client.run("long", "?stream=sse", stream=True) as stream:
        lines = stream.iter_lines()  # dropped, it would close the connection
        run = next(lines).decode().removeprefix("id: ").partition("/")[0]
        address = f"{client.server.url}/api/v1/runs/{run}"
        for headers, status in (({}, 403), ({"cookie": "flowground=x"}, 403), ({"x-api-key": "x"}, 403), (other, 404)):
            for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/stop")):
                answer = requests.request(method, f"{address}{path}", headers=headers, timeout=10)
                assert (answer.status_code, "word1" in answer.text) == (status, False), (method, path, headers)
        mine = requests.get(address, headers={"x-api-key": client.headers["x-api-key"]}, timeout=10).json()
        assert mine["status"] == "running"


def test_idle_slow_clients_do_not_stop_a_healthy_one(client: Client) -> None:
    key = client.headers["x-api-key"]
    head = f"POST /api/v1/run/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {key}\r\n"
    halves = (head, f'{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"input')
    with ExitStack() as idle:
        for number in range(200):
            slow = idle.enter_context(socket.create_connection(("127.0.0.1", client.server.port), timeout=10))
            slow.sendall(halves[number % 2].encode())
        for _ in range(5):
            assert client.run("echo").status_code == 200
    assert client.run("echo").status_code == 200


def test_half_a_request_is_given_up(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=FLOWS, config={"limits": {"request_seconds": 0.5}}) as server:
        client = Client(server)
        key = client.headers["x-api-key"]
        head = f"POST /api/v1/run/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {key}\r\n"
        whole = f"{head}Content-Length: 2\r\n\r\n{{}}"

        def heard(said: str) -> str:
            """Everything the server answers until it hangs up."""
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
                slow.sendall(said.encode())
                answer = b""
                while piece := slow.recv(65536):
                    answer += piece
                return answer.decode()

        assert heard(head) == ""
        assert heard("") == ""
        half = heard(f"{head}Content-Length: 100\r\n\r\n{{")
        assert half.startswith("HTTP/1.1 408 Request Timeout")
        assert '"code":"body_too_slow"' in half
        assert heard(whole + head).count("HTTP/1.1 200") == 1
        with open_page(Browser(server.url)) as page:  # neither are pages idle, nor two seconds at work
            page.visit()
            answer = client.run("slow", "?shape=simple", json={"input_value": "word " * 40})
            assert answer.json()["text"].count("word") == 40
            page.visit()


def test_a_body_that_comes_byte_by_byte_has_an_end(tmp_path: Path) -> None:
    """Ten times the patience for a piece; each of its pieces is in time."""
    with AppServer(tmp_path, flows=FLOWS, config={"limits": {"request_seconds": 0.3}}) as server:
        client = Client(server)
        head = f"POST /api/v1/run/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {client.headers['x-api-key']}\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
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
        assert b"The whole body did not arrive within 3 s." in answer


def test_a_failing_run_leaves_one_line_in_the_log_at_most(client: Client) -> None:
    before = len(client.server.log)
    for _ in range(20):
        assert client.run("fail").status_code == 502
        assert client.run("fail", "?stream=true").status_code == 200
    said = client.server.log[before:]
    assert "Traceback" not in said
    assert len(said) < 40 * 200


@pytest.mark.parametrize("by", COMMANDS)
def test_no_key_is_ever_logged(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    with AppServer(tmp_path, flows=FLOWS, by=by, environment=LOUD) as server:
        client = Client(server)
        key = client.headers["x-api-key"]
        for flow in ("echo", "fail", "nothing"):
            client.run(flow)
            client.run(flow, headers={"authorization": f"Bearer {key}"})
            client.run(flow, f"?x-api-key={key}", headers={})
            client.run(flow, f"?stream=true&x-api-key={key}", headers={})
        client.run("echo", f"?x-api-key={key}&x-api-key={key}", headers={"x-api-key": key}, data=b"{broken", json=None)
        requests.get(f"{server.url}/?x-api-key={key}", timeout=10)
        revoked = server.run_command("keys", "revoke", key)
        client.run("echo")
        log = server.log
    assert revoked.returncode == 0
    # Each server said what it says at that level only, so the log is the whole one.
    assert ("Starting uvicorn" if by == "streamlit" else "POST /api/v1/run/echo?stream=true HTTP") in log
    assert key not in log
    assert key[3:20] not in log
    assert key not in revoked.stdout + revoked.stderr


def test_uses_and_revocation_are_seen_from_the_command_line(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=FLOWS) as server:
        client = Client(server)
        for _ in range(3):
            assert client.run("echo").status_code == 200
        end = time.monotonic() + 60
        while (row := server.run_command("keys", "list").stdout.splitlines()[-1].split())[-3] != "3":
            assert time.monotonic() < end, row
        assert row[-4].startswith("20")
        assert server.run_command("keys", "revoke", row[0]).returncode == 0
        refused = client.run("echo")
        assert (refused.status_code, refused.json()["code"]) == (403, "api_key_revoked")


@pytest.mark.parametrize("by", COMMANDS)
def test_what_runs_when_the_process_ends_is_told(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    answers: dict[str, tuple[int, str]] = {}
    with AppServer(tmp_path, flows=FLOWS, by=by, config={"limits": {"shutdown_seconds": 0.5}}) as server:
        client = Client(server)

        def call(name: str, flow: str, query: str) -> None:
            response = client.run(flow, query)
            answers[name] = (response.status_code, response.text)

        calls = [
            threading.Thread(target=call, args=given)
            for given in (("plain", "silent", ""), ("stream", "long", "?stream=true"), ("sse", "long", "?stream=sse"))
        ]
        for thread in calls:
            thread.start()
        eventually(lambda: len(client.messages("long")) + len(client.messages("silent")) == 3)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        server.process.wait(20)
        assert time.monotonic() - began < 9.5  # unless told otherwise it waits ten
        for thread in calls:
            thread.join(10)
        log = server.log
    status, text = answers["plain"]
    assert (status, json.loads(text)["detail"]["code"]) == (503, "shutting_down")
    for name in ("stream", "sse"):
        last = answers[name][1].strip().splitlines()[-1]
        assert "shutting_down" in last, answers[name]
    assert "Traceback" not in log


def test_what_can_finish_within_the_grace_does(tmp_path: Path) -> None:
    flows = {"slow": chat_flow("scripted:slow")}
    answers: list[requests.Response] = []
    with AppServer(tmp_path, flows=flows) as server:
        client = Client(server)
        said = " ".join(["word"] * 20)
        body = {"input_value": said}
        thread = threading.Thread(target=lambda: answers.append(client.run("slow", "?shape=simple", json=body)))
        thread.start()
        eventually(lambda: client.messages("slow"))
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        thread.join(10)
    assert answers[0].json()["text"] == f"You said: {said}"


@pytest.mark.parametrize("allowed", [True, False])
def test_pages_of_other_sites_call_the_api_where_the_setting_lets_them(tmp_path: Path, allowed: bool) -> None:
    asked = {"Origin": "http://example.com", "Access-Control-Request-Method": "POST"}
    with AppServer(tmp_path, config={"api": {"cors": allowed}}, flows=FLOWS) as server:
        answer = requests.get(f"{server.url}/api/v1/flows/", headers=asked, timeout=10)
        preflight = requests.options(f"{server.url}/api/v1/run/echo", headers=asked, timeout=10)
    assert ("access-control-allow-origin" in answer.headers) == allowed
    assert ("access-control-allow-origin" in preflight.headers) == allowed
