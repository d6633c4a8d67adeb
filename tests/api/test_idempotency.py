"""`Idempotency-Key`: a request that is sent again gets the first one's answer, and nothing is run twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from flowground.store import tables
from flowground.store.people import members
from flowground.store.runs import idempotency_keys
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.repeated_requests import KEPT, ask, count_runs, forget_turns
from tests.api.serving import serving
from tests.api.test_runs import find_running

pytestmark = pytest.mark.anyio

WAYS = ("", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple")


@pytest.fixture
async def kept(tmp_path: Path, url: str) -> AsyncIterator[Api]:
    """The API on each of the two databases."""
    async with serving(tmp_path, config={"database": url}, flows=KEPT) as opened:
        yield opened


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("flow", ["echo", "spoken", "two", "both", "whole", "wordy", "failing", "broken"])
async def test_a_repeat_is_told_the_same_in_every_shape(kept: Api, flow: str, first: str) -> None:
    """While its turn is remembered, and from the store."""
    told = await ask(kept, flow, first, tweaks={})
    assert "idempotency-replayed" not in told.headers
    live = {way: await ask(kept, flow, way, tweaks={}) for way in WAYS}
    assert live[first].content == told.content
    forget_turns(kept)
    stored = {way: await ask(kept, flow, way, tweaks={}) for way in WAYS}
    for way in WAYS:
        assert (stored[way].status_code, stored[way].content) == (live[way].status_code, live[way].content)
        assert stored[way].headers["idempotency-replayed"] == live[way].headers["idempotency-replayed"] == "true"
    assert live[""].status_code == (502 if flow in ("failing", "broken") else 200)
    assert await count_runs(kept, flow) == 1


@pytest.mark.parametrize("output", [{"output_type": "debug"}, {"output_component": "Prompt"}, {"output_type": "text"}])
async def test_a_repeat_has_the_outputs_that_were_asked_for(kept: Api, output: dict[str, str]) -> None:
    told = await ask(kept, "both", **output)
    assert told.status_code == 200
    assert (await ask(kept, "both", **output)).content == told.content
    forget_turns(kept)
    assert (await ask(kept, "both", **output)).content == told.content


async def test_texts_that_no_database_takes_come_back_as_they_were(kept: Api) -> None:
    body = {"input_value": "nul \x00 and half \\ud83d \U0001f600", "session_id": "s \x00"}
    told = await ask(kept, "spoken", **body)
    assert "\\u0000" in told.text
    forget_turns(kept)
    assert (await ask(kept, "spoken", **body)).content == told.content


@pytest.mark.parametrize(
    "other",
    [
        {"input_value": "x"},
        {"tweaks": {"Model": {"stream": False}}},
        {"session_id": "s"},
        {"output_type": "any"},
        {"input_type": "any"},
    ],
)
async def test_another_request_under_the_same_key_is_refused(kept: Api, other: dict[str, Any]) -> None:
    assert (await ask(kept, "spoken")).status_code == 200
    refused = await ask(kept, "spoken", **other)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert refused.json()["detail"].endswith("with another request.")
    assert (await ask(kept, "spoken", **other, key="other")).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "\x7f", "é"])
async def test_what_is_no_key_is_refused(api: Api, key: str) -> None:
    refused = await ask(api, "echo", headers={"idempotency-key": key.encode("latin-1")})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_invalid")
    assert "1 to 200 visible" in refused.json()["detail"]


async def test_two_keys_in_one_request_are_refused(api: Api) -> None:
    two = [("idempotency-key", "a"), ("idempotency-key", "b")]
    refused = await api.client.post("/api/v1/run/echo", json={}, headers=two)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_invalid")


async def test_a_key_is_one_of_its_flow_and_of_its_token(kept: Api) -> None:
    _, theirs = await kept.token()
    told = await ask(kept, "echo", key="x" * 200)
    for other in (await ask(kept, "spoken", key="x" * 200), await ask(kept, "echo", key="x" * 200, headers=theirs)):
        assert other.status_code == 200
        assert "idempotency-replayed" not in other.headers
    assert (await ask(kept, "echo", key="x" * 200)).content == told.content
    assert await count_runs(kept, "echo") == 2


async def test_a_persons_tokens_share_their_keys_and_nobody_elses(kept: Api) -> None:
    for name in ("ada", "bob"):
        await kept.runtime.store.write(members.add, name=name, display_name=name, email=None, role="author", by="tests")
    [(_, one), (_, two), (_, bobs)] = [await kept.token(owner=name) for name in ("ada", "ada", "bob")]
    told = await ask(kept, "echo", headers=one)
    again, other = await ask(kept, "echo", headers=two), await ask(kept, "echo", headers=bobs)
    assert (again.content, again.headers["idempotency-replayed"]) == (told.content, "true")
    assert (other.status_code, other.content == told.content) == (200, False)


async def test_what_a_token_may_set_is_part_of_what_is_asked(kept: Api) -> None:
    """One that may set nothing is not told what another's tweaks made of the flow."""
    await kept.runtime.store.write(members.add, name="ada", display_name="Ada", email=None, role="author", by="tests")
    [(_, sets), (_, sets_nothing)] = [
        await kept.token(owner="ada", sees="answers", sets=sets) for sets in ("unprotected", "opened")
    ]
    tweaks = {"Model": {"system_message": "Sing."}}
    assert (await ask(kept, "spoken", headers=sets, tweaks=tweaks)).status_code == 200
    refused = await ask(kept, "spoken", headers=sets_nothing, tweaks=tweaks)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    told = await ask(kept, "spoken", headers=sets, key="plain")
    again = await ask(kept, "spoken", headers=sets_nothing, key="plain")
    assert (again.status_code, again.content) == (200, told.content)  # nothing is set: it is the same request


