"""Branches on the wire: the one that ran answers, and a run whose outputs were all skipped has none."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import events
from tests.api.serving import serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("said", "answer"), [("a refund", "You said: a refund"), ("my order", "my order")])
async def test_the_branch_that_ran_answers(api: Api, said: str, answer: str) -> None:
    assert await api.text("branching", {"input_value": said}) == answer
    stream = events((await api.run("branching", {"input_value": said}, query="?stream=true")).text)
    assert stream[-1]["data"]["result"]["outputs"][0]["outputs"][0]["results"]["message"]["text"] == answer


async def test_a_run_whose_outputs_were_skipped_is_complete_without_an_answer(api: Api) -> None:
    body = {"input_value": "hello", "session_id": "s"}
    plain = await api.run("branching", body)
    assert plain.status_code == 200
    assert plain.json()["outputs"] == [{"inputs": {"input_value": "hello"}, "outputs": []}]
    assert (await api.run("branching", body, query="?shape=simple")).json()["text"] == ""
    stream = events((await api.run("branching", body, query="?stream=true")).text)
    assert [event["event"] for event in stream] == ["add_message", "end"]
    assert stream[-1]["data"]["result"]["outputs"][0]["outputs"] == []


@pytest.mark.parametrize("query", ["", "?stream=true"])
async def test_such_a_run_is_told_again_by_its_idempotency_key(api: Api, query: str) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = [
        await api.client.post(f"/api/v1/run/branching{query}", json={"input_value": "hello"}, headers=headers)
        for _ in range(2)
    ]
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.text == again.text


async def test_the_monitor_tells_which_steps_were_skipped(api: Api) -> None:
    await api.run("branching", {"input_value": "a refund", "session_id": "s"})
    found = (await api.client.get("/api/v1/monitor/messages?session_id=s")).json()
    assert [message["text"] for message in found] == ["a refund", "You said: a refund"]


async def test_data_comes_as_data_in_the_simple_shape(api: Api) -> None:
    wanted = [{"title": "One", "said": "One"}, {"title": "Two", "said": "Two"}]
    found = (await api.run("papers", {"input_value": "x"}, query="?shape=simple")).json()
    assert found["data"] == wanted
    assert json.loads(found["text"].partition("\n\n")[0]) == wanted[0]
    stream = (await api.run("papers", {"input_value": "x"}, query="?stream=sse&shape=simple")).text
    assert json.loads(stream.rpartition("data: ")[2])["data"] == wanted
    headers = {"Idempotency-Key": "papers"}
    address = "/api/v1/run/papers?shape=simple"
    first, again = [await api.client.post(address, json={"input_value": "x"}, headers=headers) for _ in range(2)]
    assert first.json()["data"] == wanted
    assert first.text == again.text


async def test_a_run_over_its_budget_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"run_steps": 3}}) as api:
        answer = await api.run("papers", {"input_value": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "run_over_budget")
    assert "limits.run_steps" in answer.json()["hint"]


async def test_a_run_ends_that_costs_more_than_one_may(tmp_path: Path) -> None:
    agent = """
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: scripted, input_value: "${ChatInput}", tools: [Sums]}
  Sums: {type: Calculator}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
    outer = """
components:
  ChatInput: {type: ChatInput}
  First: {type: RunFlow, flow: agent, input_value: "${ChatInput}", step: {on_error: continue}}
  Second: {type: RunFlow, flow: agent, input_value: "${First}", step: {on_error: continue}}
  ChatOutput: {type: ChatOutput, input_value: "${Second}"}
"""
    flows, said = {"agent": agent, "outer": outer}, {"input_value": 'call Sums {"expression": "6*7"}'}
    prices = {"currency": "EUR", "models": {"scripted": {"input": 1e6, "output": 1e6}}}  # a token costs one

    async def ask(name: str, most: float) -> httpx2.Response:
        config = {"limits": {"run_money": most}, "prices": prices}
        async with serving(tmp_path / f"{name}-{most}", config=config, flows=flows) as api:
            return await api.run(name, said, query="?shape=simple")

    cost = (await ask("agent", 1_000)).json()["usage"]["total_tokens"]
    assert (await ask("outer", 1_000)).status_code == 200
    assert (await ask("agent", cost + 1)).status_code == 200
    told = await ask("outer", cost + 1)
    assert (told.status_code, told.json()["code"]) == (422, "run_over_budget")
    assert f"more than {cost + 1} EUR" in told.json()["detail"]["message"]
    assert "limits.run_money" in told.json()["hint"]
    assert (await ask("agent", 0.5)).status_code == 422
