"""Calls of tools that wait for a person, in the API: allowed or refused by whose run it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.store.people import members
from tests.acting import ASKING_FIRST, EACH, SUM
from tests.api.calls import Api, until
from tests.api.langflow_shapes import events, frames
from tests.api.serving import serving

DESK = """
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: scripted, input_value: "${ChatInput}", tools: [Refund]}
  Refund: {type: APIRequest, method: POST, url_input: "https://api.example.com/orders/{order}/refunds",
    query_params: {by: desk}, headers: {authorization: Bearer top-secret}, body: {why: "{why}", parts: [{all: yes}]}}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""

ALWAYS = ASKING_FIRST.replace("confirm: true", "confirm: always")
SERVED = {"careful": ASKING_FIRST, "each": EACH, "desk": DESK, "always": ALWAYS}
SAID = {"input_value": SUM, "session_id": "s"}


async def begin(api: Api, said: Any = SAID, flow: str = "careful") -> dict[str, Any]:
    told = await api.run(flow, said)
    assert told.status_code == 202, told.text
    body: dict[str, Any] = told.json()
    return body


async def decide(api: Api, waits: Any, decision: str, **more: Any) -> httpx2.Response:
    (call,) = waits["waiting"]
    said = {"call": call["call"], "digest": call["digest"], "decision": decision} | more.pop("changed", {})
    return await api.client.post(f"/api/v1/runs/{waits['run_id']}/decisions", json=said, **more)


async def read_run(api: Api, run_id: str, headers: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get(f"/api/v1/runs/{run_id}", headers=headers)).json()
    return found


async def read_end(api: Api, run_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await read_run(api, run_id)
        return None if found["status"] in ("running", "waiting") else found

    ended: dict[str, Any] = await until(look)
    return ended


async def test_the_events_of_a_run_that_was_asked_plainly_have_ids_to_go_on_from(api: Api) -> None:
    waits = await begin(api)
    await decide(api, waits, "once")
    await read_end(api, waits["run_id"])
    told = frames((await api.client.get(f"/api/v1/runs/{waits['run_id']}/events")).text)
    assert len(told) > 2
    assert all(frame_id.startswith(f"{waits['run_id']}/") for frame_id, *_ in told)


async def test_a_plain_run_says_what_waits_and_goes_on_once_it_is_allowed(api: Api) -> None:
    waits = await begin(api)
    assert waits["status"] == "waiting"
    (call,) = waits["waiting"]
    assert (call["name"], call["arguments"]) == ("Sums", {"expression": "6*7"})
    found = await read_run(api, waits["run_id"])
    assert (found["status"], found["waiting"]) == ("waiting", waits["waiting"])
    assert (await decide(api, waits, "once")).status_code == 200
    end = await read_end(api, waits["run_id"])
    assert (end["status"], end["answers"][0]["text"]) == ("complete", "The tools said: 42")
    assert (await begin(api))["status"] == "waiting"


async def test_who_is_asked_about_a_request_is_shown_method_address_and_body(api: Api) -> None:
    waits = await begin(api, SAID | {"input_value": 'call Refund {"order": "7 b", "why": "It broke"}'}, "desk")
    (call,) = waits["waiting"]
    line, _, body = call["sends"].partition("\n")
    assert line == "POST https://api.example.com/orders/7%20b/refunds?by=desk"
    assert json.loads(body) == {"why": "It broke", "parts": [{"all": "yes"}]}
    assert "secret" not in json.dumps(waits)
    assert (await decide(api, waits, "refuse")).status_code == 200


async def test_what_is_refused_is_never_called_and_the_model_is_told(api: Api) -> None:
    waits = await begin(api)
    assert (await decide(api, waits, "refuse")).status_code == 200
    end = await read_end(api, waits["run_id"])
    assert "The person refused it" in end["answers"][0]["text"]
    assert "42" not in end["answers"][0]["text"]
    assert (await decide(api, waits, "once")).json()["code"] == "nothing_waits"


async def test_what_is_allowed_in_the_chat_is_not_asked_about_again_there_and_nowhere_else(api: Api) -> None:
    waits = await begin(api)
    await decide(api, waits, "chat")
    await read_end(api, waits["run_id"])
    again = await api.run("careful", SAID | {"input_value": SUM.replace("6*7", "2+3")})
    assert again.status_code == 200
    assert "The tools said: 5" in again.text
    assert (await begin(api, SAID | {"session_id": "other"}))["waiting"]
    _, headers = await api.token()
    assert (await api.run("careful", SAID, headers=headers)).status_code == 202
    assert (await api.client.delete("/api/v1/monitor/messages/session/s")).status_code == 204
    assert (await begin(api))["waiting"]


async def test_a_tool_that_is_always_asked_about_is_allowed_once_whatever_is_said(api: Api) -> None:
    for _ in range(2):
        waits = await begin(api, flow="always")
        assert (await decide(api, waits, "chat")).status_code == 200
        assert (await read_end(api, waits["run_id"]))["status"] == "complete"


async def test_what_a_request_made_of_a_tool_is_asked_about_though_the_tool_was_allowed(api: Api) -> None:
    said = SAID | {"input_value": 'call Expert {"input_value": "x"}'}
    await decide(api, waits := await begin(api, said), "chat")
    await read_end(api, waits["run_id"])
    assert (await api.run("careful", said)).status_code == 200
    alike = {"tweaks": {"Expert": {"max_iterations": 15}}}
    assert (await api.run("careful", said | alike)).status_code == 200
    assert (await begin(api, said | {"tweaks": {"Expert": {"temperature": 0.5}}}))["waiting"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"digest": "0" * 64}, 409), ({"call": 2}, 409), ({"decision": "always"}, 422), ({"arguments": {}}, 422)],
)
async def test_a_decision_about_anything_else_changes_nothing(api: Api, changed: dict[str, Any], status: int) -> None:
    waits = await begin(api)
    assert (await decide(api, waits, "once", changed=changed)).status_code == status
    assert (await read_run(api, waits["run_id"]))["status"] == "waiting"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [(b"x" * 3_200_000, {}, 413), (b"{}", {"content-encoding": "gzip"}, 415), (b"{\xff}", {}, 422), (b"[]", {}, 422)],
)
async def test_a_decisions_body_is_read_as_a_runs_is(api: Api, content: bytes, headers: Any, status: int) -> None:
    address = "/api/v1/runs/x/decisions"
    told = await api.client.post(address, content=content, headers=headers)
    assert (told.status_code, "code" in told.json() or "detail" in told.json()) == (status, True)
    assert (await api.client.post(address, content=content, headers=headers | {"x-api-key": "no"})).status_code == 403


