"""`Idempotency-Key` under the real server, by clients that are cut, processes that die, and two of them at once."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api.langflow_shapes import read_told
from tests.raw_client import RawClient, reset
from tests.running import chat_flow
from tests.servers import AppServer
from tests.store_databases import DATABASES, empty_database
from tests.waiting import eventually

FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("echo", "slow", "long", "silent")}
SAID = "one two three four five six seven"


@pytest.fixture(params=DATABASES, scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request.param, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="module")
def shared(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    with AppServer(tmp_path_factory.mktemp("app"), flows=FLOWS, config={"database": database}) as server:
        yield RawClient(server)


@pytest.fixture
def client(shared: RawClient) -> RawClient:
    """One with a token of its own, to one server."""
    shared.key = shared.server.token("raw")
    return shared


def request(client: RawClient, flow: str, query: str = "", *, key: str) -> bytes:
    """A whole run request, after which the server hangs up."""
    body = json.dumps({"input_value": SAID}).encode()
    head = client.head(flow, query, length=len(body))
    return head[:-2] + f"Idempotency-Key: {key}\r\nConnection: close\r\n\r\n".encode() + body


def ask(client: RawClient, flow: str, query: str = "", *, key: str = "k") -> tuple[str, bytes]:
    """The answer's head in small letters, and its body without its chunks' lengths."""
    return split(client.heard(request(client, flow, query, key=key)))


def split(answer: bytes) -> tuple[str, bytes]:
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head.decode().lower(), unchunk(rest) if b"chunked" in head.lower() else rest


def unchunk(rest: bytes) -> bytes:
    """What stands in whole chunks."""
    body = b""
    while rest:
        length, _, rest = rest.partition(b"\r\n")
        if not length or len(rest) < int(length, 16):
            break
        body, rest = body + rest[: int(length, 16)], rest[int(length, 16) + 2 :]
    return body


def find_run(client: RawClient, flow: str, status: str) -> dict[str, Any]:
    """The newest run of the flow, once it has this status; by the messages' ids of runs."""
    headers = {"x-api-key": client.key}
    address = f"{client.server.url}/api/v1/monitor/messages?flow_id={flow}&order=DESC"
    run = eventually(lambda: requests.get(address, headers=headers, timeout=10).json())[0]["session_metadata"]

    def look() -> Any:
        found = requests.get(f"{client.server.url}/api/v1/runs/{run['graph_run_id']}", headers=headers, timeout=10)
        return found.json() if found.json().get("status") == status else None

    found: dict[str, Any] = eventually(look)
    return found


def read_said(told: str) -> str:
    return "".join(re.findall(r'\{"(?:chunk|text)": "([^"]*)", "id"', told))


@pytest.mark.parametrize("query", ["?stream=sse", "?stream=true", "?stream=sse&shape=simple"])
def test_a_stream_cut_anywhere_is_told_whole_again(client: RawClient, query: str) -> None:
    whole: set[bytes] = set()
    for number, at in enumerate((1, 200, 900, 1_700, 2_500, 4_000)):
        heard = b""
        with client.sent(request(client, "slow", query, key=f"cut-{number}")) as connection:
            while len(heard) < at and (piece := connection.recv(min(512, at - len(heard)))):
                heard += piece
            reset(connection)
        again = [ask(client, "slow", query, key=f"cut-{number}") for _ in range(2)]
        assert read_told(again[0][1].decode()) == read_told(again[1][1].decode())
        head, body = again[0]
        assert "\r\nidempotency-replayed: true" in head
        said, told = (read_said(text.decode()) for text in (unchunk(heard.partition(b"\r\n\r\n")[2]), body))
        assert (told, told.startswith(said)) == (f"You said: {SAID}", True)
        whole.add(body)
    assert len(whole) == 6  # each key has a run of its own


def test_a_plain_run_with_a_key_goes_on_without_its_client(client: RawClient) -> None:
    for flow, key, status in (("slow", "k", "complete"), ("silent", "", "stopped")):
        said = request(client, flow, key=key) if key else client.request(flow)
        with client.sent(said) as connection:
            find_run(client, flow, "running")
            reset(connection)
        assert find_run(client, flow, status)["status"] == status
    head, body = ask(client, "slow", "?shape=simple")
    assert head.startswith("http/1.1 200")
    assert json.loads(body)["text"] == f"You said: {SAID}"


def test_a_plain_run_with_a_key_ends_when_nobody_comes_back(database: str, tmp_path: Path) -> None:
    config = {"database": database, "limits": {"resume_seconds": 0.3}}
    with AppServer(tmp_path, flows=FLOWS, config=config) as server:
        client = RawClient(server)
        with client.sent(request(client, "silent", key="k")) as connection:
            find_run(client, "silent", "running")
            reset(connection)
        assert find_run(client, "silent", "stopped")["answers"][0]["state"] == "stopped"
        head, body = ask(client, "silent")
    assert head.startswith("http/1.1 409")
    assert json.loads(body)["code"] == "run_stopped"


