"""Who answers while a model's provider is down: over the API, with servers that fail in every way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowground.core.messages import Usage
from flowground.providers import fallback, server
from tests.acting import SUM
from tests.api.calls import Api
from tests.api.serving import serving
from tests.run_rows import eventually
from tests.running import chat_flow
from tests.stored import list_messages, list_runs
from tests.switched import find_speaking, read_messages, switch_off, switch_on
from tests.wire import HANG_UP, Part, Wire, chunked, whole, wire

DOWN = whole({"error": {"message": "Overloaded"}}, status="503 Away")
BUSY = whole({"error": {"message": "Later"}}, status="429 Busy")
HANGS: list[Part] = [30.0]
BREAKS: list[Part] = [chunked(end=False), HANG_UP]
Answer = bytes | list[Part]
AGENT = """
components:
  In: {type: ChatInput}
  Model: {type: Agent, model: "mine:small", input_value: "${In}", tools: [Sums]}
  Sums: {type: Calculator}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
DATA = """
components:
  In: {type: ChatInput}
  Model: {type: StructuredOutput, model: "mine:small", input_value: "${In}",
    output_schema: {type: object, properties: {name: {type: string}}}}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
EACH = """
components:
  In: {type: ChatInput}
  Each: {type: ForEach, data: [ROWS], flow: one, input_value: "{text}", parallel: 8, step: {on_error: continue}}
  Out: {type: ChatOutput, input_value: "${Each}"}