async def test_nobody_elses_word_counts_and_rights_are_read_anew(api: Api) -> None:
    await api.add("ada", "eve")
    (_, mine), (_, eves) = await api.token(owner="ada"), await api.token(owner="eve")
    first, second = [(await api.run("careful", SAID, headers=mine)).json() for _ in range(2)]
    for headers, status in ((eves, 404), ({"x-api-key": "no"}, 403)):
        assert (await decide(api, first, "once", headers=headers)).status_code == status
    assert (await read_run(api, first["run_id"], mine))["status"] == "waiting"
    assert (await decide(api, first, "once", headers=mine)).status_code == 200
    await api.runtime.store.write(members.set_active, member="ada", is_active=False, by="tests")
    assert (await decide(api, second, "once", headers=mine)).status_code == 403


async def test_a_decision_whose_rights_end_while_it_comes_changes_nothing(api: Api) -> None:
    await api.add("ada")
    _, mine = await api.token(owner="ada")
    waits = (await api.run("careful", SAID, headers=mine)).json()
    (call,) = waits["waiting"]
    body = json.dumps({"call": call["call"], "digest": call["digest"], "decision": "once"}).encode()

    async def send() -> AsyncIterator[bytes]:
        yield body[:9]
        await api.runtime.store.write(members.set_active, member="ada", is_active=False, by="tests")
        yield body[9:]

    told = await api.client.post(f"/api/v1/runs/{waits['run_id']}/decisions", content=send(), headers=mine)
    assert (told.status_code, told.json()["code"]) == (403, "api_key_invalid")


async def test_a_stream_says_what_waits_and_goes_on(api: Api) -> None:
    runs = api.runtime.running

    async def find_waiting() -> str | None:
        return next((run for run in runs.runs if runs.list_waiting(run)), None)

    for query in ("?stream=true", "?stream=true&shape=simple"):
        reading = asyncio.create_task(api.run("careful", {"input_value": SUM}, query=query))
        waits = await read_run(api, await until(find_waiting))
        await decide(api, waits | {"run_id": waits["id"]}, "once")
        found = events((await reading).text)
        (told,) = [event["data"] for event in found if event["event"] == "waiting"]
        assert told == {"run_id": waits["id"], "waiting": waits["waiting"]}
        assert found[-1]["event"] == "end"


async def test_a_wait_ends_as_a_refusal_and_the_runs_time_stands_still(tmp_path: Path) -> None:
    limits = {"approval_seconds": 1.5, "run_seconds": 1}
    async with serving(tmp_path, config={"limits": limits}, flows={"careful": ASKING_FIRST}) as api:
        waits = await begin(api)
        end = await read_end(api, waits["run_id"])
        assert end["status"] == "complete"
        assert "Nobody allowed it in time" in end["answers"][0]["text"]


async def test_arguments_that_nobody_could_read_are_refused(api: Api) -> None:
    long = 'call Expert {"input_value": "' + "x" * 20_000 + '"}'
    told = await api.run("careful", {"input_value": long})
    assert told.status_code == 200
    assert "longer than" in told.text


async def test_inside_for_each_it_is_refused_when_the_file_is_read(api: Api) -> None:
    assert (await api.run("each", {"input_value": SUM})).status_code == 404
    (problem,) = api.runtime.catalogue.list_problems()["each.yaml"].problems
    assert "ForEach asks nobody, and `careful` has a tool that a person allows" in str(problem)