def test_after_a_restart_the_first_answer_is_told(client: RawClient) -> None:
    queries = ("", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple")
    told = ask(client, "slow", "?stream=sse")
    before = {query: ask(client, "slow", query) for query in queries}
    assert read_told(before["?stream=sse"][1].decode()) == read_told(told[1].decode())
    client.server.stop()
    client.server.start()
    after = {query: ask(client, "slow", query) for query in queries}
    for query in queries:
        assert read_told(after[query][1].decode()) == read_told(before[query][1].decode())
        assert "\r\nidempotency-replayed: true" in after[query][0]


def test_a_run_whose_process_died_is_not_run_again(client: RawClient) -> None:
    with client.sent(request(client, "long", "?stream=sse", key="k")) as connection:
        assert connection.recv(10)
        find_run(client, "long", "running")
        client.server.kill()
    client.server.start()
    for query in ("", "?stream=true"):
        head, body = ask(client, "long", query)
        assert ("500" if not query else "200") in head.splitlines()[0]
        assert '"interrupted"' in body.decode()
        assert "\r\nidempotency-replayed: true" in head
    assert find_run(client, "long", "interrupted")["error_code"] == "interrupted"


@pytest.fixture
def two(database: str, tmp_path: Path) -> Iterator[tuple[RawClient, RawClient]]:
    """Two processes on one database, and one token."""
    with ExitStack() as stack:
        apps = (AppServer(tmp_path / name, flows=FLOWS, config={"database": database}) for name in ("one", "two"))
        first, second = (RawClient(stack.enter_context(app)) for app in apps)
        second.key = first.key
        yield first, second


def test_two_processes_make_one_run(two: tuple[RawClient, RawClient]) -> None:
    asked = [(f"k{n}", client) for n in range(6) for client in (*two, *two)]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: (one[0], ask(one[1], "slow", key=one[0])), asked))
    for n in range(6):
        told = [answer for key, answer in answers if key == f"k{n}"]
        assert [head.splitlines()[0] for head, _ in told] == ["http/1.1 200 ok"] * 4
        assert len({body for _, body in told}) == 1
        assert sum("idempotency-replayed" not in head for head, _ in told) == 1


def test_a_stream_is_resumed_at_another_process(two: tuple[RawClient, RawClient]) -> None:
    """While it goes on, and when the process that ran it is gone."""
    first, second = two
    heard = b""
    with first.sent(request(first, "slow", "?stream=sse", key="k")) as connection:
        while b"event: token" not in heard:
            heard += connection.recv(512)
        run = re.findall(rb"id: ([\w-]+)/1\n", heard)[0].decode()
        address, headers = f"{second.server.url}/api/v1/runs/{run}/events", {"x-api-key": second.key}
        rest = requests.get(f"{address}?after=2", headers=headers, timeout=60).text
        while piece := connection.recv(4096):
            heard += piece
    whole = read_told(split(heard)[1].decode())
    assert [read_told(rest), whole[-1][1]] == [whole[2:], "end"]
    first.server.kill()
    assert read_told(requests.get(address, headers=headers, timeout=60).text) == whole


def test_a_stream_that_its_server_cut_is_read_elsewhere_with_the_same_end(database: str, tmp_path: Path) -> None:
    config = {"database": database, "limits": {"shutdown_seconds": 0.2}}
    with ExitStack() as stack:
        apps = (AppServer(tmp_path / name, flows=FLOWS, config=config) for name in ("one", "two"))
        first, second = (RawClient(stack.enter_context(app)) for app in apps)
        heard = b""
        with first.sent(request(first, "long", "?stream=sse", key="k")) as connection, ThreadPoolExecutor(1) as threads:
            while b"event: token" not in heard:
                heard += connection.recv(512)
            stopped = threads.submit(first.server.stop)
            while piece := connection.recv(4096):
                heard += piece
            stopped.result()
        run = re.findall(rb"id: ([\w-]+)/1\n", heard)[0].decode()
        address, headers = f"{second.server.url}/api/v1/runs/{run}/events", {"x-api-key": first.key}
        told = split(heard)[1].decode()
        again = requests.get(address, headers=headers, timeout=60).text
        (heard_text, kept_text) = (
            next(one[3] for one in read_told(text) if one[1] == "token") for text in (told, again)
        )
        assert kept_text.startswith(heard_text), "a word may be kept that was not sent any more"
        ends = [text.partition("event: error")[2].strip() for text in (told, again)]
        assert ends[0] == ends[1]
        assert '"code": "shutting_down"' in ends[0]


def test_a_run_of_another_process_is_waited_for(database: str, tmp_path: Path) -> None:
    config = {"database": database, "limits": {"resume_seconds": 1}}
    with (
        AppServer(tmp_path / "one", flows=FLOWS, config=config) as one,
        AppServer(tmp_path / "two", flows=FLOWS, config=config) as two,
    ):
        first, second = RawClient(one), RawClient(two)
        second.key = first.key
        with first.sent(request(first, "long", "?stream=sse", key="k")) as connection:
            assert connection.recv(10)
            head, body = ask(second, "long")
            assert head.startswith("http/1.1 409")
            assert "\r\nretry-after: 5" in head
            assert json.loads(body)["code"] == "run_unfinished"
            one.kill()

        def is_interrupted() -> bool:
            head, body = ask(second, "long")
            return head.startswith("http/1.1 500") and json.loads(body)["code"] == "interrupted"

        eventually(is_interrupted)
