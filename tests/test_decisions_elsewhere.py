"""Calls of tools that wait in one process, decided at another one of the same server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from flowground import own_runs
from flowground.api import create_api
from flowground.runtime import Runtime
from flowground.settings import Settings
from tests.acting import ASKING_FIRST, SUM
from tests.api.serving import serving
from tests.servers import AppServer
from tests.store_databases import DATABASES, empty_database
from tests.waiting import eventually

FLOWS = {
    "careful": ASKING_FIRST,
    "unkept": ASKING_FIRST.replace("type: ChatInput", "type: ChatInput, should_store_message: false"),
}
SAID = {"input_value": SUM, "session_id": "s"}


class Servers:
    """Two processes on one database, and a client of both."""

    def __init__(self, one: AppServer, other: AppServer) -> None:
        self.one, self.other = one, other
        self.headers = {"x-api-key": one.token("test")}

    def begin(self, flow: str = "careful") -> Any:
        """A run of the first, in which a call waits."""
        told = requests.post(f"{self.one.url}/api/v1/run/{flow}", json=SAID, headers=self.headers, timeout=60)
        assert told.status_code == 202, told.text
        return told.json()

    def decide(self, waits: Any, decision: str, **changed: Any) -> requests.Response:
        """At the second."""
        (call,) = waits["waiting"]
        said = {"call": call["call"], "digest": call["digest"], "decision": decision} | changed
        headers = said.pop("headers", self.headers)
        url = f"{self.other.url}/api/v1/runs/{waits['run_id']}/decisions"
        return requests.post(url, json=said, headers=headers, timeout=60)

    def read(self, waits: Any, server: AppServer | None = None) -> Any:
        url = f"{(server or self.one).url}/api/v1/runs/{waits['run_id']}"
        return requests.get(url, headers=self.headers, timeout=60).json()

    def read_answer(self, waits: Any) -> str:
        eventually(lambda: self.read(waits)["status"] not in ("waiting", "running"))
        run = self.read(waits)
        assert run["status"] == "complete"
        return str(run["answers"][0]["text"])


@pytest.fixture(scope="module", params=DATABASES)
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        empty_database(request.param, folder) as url,
        AppServer(folder / "one", config={"database": url}, flows=FLOWS) as one,
        AppServer(folder / "other", config={"database": url}, flows=FLOWS) as other,
    ):
        yield Servers(one, other)


@pytest.mark.parametrize(
    ("decision", "said"), [("once", "The tools said: 42"), ("refuse", "The tools said: The person refused it")]
)
def test_a_decision_works_at_the_process_that_does_not_run_it(servers: Servers, decision: str, said: str) -> None:
    waits = servers.begin()
    taken = servers.decide(waits, decision)
    assert (taken.status_code, taken.json()["id"]) == (200, waits["run_id"])
    assert servers.read_answer(waits).startswith(said)
    again = servers.decide(waits, decision)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_waits")


def test_a_run_that_waits_says_so_at_every_process_until_it_is_decided(servers: Servers) -> None:
    waits = servers.begin()
    eventually(lambda: servers.read(waits, servers.other)["status"] == "waiting")
    assert servers.read(waits, servers.other)["waiting"] == servers.read(waits)["waiting"] == waits["waiting"]
    taken = servers.decide(waits, "once").json()
    assert taken["status"] in ("running", "complete")
    assert "waiting" not in taken
    servers.read_answer(waits)
    assert servers.read(waits, servers.other) == servers.read(waits)


def test_of_a_run_that_keeps_nothing_no_arguments_are_told_elsewhere(servers: Servers) -> None:
    waits = servers.begin("unkept")
    eventually(lambda: servers.read(waits, servers.other)["status"] == "waiting")
    (call,) = servers.read(waits, servers.other)["waiting"]
    assert call == waits["waiting"][0] | {"arguments": None}
    assert servers.decide(waits, "refuse").status_code == 200


@pytest.mark.parametrize("changed", [{"digest": "0" * 64}, {"call": 2}])
def test_what_nothing_waits_for_changes_nothing_there(servers: Servers, changed: dict[str, Any]) -> None:
    check_refused(servers, 409, **changed)


def test_nobody_elses_word_is_passed_on(servers: Servers) -> None:
    check_refused(servers, 404, headers={"x-api-key": servers.other.token("somebody else")})


def check_refused(servers: Servers, status: int, **changed: Any) -> None:
    """The run waits on for the right word."""
    waits = servers.begin()
    refused = servers.decide(waits, "once", **changed)
    assert refused.status_code == status
    assert status == 404 or refused.json()["code"] == "nothing_waits"
    assert servers.read(waits)["status"] == "waiting"
    assert servers.decide(waits, "refuse").status_code == 200


@pytest.mark.anyio
async def test_who_decides_is_told_where_the_process_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_runs, "_LOOKS", 1)
    monkeypatch.setattr(own_runs, "_PAUSE", 0)
    async with serving(tmp_path, flows=FLOWS) as api:
        other = Runtime(Settings.load(tmp_path / "config.yaml"))
        await other.start()
        transport = httpx2.ASGITransport(app=create_api(lambda: other))
        waits = (await api.run("careful", SAID)).json()
        (call,) = waits["waiting"]
        said = {"call": call["call"], "digest": call["digest"], "decision": "refuse"}
        path = f"/api/v1/runs/{waits['run_id']}/decisions"
        async with httpx2.AsyncClient(transport=transport, base_url="http://other") as client:
            refused = await client.post(path, json=said, headers=api.client.headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "decided_elsewhere")
        await other.close()
