"""`should_store_message: false`: nothing of what is said and answered is kept, anywhere; the run's facts stay."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests
import yaml
from sqlalchemy import Connection, NullPool, create_engine, inspect, make_url

from tests.api import api_flows
from tests.api.langflow_shapes import read_told
from tests.running import chat_flow
from tests.servers import AppServer
from tests.store_databases import DATABASES, empty_database
from tests.waiting import eventually

KEPT = {name: chat_flow(f"scripted:{name}") for name in ("echo", "slow", "fail", "breaks", "long")}
KEPT["remember"] = api_flows.FLOWS["remember"]
FLOWS = KEPT | {
    f"un{name}": text.replace("{type: ChatInput}", "{type: ChatInput, should_store_message: false}").replace(
        "type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n"
    )
    for name, text in KEPT.items()
}
FLOWS["unanswered"] = KEPT["echo"].replace("type: ChatOutput\n", "type: ChatOutput\n    should_store_message: false\n")
OFF: dict[str, Any] = {"tweaks": {"ChatInput": {"should_store_message": False}}}
QUERIES = ("", "?shape=simple", "?stream=true", "?stream=sse")


class Client:
    """Calls of one server with one token."""

    def __init__(self, server: AppServer) -> None:
        self.server = server
        self.headers = {"x-api-key": server.token("test", may=("--sets", "unprotected"))}

    def run(self, flow: str, said: str, query: str = "", *, key: str = "", **more: Any) -> requests.Response:
        headers = self.headers | ({"idempotency-key": key} if key else {})
        url, body = f"{self.server.url}/api/v1/run/{flow}{query}", {"input_value": said} | more
        return requests.post(url, json=body, headers=headers, timeout=60)

    def get(self, path: str) -> Any:
        return requests.get(f"{self.server.url}/api/v1/{path}", headers=self.headers, timeout=10).json()


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("unkept")
    with empty_database(request.param, folder) as url:
        config = {"database": url, "limits": {"resume_seconds": 1}}
        with AppServer(folder, flows=FLOWS, config=config) as server:
            yield server


@contextmanager
def connect(server: AppServer) -> Iterator[Connection]:
    url = make_url(str(yaml.safe_load(server.config_file.read_text())["database"]))
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        yield connection


def find_canary(server: AppServer, canary: str) -> list[str]:
    """Where the word stands: files beside flows and config.yaml, and rows of PostgreSQL."""
    files = [path for path in server.folder.rglob("*") if path.is_file() and path.suffix not in (".yaml",)]
    assert files
    found = [str(path) for path in files if canary.encode() in path.read_bytes()]
    with connect(server) as connection:
        if connection.dialect.name == "postgresql":
            tables = inspect(connection).get_table_names()
            assert "messages" in tables
            for table in tables:
                rows = connection.exec_driver_sql(f"SELECT t::text FROM {table} t")
                found += [table for (row,) in rows if canary in row]
    return found


def list_runs(server: AppServer) -> list[Any]:
    with connect(server) as connection:
        return list(connection.exec_driver_sql("SELECT id, status, error_code FROM runs ORDER BY started_at").all())


def find_running(client: Client) -> str:
    return next((str(run) for run, status, _ in list_runs(client.server) if status == "running"), "")


def read_running(client: Client) -> str:
    """What the running run has said so far; "" where none runs."""
    run = find_running(client)
    return str(client.get(f"runs/{run}")["answers"][0]["text"]) if run else ""


def start(client: Client, said: str, query: str) -> threading.Thread:
    """A long answer, whose end nobody is interested in."""

    def run() -> None:
        with suppress(requests.RequestException):
            client.run("unlong", said, query)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_nothing_of_what_was_said_is_found_anywhere(server: AppServer) -> None:
    client, canary = Client(server), f"canary{uuid.uuid4().hex}"
    for query in QUERIES:
        for flow, more in (("unecho", {}), ("unanswered", {}), ("echo", OFF), ("unremember", {})):
            told = client.run(flow, canary, query, key=f"{flow}{query}", session_id="s", **more)
            assert (told.status_code, canary in told.text) == (200, True)
        for flow in ("unfail", "unbreaks"):
            assert canary not in client.run(flow, canary, query).text or query
    stopping = start(client, f"{canary} stopped", "?stream=true")
    assert eventually(lambda: read_running(client)).startswith("word1")
    run = find_running(client)
    ended = requests.post(f"{server.url}/api/v1/runs/{run}/stop", headers=client.headers, timeout=20).json()
    assert (ended["status"], ended["answers"]) == ("stopped", [])
    stopping.join(20)
    killed = start(client, f"{canary} killed", "?stream=sse")
    eventually(lambda: read_running(client).count("word") > 60)  # over 2 s
    assert client.get("monitor/messages") == []
    assert client.get("monitor/messages/sessions") == []
    server.kill()
    killed.join(20)
    assert find_canary(server, canary) == []
    server.start()
    eventually(lambda: [status for _, status, _ in list_runs(server)].count("interrupted") == 1)
    assert find_canary(server, canary) == []
    assert client.run("echo", canary).status_code == 200  # and the search finds what is kept
    server.stop()
    assert find_canary(server, canary) != []
    server.start()


def test_a_run_of_which_nothing_is_kept_has_its_facts(server: AppServer) -> None:
    client = Client(server)
    assert client.run("unecho", "hi", session_id="s").status_code == 200
    assert client.run("unfail", "hi", session_id="s").status_code == 502
    (done, complete, _), (bad, failed, code) = list_runs(server)[-2:]
    assert (complete, failed, code) == ("complete", "failed", "model_failed")
    told = client.get(f"runs/{done}")
    assert (told["status"], told["answers"], told["session_id"]) == ("complete", [], "s")
    assert told["usage"]["output_tokens"] > 0
    assert client.get(f"runs/{bad}")["answers"] == []


def test_a_history_finds_nothing_of_it_and_all_that_is_kept(server: AppServer) -> None:
    client = Client(server)
    assert client.run("remember", "first", session_id="s").status_code == 200
    assert "first" in client.run("remember", "second", session_id="s", **OFF).text
    third = client.run("remember", "third", session_id="s").text
    assert "first" in third
    assert "second" not in third
    said = [item["text"] for item in client.get("monitor/messages?session_id=s") if item["sender"] == "User"]
    assert said == ["first", "third"]


def test_a_repeat_is_answered_for_a_while_and_then_told_that_it_is_gone(server: AppServer) -> None:
    client, before = Client(server), len(list_runs(server))
    for way in QUERIES:
        told = client.run("unslow", "one two three", way, key=f"k{way}")
        again = client.run("unslow", "one two three", way, key=f"k{way}")
        assert (again.status_code, read_told(again.text)) == (200, read_told(told.text))
        assert again.headers["idempotency-replayed"] == "true"

    eventually(lambda: client.run("unslow", "one two three", key="k").status_code != 200)
    gone = client.run("unslow", "one two three", key="k")
    assert (gone.status_code, gone.json()["code"]) == (410, "answer_gone")
    assert len(list_runs(server)) == before + len(QUERIES)


def test_the_command_line_keeps_nothing_either(server: AppServer) -> None:
    canary = f"canary{uuid.uuid4().hex}"
    done = server.run_command("run", "unecho", "--message", canary)
    assert f"You said: {canary}" in done.stdout, done.stderr
    assert find_canary(server, canary) == []
