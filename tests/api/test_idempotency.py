"""`Idempotency-Key`: a request that is sent again gets the first one's answer, and nothing is run twice.

What a repeat costs: a request of the minute, and no run.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, update

from flowground.api.run import RUN_ID
from flowground.app import live_turns
from flowground.store import tables
from flowground.store.runs.erasing import delete_expired
from flowground.tools.mcp import ServerTool
from tests.acting import ACTING, SUM, WRONG
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.langflow_shapes import read_told
from tests.api.serving import serving
from tests.chat_answers import ANSWER, STREAMED
from tests.running import chat_flow, look_at_once
from tests.stored import list_runs
from tests.wire import whole, wire

pytestmark = pytest.mark.anyio

WAYS = ("", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple")
KEPT = FLOWS | ACTING | {name: chat_flow(f"scripted:{name}") for name in ("slow", "silent", "long")}
SAID = " ".join(["word"] * 30)
"""What `slow` answers for more than a second: long enough for the requests beside it."""
ORDER = """
components:
  ChatInput: {type: ChatInput}
  Order: {type: APIRequest, method: POST, url_input: URL/orders, body: {item: "{item}"}, item: "${ChatInput}"}
  Said: {type: Prompt, template: "{v}", v: "${Order}"}
  ChatOutput: {type: ChatOutput, input_value: "${Said}"}
