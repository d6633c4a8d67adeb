"""What an admin switches off is refused, and what runs of it ends with the sentence; other things go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER
from flowground.core.errors import FlowSwitchedOff, StoppedByAdmin, StoreUnavailable
from flowground.providers import connection
from flowground.settings import Settings
from flowground.store import publications
from flowground.store.publications import SwitchKind
from tests.api.calls import Api
from tests.api.langflow_shapes import read_told
from tests.api.serving import serving
from tests.run_rows import eventually
from tests.stored import AuditEntry, list_entries, list_runs
from tests.switched import CONFIG, FLOWS, SAYS, find_speaking, read_messages, switch_off, switch_on
from tests.wire import wire

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, config=CONFIG, flows=FLOWS) as opened:
        yield opened


QUERIES = ["", "?stream=true", "?stream=sse"]


def begin(api: Api, flow: str, query: str = "") -> "asyncio.Task[Any]":
    return asyncio.create_task(api.run(flow, {"input_value": "hi", "session_id": "s"}, query=query))


async def wait_for_runs(api: Api, count: int) -> None:
    async def are_here() -> bool:
        return len(api.runtime.running.runs) == count

    await eventually(are_here)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(("says", "told"), [(SAYS, "flow is switched off. Back at three."), ("", "at the moment.")])
async def test_a_flow_that_is_off_is_refused_before_anything_is_stored(
    api: Api, query: str, says: str, told: str
) -> None:
    await switch_off(api.runtime, "flow", "echo", says)
    response = await api.run("echo", {"input_value": "hi"}, query=query)
    assert response.status_code == 503
    detail = response.json()["detail"]
    assert detail["code"] == "flow_switched_off"
    assert told in detail["message"]
    assert "retry-after" not in response.headers
    assert await api.runtime.store.read(list_runs, flow_id="echo") == []
    assert (await api.run("other", {"input_value": "hi"})).status_code == 200
    await switch_on(api.runtime, "flow", "echo")
    assert (await api.run("echo", {"input_value": "hi"})).status_code == 200


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(("kind", "name"), [("flow", "long"), ("provider", "scripted")])
async def test_what_runs_ends_with_the_sentence_and_keeps_what_it_said(
    api: Api, query: str, kind: SwitchKind, name: str
) -> None:
    reading = begin(api, "long", query)
    said = "word1" if query else ""
    run_id = await find_speaking(api, said)
    await switch_off(api.runtime, kind, name)
    response = await reading
    assert response.status_code == (200 if query else 503)
    assert f"{kind}_switched_off" in response.text
    assert SAYS in response.text
    _, answer = await read_messages(api, "long")
    assert (answer.state, answer.text.startswith(said)) == ("stopped", True)
    assert (answer.error or "").endswith(SAYS)
    told = (await api.client.get(f"/api/v1/runs/{run_id}")).json()
    assert (told["status"], told["error_code"]) == ("stopped", f"{kind}_switched_off")
    assert told["answers"][0]["error"] == answer.error


@pytest.mark.parametrize("query", QUERIES)
async def test_a_provider_that_is_off_stops_only_flows_that_ask_it(api: Api, query: str) -> None:
    await switch_off(api.runtime, "provider", "other")
    said = {"input_value": "hi"}
    asks_other = said | {"tweaks": {"Model": {"model": "other:echo"}}}
    for flow, body in (("other", said), ("choice", asks_other)):
        response = await api.run(flow, body, query=query)
        assert (response.status_code, response.json()["detail"]["code"]) == (503, "provider_switched_off")
        assert "other" not in response.json()["detail"]["message"]
        assert await api.runtime.store.read(list_runs, flow_id=flow) == []
    for flow in ("echo", "default"):
        assert (await api.run(flow, said, query=query)).status_code == 200


async def test_a_tweak_that_chooses_another_provider_runs(api: Api) -> None:
    await switch_off(api.runtime, "provider", "scripted")
    assert (await api.run("choice", {"input_value": "hi"})).status_code == 503
    assert (await api.run("default", {"input_value": "hi"})).status_code == 503  # the configured default asks it too
    body = {"input_value": "hi", "tweaks": {"Model": {"model": "other:echo"}}}
    assert (await api.run("choice", body)).status_code == 200
    assert (await api.run("choice", {"tweaks": {"Model": {"nothing": 1}}})).status_code == 503


async def test_who_waits_for_a_place_at_the_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes one call and never answers it; the second waits for its turn."""
    monkeypatch.setattr(connection, "AT_ONCE", 1)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(wire([600.0]))
        config = {"providers": {"server": {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k"}}}
        api = await stack.enter_async_context(serving(tmp_path, config=config, flows=FLOWS))
        waiting = [begin(api, "queued") for _ in range(3)]
        await wait_for_runs(api, 3)
        await asyncio.wait_for(server.came.wait(), 60)
        await switch_off(api.runtime, "provider", "server")
        responses = await asyncio.gather(*waiting)
        assert [response.json()["detail"]["code"] for response in responses] == ["provider_switched_off"] * 3
        assert len(server.asked) == 1


async def test_a_switch_is_kept_and_audited(api: Api, tmp_path: Path) -> None:
    await switch_off(api.runtime, "flow", "echo")
    await switch_off(api.runtime, "flow", "echo", "Later.")
    await switch_off(api.runtime, "provider", "other")
    assert await switch_on(api.runtime, "flow", "other") is False
    again = Runtime(Settings.load(tmp_path / "config.yaml"))  # as after a restart
    await again.start()
    await again.switches.refresh()
    assert str(again.switches.find_off(await again.access.open_flow(LOCAL_OWNER, "echo"))).endswith("Later.")
    found = await api.runtime.store.read(publications.list_switches)
    listed = [(switch.kind, switch.name, switch.says) for switch in found]
    assert listed == [("flow", "echo", "Later."), ("provider", "other", SAYS)]
    assert await switch_on(again, "flow", "echo", by="cli") is True
    await again.close()
    entries: list[AuditEntry] = await api.runtime.store.read(list_entries)
    told = [(entry.actor, entry.action, entry.subject) for entry in entries if entry.action.startswith("flow.")]
    off = ("member:ada", "flow.switched_off", "echo")
    assert told == [("cli", "flow.switched_on", "echo"), off, off]


async def test_what_was_off_stays_off_while_the_database_is_silent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable

    await switch_off(api.runtime, "flow", "echo")
    known, wired = api.runtime.switches, api.runtime.catalogue.find("echo")
    monkeypatch.setattr(api.runtime.store, "read", fail)
    monkeypatch.setattr(known, "_looked", -float("inf"))
    await known.refresh()
    assert not known.is_stale  # the next request need not try again
    assert isinstance(wired and known.find_off(wired), FlowSwitchedOff)


async def test_another_process_ends_what_runs_and_refuses_what_comes(api: Api, tmp_path: Path) -> None:
    """The one that switches is idle itself."""
    other = Runtime(Settings.load(tmp_path / "config.yaml"))
    await other.start()
    reading = begin(api, "long", "?stream=sse")
    await find_speaking(api, "word1")
    await switch_off(other, "flow", "long")
    assert '"flow_switched_off"' in (await reading).text
    assert (await api.run("long", {"input_value": "hi"})).status_code == 503
    await other.close()


async def test_a_repeated_request_is_refused_while_the_flow_is_off(api: Api) -> None:
    """Like any; afterwards it is told the end of its first run."""
    api.client.headers["idempotency-key"] = "once"
    first = await begin(api, "other")
    reading = begin(api, "long", "?stream=sse")
    run_id = await find_speaking(api, "word1")
    await api.runtime.running.stop(run_id, StoppedByAdmin())
    stopped = await reading
    for flow in ("other", "long"):
        await switch_off(api.runtime, "flow", flow)
        for query in ("", "?stream=sse"):
            refused = await begin(api, flow, query)
            assert (refused.status_code, refused.json()["code"]) == (503, "flow_switched_off")
            assert "idempotency-replayed" not in refused.headers
        await switch_on(api.runtime, "flow", flow)
    again = await begin(api, "other")
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    again = await begin(api, "long", "?stream=sse")
    assert '"stopped_by_admin"' in again.text
    assert read_told(again.text) == read_told(stopped.text)
    assert len(await api.runtime.store.read(list_runs, flow_id="long")) == 1


async def test_pages_are_told_of_a_switch_once_its_runs_are_ended(api: Api) -> None:
    """Whatever goes wrong at a page keeps no run alive."""
    found: list[object] = []
    reading = begin(api, "long", "?stream=sse")
    run_id = await find_speaking(api, "word1")
    api.runtime.switches.on_change = lambda: found.append(api.runtime.running.runs[run_id].stop)
    await switch_off(api.runtime, "flow", "long")
    assert [type(stop) for stop in found] == [FlowSwitchedOff]
    assert SAYS in (await reading).text