""".replace("ROWS", ", ".join(f"{{text: '{number}'}}" for number in range(40)))
FLOWS = {"talk": chat_flow("mine:small"), "agent": AGENT, "data": DATA, "each": EACH, "one": chat_flow("mine:small")}


def say(text: str) -> bytes:
    answer = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return whole({"model": "big-2026", "choices": [answer], "usage": usage})


@asynccontextmanager
async def house(folder: Path, *answers: list[Answer], **more: Any) -> AsyncIterator[tuple[Api, dict[str, Wire]]]:
    """The API over mine, which falls back to spare, then to third, and what their servers are asked; they answer so."""
    names = ("mine", "spare", "third")[: len(answers)]
    async with AsyncExitStack() as stack:
        wires = {
            name: await stack.enter_async_context(wire(*([one] if isinstance(one, bytes) else one for one in said)))
            for name, said in zip(names, answers, strict=True)
        }
        entries: dict[str, Any] = {name: {"base_url": f"{one.url}/v1", "retries": 0} for name, one in wires.items()}
        entries["mine"]["fallback"] = ["spare:big", "third:last"][: len(names) - 1]
        for name, settings in more.pop("entries", {}).items():
            entries.setdefault(name, {}).update(settings)
        config = {"providers": entries, **more}
        yield await stack.enter_async_context(serving(folder, config=config, flows=FLOWS)), wires


async def ask(api: Api, flow: str = "talk", text: str = "hi", *, query: str = "", status: int = 200) -> Any:
    response = await api.run(flow, {"input_value": text, "session_id": "s"}, query=query)
    assert response.status_code == status, response.text
    if not query:
        return response.json()
    told = json.loads(response.text.split("\n\n")[-2])["data"]
    return told.get("result") or told


def read_message(body: Any) -> Any:
    return body["outputs"][0]["outputs"][0]["results"]["message"]


async def read_answer(api: Api, **more: Any) -> Any:
    return read_message(await ask(api, **more))["text"]


def list_said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("flowground.providers")]


@pytest.mark.parametrize("query", ["", "?stream=true"])
@pytest.mark.parametrize("failure", [DOWN, BUSY, BREAKS, HANGS], ids=["503", "429", "breaks", "hangs"])
async def test_another_provider_answers_while_one_is_down_and_the_answer_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: Answer, query: str
) -> None:
    patience: dict[str, Any] = {"mine": {"timeout": 0.5}} if failure is HANGS else {}
    async with house(tmp_path, [failure], [say("From spare.")], entries=patience) as (api, wires):
        for _ in range(3):
            body = await ask(api, query=query)
            assert body["warnings"] == ["mine is down; spare:big answered."]
            message = read_message(body)
            assert (message["text"], message["properties"]["source"]["source"]) == ("From spare.", "big-2026")
        assert len(wires["mine"].asked) in ((0, 1) if failure is HANGS else (1,))  # or no time for the connection
        assert (len(wires["spare"].asked), wires["spare"].asked[0].body["model"]) == (3, "big")
        (run, *_) = await api.runtime.store.read(list_runs, flow_id="talk")
        place: dict[str, Any] = {"flow_id": "talk", "owner": run.owner, "session_id": "s"}
        answers = [one for one in await api.runtime.store.read(list_messages, **place) if one.role == "assistant"]
        assert [one.model for one in answers] == ["big-2026"] * 3
        for answer in answers:
            assert [step.fallback_uses for step in answer.trace if step.fallback_uses] == [(("mine", "spare:big"),)]
            assert next(step.model for step in answer.trace if step.component_id == "Model") == "big-2026"
    told = list_said(caplog)
    assert len(told) == 2
    assert "'mine' is down, which is told once" in told[0]
    assert told[1] == "While the provider 'mine' is down 'spare:big' answers, which is told once."


async def test_who_sees_no_inside_is_told_no_names(tmp_path: Path) -> None:
    async with house(tmp_path, [DOWN], [say("From spare.")]) as (api, _):
        _, headers = await api.token(sees="answers")
        response = await api.client.post("/api/v1/run/talk", json={"input_value": "hi"}, headers=headers)
        body = response.json()
        assert read_message(body)["text"] == "From spare."
        assert body["warnings"] == ["The usual model is down; another one answered."]
        assert "spare" not in response.text.replace("From spare.", "")


@pytest.mark.parametrize(
    ("status", "code"), [(400, None), (401, None), (400, "content_filter"), (429, "insufficient_quota")]
)
async def test_what_a_server_refuses_nobody_else_is_asked(tmp_path: Path, status: int, code: str | None) -> None:
    refusal = whole({"error": {"message": "No", "code": code}}, status=f"{status} No")
    async with house(tmp_path, [refusal], [say("From spare.")]) as (api, wires):
        assert (await api.run("talk", {"input_value": "hi"})).status_code >= 400
        assert (len(wires["mine"].asked), wires["spare"].asked) == (1, [])


async def test_what_has_said_a_word_is_not_begun_anew(tmp_path: Path) -> None:
    delta = {"choices": [{"index": 0, "delta": {"content": "One "}, "finish_reason": None}]}
    async with house(tmp_path, [[chunked(delta, end=False), HANG_UP]], [say("From spare.")]) as (api, wires):
        response = await api.run("talk", {"input_value": "hi"}, query="?stream=true")
        assert "One " in response.text
        assert "broke" in response.text
        assert (len(wires["mine"].asked), wires["spare"].asked) == (1, [])


async def test_where_nobody_answers_the_run_fails_as_the_first_did(tmp_path: Path) -> None:
    async with house(tmp_path, [DOWN], [BUSY], [DOWN]) as (api, wires):
        for count in (1, 2):
            detail = (await ask(api, status=502))["detail"]
            assert "'mine' answered with status 503" in detail["message"]
            assert [len(one.asked) for one in wires.values()] == [count, 1, 1]


@pytest.mark.parametrize(("flow", "text"), [("agent", SUM), ("data", "Ada")])
async def test_who_cannot_do_what_a_call_needs_is_passed_over(tmp_path: Path, flow: str, text: str) -> None:
    answers: list[list[Answer]] = [[DOWN], [say("Never.")], [say('{"name": "Ada"}')]]
    async with house(tmp_path, *answers, entries={"spare": {"takes": []}}) as (api, wires):
        body = await ask(api, flow, text)
        assert body["warnings"] == ["mine is down; third:last answered."]
        assert wires["spare"].asked == []
        assert len(wires["third"].asked) >= 1


async def test_whose_window_is_too_small_is_passed_over_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[list[Answer]] = [[DOWN], [say("From spare.")], [say("From third.")]]
    async with house(tmp_path, *answers, entries={"spare": {"window": 1000}}) as (api, wires):
        assert await read_answer(api, text="word " * 1000) == "From third."
        assert wires["spare"].asked == []
        said = "'spare:big' cannot be asked: It holds 1,000 tokens, and the call has some 1,250."
        assert any(said in line for line in list_said(caplog))
        assert await read_answer(api, text="word " * 100) == "From spare."


async def test_a_provider_that_is_switched_off_answers_for_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, [DOWN], [say("From spare.")], [say("From third.")]) as (api, wires):
        await switch_off(api.runtime, "provider", "spare")
        assert await read_answer(api) == "From third."
        assert wires["spare"].asked == []
        await switch_on(api.runtime, "provider", "spare")
        assert await read_answer(api) == "From spare."
        await switch_off(api.runtime, "provider", "mine")
        await ask(api, status=503)


async def test_a_run_whose_fallback_is_switched_off_ends_with_the_sentence(tmp_path: Path) -> None:
    entries = {"mine": {"fallback": ["slow:long"]}, "slow": {"type": "scripted"}}
    async with house(tmp_path, [DOWN], entries=entries) as (api, _):
        reading = asyncio.create_task(api.run("talk", {"input_value": "hi", "session_id": "s"}, query="?stream=true"))
        await find_speaking(api, "word1 ")
        await switch_off(api.runtime, "provider", "slow")
        assert "Back at three." in (await reading).text
        assert (await read_messages(api, "talk"))[-1].state == "stopped"


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([DOWN, DOWN, DOWN], "GET GET GET POST"),
        # what could not be reached is asked a word only where it lists no models
        ([BREAKS, whole({"data": []})], "GET"),
        ([BREAKS, whole({}, status="404 No list")], "GET POST"),
    ],
)
async def test_a_provider_that_answers_again_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, answers: list[Answer], asked: str
) -> None:
    monkeypatch.setattr(fallback, "_FIRST_PAUSE", 0.02)
    async with house(tmp_path, [*answers, say("I am back.")], [say("From spare.")]) as (api, wires):
        assert await read_answer(api) == "From spare."

        async def is_back() -> bool:
            return any("answers again" in said for said in list_said(caplog))

        await eventually(is_back)
        looks = wires["mine"].asked[1:]
        assert [look.method for look in looks] == asked.split()
        for look in looks:
            word = look.body and (look.body["messages"][0]["content"], look.body["max_tokens"])
            assert (look.path, word) in (("/v1/models", None), ("/v1/chat/completions", ("Hello", 1)))
        body = await ask(api)
        assert read_message(body)["text"] == "I am back."
        assert "warnings" not in body


async def test_a_repeat_of_the_request_is_told_who_answered(tmp_path: Path) -> None:
    async with house(tmp_path, [DOWN], [say("From spare.")]) as (api, wires):
        headers, body = {"Idempotency-Key": "once"}, {"input_value": "hi"}
        told = [await api.client.post("/api/v1/run/talk", json=body, headers=headers) for _ in range(2)]
        assert [one.json()["warnings"] for one in told] == [["mine is down; spare:big answered."]] * 2
        assert len(wires["spare"].asked) == 1


async def test_what_a_fallback_used_counts_as_its_own(tmp_path: Path) -> None:
    prices = {"models": {"mine": {"input": 1_000_000, "output": 0}, "spare": {"input": 10_000_000, "output": 0}}}
    async with house(tmp_path, [DOWN], [say("From spare.")], prices=prices) as (api, _):
        await ask(api)
        (run,) = await api.runtime.store.read(list_runs, flow_id="talk")
        assert run.usage == Usage(7, 2)
        assert run.counts.cost == pytest.approx(70)


async def test_calls_side_by_side_find_an_outage_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.runs.inner._MOST_RETRIES", 0)
    async with house(tmp_path, [DOWN], [say("From spare.")]) as (api, wires):
        body = await ask(api, "each")
        assert read_message(body)["text"].count("From spare.") == 40
        assert body["warnings"] == ["mine is down; spare:big answered."]
        assert 1 <= len(wires["mine"].asked) <= 8
        assert len(wires["spare"].asked) == 40


@pytest.mark.parametrize("most", [0, 5])
async def test_all_calls_of_a_run_share_its_retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(server, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr("flowground.runs.inner._MOST_RETRIES", most)
    entries = {"mine": {"retries": 10}}
    async with house(tmp_path, [DOWN], entries=entries) as (api, wires):
        body = await ask(api, "each")
        assert "The model failed." in read_message(body)["text"] or "error" in json.dumps(body)
        assert len(wires["mine"].asked) == 40 + most
        await ask(api, status=502)
        assert len(wires["mine"].asked) == 40 + most + 1 + min(most, 10)
