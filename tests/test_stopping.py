"""A run is stopped by a process that did not begin it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from flowground.api.app import create_api
from flowground.app import own_runs
from flowground.app.runtime import Runtime
from flowground.settings import Settings
from flowground.store.runs import requests
from tests.api.calls import Api
from tests.stored import list_entries, list_running
from tests.switched import find_speaking, read_messages
from tests.test_switches import api as api


@pytest.fixture
async def other(api: Api, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of another process's API."""
    runtime = Runtime(Settings.load(tmp_path / "config.yaml"))
    await runtime.start()
    transport = httpx2.ASGITransport(app=create_api(lambda: runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://other", headers=api.client.headers) as client:
        yield client
    await runtime.close()


async def test_an_admin_stops_one_run_of_another_process(api: Api) -> None:
    reading = asyncio.create_task(api.run("long", {"input_value": "hi"}, query="?stream=sse"))
    await find_speaking(api, "word1")
    [run] = await api.runtime.store.read(list_running)
    assert await api.runtime.store.write(requests.ask_stop, run_id=run.id, kind="admin", by="cli")
    response = await reading
    assert '"stopped_by_admin"' in response.text
    assert "An administrator stopped this answer." in response.text
    _, answer = await read_messages(api, "long")
    assert (answer.state, answer.error) == ("stopped", "An administrator stopped this answer.")
    assert answer.text.startswith("word1")
    [entry, *_] = await api.runtime.store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == ("cli", "run.stopped", run.id)
    assert not await api.runtime.store.write(requests.ask_stop, run_id=run.id, kind="admin", by="cli")


async def test_a_run_is_stopped_by_the_process_that_did_not_begin_it(api: Api, other: httpx2.AsyncClient) -> None:
    reading = asyncio.create_task(api.run("long", {"input_value": "hi", "session_id": "s"}, query="?stream=sse"))
    run_id = await find_speaking(api, "word1")
    told = (await other.post(f"/api/v1/runs/{run_id}/stop")).json()
    assert (told["status"], told["error_code"], told["answers"][0]["error"]) == ("stopped", None, None)
    assert told["answers"][0]["text"].startswith("word1")
    assert (await other.post(f"/api/v1/runs/{run_id}/stop")).json() == told
    assert '"run_stopped"' in (await reading).text


async def test_who_stops_a_run_is_told_where_its_process_takes_its_time(
    api: Api, other: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_runs, "_POLLS", 1)
    monkeypatch.setattr(own_runs, "_POLL_SECONDS", 0)
    reading = asyncio.create_task(api.run("long", {"input_value": "hi"}, query="?stream=sse"))
    run_id = await find_speaking(api, "word1")
    refused = await other.post(f"/api/v1/runs/{run_id}/stop")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_elsewhere")
    assert '"run_stopped"' in (await reading).text  # it was asked to all the same
