"""Two servers and the command line on one database: what one of them ends or switches off, all of them heed."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.running import chat_flow
from tests.servers import AppServer
from tests.store_databases import DATABASES, empty_database
from tests.two_servers import LASTING
from tests.waiting import eventually

FLOWS = {"long": chat_flow("lasting:echo"), "echo": chat_flow("scripted")}


class Pair:
    """Two servers, and a client of both."""

    def __init__(self, one: AppServer, other: AppServer) -> None:
        self.one, self.other = one, other
        self._headers = {"x-api-key": one.token("test")}
        self._pool = ThreadPoolExecutor(4)

    def run(self, server: AppServer, flow: str, query: str = "") -> requests.Response:
        url = f"{server.url}/api/v1/run/{flow}{query}"
        return requests.post(url, json={"input_value": "my question"}, headers=self._headers, timeout=60)

    def stop(self, server: AppServer, run_id: str) -> requests.Response:
        return requests.post(f"{server.url}/api/v1/runs/{run_id}/stop", headers=self._headers, timeout=60)

    def begin_long(self) -> "tuple[Future[requests.Response], str]":
        """A stream of the first server that says something, and its run's id."""
        reading = self._pool.submit(self.run, self.one, "long", "?stream=sse")
        found: list[str] = []

        def speaks() -> bool:
            found[:] = self.command("runs", "list").splitlines()[1:]
            return len(found) == 1 and found[0].endswith(" characters")

        eventually(speaks)
        assert re.split(r" {2,}", found[0])[1:4] == ["long", "The organization", "token “test”"]
        assert "my question" not in found[0]
        return reading, found[0].split()[0]

    def wait_for(self, server: AppServer, flow: str, *, says: str) -> None:
        """A process in use learns of a switch within seconds."""
        eventually(lambda: says in self.run(server, flow).text)

    def command(self, *words: str) -> str:
        done = self.one.run_command(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(params=DATABASES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with empty_database(request.param, tmp_path) as url, open_pair(url, tmp_path) as opened:
        yield opened


@contextmanager
def open_pair(url: str, folder: Path) -> Iterator[Pair]:
    config = {"database": url, "providers": {"lasting": LASTING}}
    with (
        AppServer(folder / "one", config=config, flows=FLOWS) as one,
        AppServer(folder / "other", config=config, flows=FLOWS) as other,
    ):
        yield Pair(one, other)


def test_each_process_and_the_command_line_end_runs_and_switch_flows(pair: Pair) -> None:
    reading, run_id = pair.begin_long()
    pair.command("runs", "stop", run_id[:8])
    assert '"stopped_by_admin"' in reading.result().text
    assert "word1 " in reading.result().text

    reading, run_id = pair.begin_long()
    told = pair.stop(pair.other, run_id).json()
    assert (told["status"], told["error_code"]) == ("stopped", None)
    assert told["answers"][0]["text"].startswith("word1 ")
    assert '"run_stopped"' in reading.result().text

    reading, run_id = pair.begin_long()
    pair.command("flows", "off", "long", "--say", "Back at three.")
    assert '"flow_switched_off"' in reading.result().text
    for server in (pair.one, pair.other):
        pair.wait_for(server, "long", says="flow_switched_off")
        refused = pair.run(server, "long").json()["detail"]
        assert (refused["code"], "Back at three." in refused["message"]) == ("flow_switched_off", True)
        assert pair.run(server, "echo").status_code == 200
    assert pair.command("runs", "list").splitlines()[1:] == []
    pair.one.stop()
    pair.one.start()
    assert pair.run(pair.one, "long").status_code == 503

    pair.command("flows", "on", "long")
    pair.command("providers", "off", "scripted")
    for server in (pair.one, pair.other):
        pair.wait_for(server, "echo", says="provider_switched_off")
    pair.command("providers", "on", "scripted")
    for server in (pair.one, pair.other):
        pair.wait_for(server, "echo", says="You said: my question")