@pytest.mark.parametrize("way", WAYS)
async def test_a_repeat_follows_a_run_that_goes_on(kept: Api, way: str) -> None:
    first = asyncio.create_task(ask(kept, "slow", "?stream=sse", session_id="s"))
    await find_running(kept, "You said: ")
    again = await ask(kept, "slow", way, session_id="s")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    told = await first
    if way == "?stream=sse":
        assert again.content == told.content
    assert "You said: a b c" in again.text.replace('", "id"', "")
    assert await count_runs(kept, "slow") == 1


async def test_those_that_come_at_once_make_one_run(kept: Api) -> None:
    answers = await asyncio.gather(*(ask(kept, "slow") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await count_runs(kept, "slow") == 1


async def test_what_failed_before_a_model_was_asked_frees_its_key(kept: Api) -> None:
    for _ in range(2):
        refused = await ask(kept, "fetching")
        assert (refused.status_code, refused.json()["code"]) == (503, "model_not_ready")
        assert "idempotency-replayed" not in refused.headers
    assert await count_runs(kept, "fetching") == 2
    assert (await ask(kept, "fetching", input_value="other")).status_code == 503  # and not 422


async def test_what_was_refused_before_it_began_takes_no_key(kept: Api) -> None:
    assert (await ask(kept, "spoken", tweaks={"Nobody": {"x": 1}})).status_code == 422
    assert (await ask(kept, "spoken")).status_code == 200


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_a_stopped_run_is_told_as_the_first_time(kept: Api, is_remembered: bool) -> None:
    first = asyncio.create_task(ask(kept, "long"))
    run = await find_running(kept, "")
    assert (await kept.client.post(f"/api/v1/runs/{run}/stop")).json()["status"] == "stopped"
    told = await first
    if not is_remembered:
        forget_turns(kept)
    again = await ask(kept, "long")
    assert (told.status_code, told.json()["code"]) == (409, "run_stopped")
    assert (again.status_code, again.content) == (told.status_code, told.content)


async def test_an_answer_that_was_deleted_is_gone(kept: Api) -> None:
    assert (await ask(kept, "echo", session_id="s")).status_code == 200
    assert (await kept.client.delete("/api/v1/monitor/messages/session/s")).status_code == 204
    forget_turns(kept)
    gone = await ask(kept, "echo", session_id="s")
    assert (gone.status_code, gone.json()["code"]) == (410, "answer_gone")
    assert await count_runs(kept, "echo") == 1


async def test_a_flow_that_changed_tells_the_old_answer(kept: Api, tmp_path: Path) -> None:
    told = await ask(kept, "two", "?stream=true")
    simple = await ask(kept, "two", "?shape=simple")
    forget_turns(kept)
    file = Path(kept.runtime.settings.flows) / "two.yaml"
    file.write_text(FLOWS["echo"].replace("Echo", "Two"))
    for _ in range(100):
        if (await kept.run("two", {"input_value": "x"}, query="?shape=simple")).json()["text"] == "x":
            break
        await asyncio.sleep(0.1)
    assert (await ask(kept, "two", "?stream=true")).content == told.content
    assert (await ask(kept, "two", "?shape=simple")).content == simple.content


async def test_a_key_is_free_after_a_day(kept: Api) -> None:
    def age(connection: Connection) -> None:
        connection.execute(update(tables.idempotency_keys).values(made_at=tables.idempotency_keys.c.made_at - 86_401))

    assert (await ask(kept, "echo")).status_code == 200
    await kept.runtime.store.write(age)
    assert "idempotency-replayed" not in (await ask(kept, "echo", input_value="other")).headers
    assert await count_runs(kept, "echo") == 2
    await kept.runtime.store.write(age)
    assert await kept.runtime.store.write(idempotency_keys.forget, before=0.0) == 0
    assert await kept.runtime.store.write(idempotency_keys.forget, before=2e9 * 2) == 1
    assert await kept.runtime.store.write(idempotency_keys.forget, before=2e9 * 2) == 0