"""
CANCEL = """
components:
  ChatInput: {type: ChatInput}
  Orders: {type: MCP, server: orders, tools: [cancel], arguments: {}}
  Model: {type: LanguageModel, model: "scripted:fail", input_value: "${Orders}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


@pytest.fixture
async def kept(tmp_path: Path, url: str) -> AsyncIterator[Api]:
    """The API on each of the two databases."""
    async with serving(tmp_path, config={"database": url}, flows=KEPT) as opened:
        yield opened


@asynccontextmanager
async def limited(folder: Path, **limits: Any) -> AsyncIterator[Api]:
    async with serving(folder, config={"limits": limits}, flows=KEPT) as opened:
        yield opened


async def ask(api: Api, flow: str, query: str = "", *, key: str = "k", **more: Any) -> httpx2.Response:
    headers = {"idempotency-key": key} | more.pop("headers", {})
    return await api.run(flow, {"input_value": "a b c"} | more, query=query, headers=headers)


def check(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def is_replayed(answer: httpx2.Response) -> bool:
    assert answer.headers.get("idempotency-replayed") in (None, "true")
    return "idempotency-replayed" in answer.headers


@pytest.mark.parametrize(
    "flow", ["echo", "spoken", "two", "both", "whole", "wordy", "branching", "papers", "cut", "agent"]
)
async def test_a_repeat_is_told_the_same_in_every_shape(kept: Api, flow: str) -> None:
    """While its turn is remembered, and from the store; whatever shape the first request was answered in."""
    body: dict[str, Any] = {"tweaks": {}} | ({"input_value": f"{SUM}\n{WRONG}"} if flow == "agent" else {})
    for number, first in enumerate(WAYS, 1):
        sent = body | {"key": f"k{number}"}
        told = await ask(kept, flow, first, **sent)
        assert not is_replayed(told)
        live = {way: await ask(kept, flow, way, **sent) for way in WAYS}
        assert read_told(live[first].text) == read_told(told.text)
        kept.forget_turns()
        stored = {way: await ask(kept, flow, way, **sent) for way in WAYS}
        for way in WAYS:
            assert stored[way].status_code == live[way].status_code
            assert read_told(stored[way].text) == read_told(live[way].text)
            assert (is_replayed(stored[way]), is_replayed(live[way])) == (True, True)
            assert {answer.headers[RUN_ID] for answer in (told, stored[way], live[way])} == {told.headers[RUN_ID]}
        assert live[""].status_code == 200
        assert await kept.count_runs(flow) == number


async def test_another_request_under_the_same_key_is_refused(kept: Api) -> None:
    assert (await ask(kept, "spoken")).status_code == 200
    tweaks = {"tweaks": {"Model": {"stream": False}}}
    for other in ({"input_value": "x"}, tweaks, {"session_id": "s"}, {"output_type": "any"}, {"input_type": "any"}):
        refused = await ask(kept, "spoken", **other)
        check(refused, 422, "idempotency_key_reused")
        assert refused.json()["detail"].endswith("with another request.")
        assert (await ask(kept, "spoken", **other, key=str(other.keys()))).status_code == 200


@pytest.mark.parametrize("keys", [[""], [" "], ["a b"], ["x" * 201], ["\x7f"], ["é"], ["a", "b"]])
async def test_what_is_no_key_is_refused(api: Api, keys: list[str]) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1")) for key in keys]
    refused = await api.client.post("/api/v1/run/echo", json={}, headers=headers)
    check(refused, 422, "idempotency_key_invalid")


async def test_a_key_is_one_of_its_flow_and_of_its_person_or_token(kept: Api) -> None:
    """A person's tokens share theirs."""
    await kept.add("ada", "bob")
    [(_, one), (_, two), (_, bobs), (_, other)] = [await kept.token(owner=name) for name in ("ada", "ada", "bob", None)]
    told, key = await ask(kept, "echo", key="x" * 200, headers=one), {"key": "x" * 200}
    for flow, headers in (("spoken", one), ("echo", bobs), ("echo", other)):
        answer = await ask(kept, flow, headers=headers, **key)
        assert (answer.status_code, is_replayed(answer), answer.content == told.content) == (200, False, False)
    for headers in (one, two):
        again = await ask(kept, "echo", headers=headers, **key)
        assert (again.content, is_replayed(again)) == (told.content, True)
    assert await kept.count_runs("echo") == 3


async def test_what_a_token_may_set_is_part_of_what_is_asked(kept: Api) -> None:
    """One that may set nothing is not told what another's tweaks made of the flow."""
    await kept.add("ada")
    _, sets = await kept.token(owner="ada", sees="answers", sets="unprotected")
    _, sets_nothing = await kept.token(owner="ada", sees="answers", sets="opened")
    tweaks = {"Model": {"system_message": "Sing."}}
    assert (await ask(kept, "spoken", headers=sets, tweaks=tweaks)).status_code == 200
    check(await ask(kept, "spoken", headers=sets_nothing, tweaks=tweaks), 422, "idempotency_key_reused")
    told = await ask(kept, "spoken", headers=sets, key="plain")
    again = await ask(kept, "spoken", headers=sets_nothing, key="plain")
    assert (again.status_code, again.content) == (200, told.content)  # nothing is set: it is the same request


async def test_a_repeat_follows_a_run_that_goes_on(kept: Api) -> None:
    first = asyncio.create_task(ask(kept, "slow", "?stream=sse", session_id="s"))
    await kept.find_running("You said: ")
    told = dict(zip(WAYS, await asyncio.gather(*(ask(kept, "slow", way, session_id="s") for way in WAYS)), strict=True))
    assert read_told(told["?stream=sse"].text) == read_told((await first).text)
    for answer in told.values():
        assert (answer.status_code, is_replayed(answer)) == (200, True)
        assert "You said: a b c" in answer.text.replace('", "id"', "")
    assert await kept.count_runs("slow") == 1


async def test_those_that_come_at_once_make_one_run(kept: Api) -> None:
    answers = await asyncio.gather(*(ask(kept, "slow") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum(not is_replayed(answer) for answer in answers) == 1
    assert await kept.count_runs("slow") == 1


async def test_what_failed_before_a_model_was_asked_or_was_refused_frees_its_key(kept: Api) -> None:
    for _ in range(2):
        refused = await ask(kept, "fetching")
        check(refused, 503, "model_not_ready")
        assert not is_replayed(refused)
    assert await kept.count_runs("fetching") == 2
    assert (await ask(kept, "fetching", input_value="other")).status_code == 503  # and not 422
    assert (await ask(kept, "spoken", tweaks={"Nobody": {"x": 1}})).status_code == 422
    assert (await ask(kept, "spoken")).status_code == 200


@pytest.mark.parametrize("way", WAYS)
async def test_a_model_that_refused_frees_its_key(tmp_path: Path, way: str) -> None:
    """One that is not there, has no time, or fails, has done nothing; the next try gets the answer."""
    refused = [whole({}, status="500 No"), whole({}, status="429 Wait", headers="Retry-After: 1\r\n")]
    good = [STREAMED if "stream" in way else ANSWER]
    async with wire(*([one] for one in refused), good) as server:
        mine = {"type": "openai", "base_url": f"{server.url}/v1", "retries": 0}
        config = {"providers": {"mine": mine, "away": mine | {"base_url": "http://127.0.0.1:1/v1"}}}
        flows = {name: chat_flow(f"{name}:m") for name in ("mine", "away")}
        async with serving(tmp_path, config=config, flows=flows) as api:
            for flow, codes in (("away", ["model_unreachable"] * 2), ("mine", ["model_failed", "model_busy"])):
                for code in codes:
                    told = await ask(api, flow, way)
                    assert (f'"{code}"' in told.text, is_replayed(told)) == (True, False), told.text
            answer, again = [await ask(api, "mine", way) for _ in range(2)]
            assert ("Hi you" in answer.text, is_replayed(answer)) == (True, False)
            assert (again.content, is_replayed(again)) == (answer.content, True)
        assert len(server.asked) == 3


@pytest.mark.parametrize("way", WAYS[2:])
async def test_a_model_that_broke_off_keeps_its_key(kept: Api, way: str) -> None:
    told, live = [await ask(kept, "broken", way) for _ in range(2)]
    kept.forget_turns()
    stored = await ask(kept, "broken", way)
    assert (is_replayed(told), is_replayed(live), is_replayed(stored)) == (False, True, True)
    assert "model_unreachable" in told.text
    assert read_told(told.text) == read_told(live.text) == read_told(stored.text)


class Orders:
    """An MCP server with one tool."""

    called = 0

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        return ServerTool(tool, "Cancels.", {"type": "object"}, writes=True)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        self.called += 1
        return "Cancelled."


async def test_what_a_tool_did_before_the_model_refused_is_not_done_twice(tmp_path: Path) -> None:
    config = {"mcp_servers": {"orders": {"command": ["false"]}}}
    async with serving(tmp_path, config=config, flows={"cancel": CANCEL}) as api:
        orders = Orders()
        api.runtime.reach.outside = replace(api.runtime.reach.outside, servers=orders)
        answers = [await ask(api, "cancel") for _ in range(2)]
        assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [(502, False), (502, True)]
        assert orders.called == 1


async def test_what_was_sent_and_failed_is_not_sent_twice(tmp_path: Path) -> None:
    config = {"outgoing": {"private_networks": ["127.0.0.1"]}}
    async with wire([whole({}, status="500 No")]) as server:
        flow = ORDER.replace("URL", server.url)
        async with serving(tmp_path, config=config, flows={"order": flow}) as api:
            answers = [await ask(api, "order") for _ in range(2)]
            assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [(500, False), (500, True)]
            assert await api.count_runs("order") == 1
        assert [asked.body for asked in server.asked] == [{"item": "a b c"}]


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_a_stopped_run_is_told_as_the_first_time(kept: Api, is_remembered: bool) -> None:
    first = asyncio.create_task(ask(kept, "long"))
    run = await kept.find_running("")
    assert (await kept.client.post(f"/api/v1/runs/{run}/stop")).json()["status"] == "stopped"
    told = await first
    if not is_remembered:
        kept.forget_turns()
    again = await ask(kept, "long")
    check(told, 409, "run_stopped")
    assert (again.status_code, read_told(again.text)) == (told.status_code, read_told(told.text))


async def test_an_answer_that_was_deleted_is_gone(kept: Api) -> None:
    assert (await ask(kept, "echo", session_id="s")).status_code == 200
    assert (await kept.client.delete("/api/v1/monitor/messages/session/s")).status_code == 204
    kept.forget_turns()
    check(await ask(kept, "echo", session_id="s"), 410, "answer_gone")
    assert await kept.count_runs("echo") == 1


async def test_a_flow_that_changed_tells_the_old_answer(kept: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told, simple = await ask(kept, "two", "?stream=true"), await ask(kept, "two", "?shape=simple")
    kept.forget_turns()
    look_at_once(monkeypatch)
    (kept.runtime.settings.flows / "two.yaml").write_text(FLOWS["echo"].replace("Echo", "Two"))
    assert await kept.text("two", {"input_value": "x"}) == "x"
    assert read_told((await ask(kept, "two", "?stream=true")).text) == read_told(told.text)
    assert (await ask(kept, "two", "?shape=simple")).content == simple.content


async def test_a_key_is_free_after_a_day(kept: Api) -> None:
    def age(connection: Connection) -> None:
        connection.execute(update(tables.idempotency_keys).values(made_at=tables.idempotency_keys.c.made_at - 86_401))

    assert (await ask(kept, "echo")).status_code == 200
    await kept.runtime.store.write(age)
    assert not is_replayed(await ask(kept, "echo", input_value="other"))
    assert await kept.count_runs("echo") == 2
    await kept.runtime.store.write(age)
    for before, forgotten in ((0.0, 0), (2e9 * 2, 1), (2e9 * 2, 0)):
        assert await kept.runtime.store.write(delete_expired, kind="idempotency_keys", before=before) == forgotten


async def test_a_repeat_counts_as_a_request_of_the_minute(tmp_path: Path) -> None:
    async with limited(tmp_path, runs_per_minute=4) as api:
        told = [await ask(api, "echo", key=key) for key in ("k", "k", "k", "other", "k", "third")]
        assert [answer.status_code for answer in told] == [200, 200, 200, 200, 429, 429]
        assert [is_replayed(answer) for answer in told[:4]] == [False, True, True, False]
        assert [answer.headers["x-ratelimit-remaining"] for answer in told[:4]] == ["3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"runs_at_once": 1}, 503, "server_busy"),
        ({"person": {"runs_at_once": 1}}, 429, "runs_at_once"),
        ({"flow": {"runs_at_once": 1}}, 429, "runs_at_once"),
        ({"person": {"tokens_per_day": 1}}, 429, "daily_limit_reached"),
        ({"flow": {"tokens_per_day": 1}}, 429, "daily_limit_reached"),
    ],
)
async def test_a_repeat_takes_no_place_and_is_no_run_at_once_and_none_of_the_day(
    tmp_path: Path, limits: dict[str, Any], status: int, code: str
) -> None:
    async with limited(tmp_path, **limits) as api:
        api.runtime.admission._seconds = 0  # nobody waits for a place
        first = asyncio.create_task(ask(api, "slow", "?stream=sse", input_value=SAID))
        await api.find_running("You said: ")
        if code == "daily_limit_reached":
            await first
        check(await ask(api, "slow", key="other"), status, code)
        again = await ask(api, "slow", input_value=SAID)
        assert (again.status_code, is_replayed(again)) == (200, True)
        assert (await first).status_code == 200
        if code != "daily_limit_reached":
            assert (await ask(api, "slow", key="third")).status_code == 200  # its place is free again


async def test_few_repeats_of_one_person_wait_for_a_run_that_cannot_be_followed(
    kept: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_turns, "_MOST_WAITING", 2)
    _, theirs = await kept.token()
    first = asyncio.create_task(ask(kept, "long"))
    run = await kept.find_running("")
    other = asyncio.create_task(ask(kept, "long", headers=theirs))
    await kept.find_running("", besides=run)
    kept.forget_turns()
    waiting = [asyncio.create_task(ask(kept, "long")) for _ in range(4)]
    for _, refused in zip(range(2), asyncio.as_completed(waiting), strict=False):
        check(await refused, 409, "run_unfinished")
    theirs_again = asyncio.create_task(ask(kept, "long", headers=theirs))
    await asyncio.wait([theirs_again], timeout=0.5)
    assert [task.done() for task in (theirs_again, *waiting)].count(False) == 3
    for found in await kept.runtime.store.read(list_runs, flow_id="long"):
        await kept.runtime.running.stop(found.id)
    answers = await asyncio.gather(first, other, theirs_again, *waiting)
    assert sorted(answer.json()["code"] for answer in answers) == ["run_stopped"] * 5 + ["run_unfinished"] * 2
