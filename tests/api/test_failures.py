"""A model that fails: the status class survives, a program can read the rest, and a failing run costs little."""

import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from flowground.providers.base import ModelCall, Piece
from flowground.providers.scripted import Scripted
from tests.api.calls import Api
from tests.api.langflow_shapes import events
from tests.api.serving import serving
from tests.chat_answers import ANSWER
from tests.running import chat_flow
from tests.wire import Part, whole, wire

FLOWS = {"chat": chat_flow("mine:m")}
INVOICE = """
components:
  ChatInput: {type: ChatInput}
  Model: {type: StructuredOutput, model: "mine:m", input_value: "${ChatInput}",
    output_schema: {type: object, properties: {total: {type: number}}}}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
OUR_WORDS = {"message", "code", "component", "provider_status"}
SAID = {"input_value": "one two three"}
QUERIES = pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])


def settings(url: str, **more: Any) -> dict[str, Any]:
    mine = {"type": "openai", "base_url": f"{url}/v1", "api_key": "sk-secret", "retries": 0} | more
    return {"providers": {"mine": mine}}


@pytest.mark.parametrize(
    ("answer", "status", "code", "upstream"),
    [
        (whole({"error": {"message": "no"}}, status="500 Internal Server Error"), 502, "model_failed", 500),
        (whole({"error": {"message": "no"}}, status="401 Unauthorized"), 502, "model_failed", 401),
        (whole({"error": {"message": "no"}}, status="404 Not Found"), 502, "model_failed", 404),
        (whole({"error": {"message": "wait"}}, status="429 Too Many Requests", headers="Retry-After: 7\r\n"),
         429, "model_busy", 429),
        (whole(b"<html>"), 502, "model_failed", 200),
        (5.0, 504, "model_timeout", None),
    ],
)  # fmt: skip
@QUERIES
async def test_a_models_failure_keeps_its_class(
    tmp_path: Path, answer: Part, status: int, code: str, upstream: int | None, query: str
) -> None:
    patience = 0.2 if isinstance(answer, float) else 30
    async with (
        wire([answer]) as server,
        serving(tmp_path, config=settings(server.url, timeout=patience), flows=FLOWS) as api,
    ):
        said, text = await api.read_outcome("chat", SAID, query=query)
    detail, retry_after = said["detail"], said.get("retry_after")
    assert (said["status"], said["code"], str(retry_after)) == (status, code, "7" if status == 429 else "None")
    assert (detail.keys(), detail["code"], detail["component"]) == (OUR_WORDS, code, "Model")
    assert detail["provider_status"] in ((upstream,) if upstream and upstream >= 400 else (upstream, None))
    for secret in ("sk-secret", "Traceback", str(tmp_path), server.url):
        assert secret not in text


async def test_a_server_that_is_not_there_is_a_bad_gateway(tmp_path: Path) -> None:
    async with serving(tmp_path, config=settings("http://127.0.0.1:1"), flows=FLOWS) as api:
        said, _ = await api.read_outcome("chat", SAID, query="")
    assert (said["status"], said["code"]) == (502, "model_unreachable")


@QUERIES
async def test_a_provider_that_nobody_set_up_is_named(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path, flows={"chat": chat_flow("nobody:m")}) as api:
        said, text = await api.read_outcome("chat", SAID, query=query)
    assert (said["status"], said["code"], said["detail"]["component"]) == (502, "model_failed", "Model")
    assert "There is no provider 'nobody'" in text


async def test_a_model_that_gives_no_json_twice_is_a_bad_gateway(tmp_path: Path) -> None:
    async with (
        wire([ANSWER], [ANSWER]) as server,
        serving(tmp_path, config=settings(server.url), flows={"invoice": INVOICE}) as api,
    ):
        said, text = await api.read_outcome("invoice", SAID)
    assert (said["status"], said["code"], said["detail"]["component"]) == (502, "model_failed", "Model")
    assert "gave no JSON that fits" in text


async def test_a_failing_run_is_stored_and_logs_no_traceback(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "flowground"):
        for query in ("", "?stream=true"):
            await api.run("failing", {"input_value": "x"}, query=query)
        await api.run("chat", {"tweaks": {"Nobody": {}}})
        await api.run("nothing")
    assert [record for record in caplog.records if record.exc_info] == []
    stored = await api.messages(flow_id="failing")
    assert [item["category"] for item in stored] == ["message", "error"] * 2


async def test_what_nobody_foresaw_answers_json_without_its_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stream(self: Scripted, call: ModelCall) -> AsyncGenerator[Piece, None]:
        yield "half"
        raise RuntimeError("/secret/path of a mistake")

    monkeypatch.setattr(Scripted, "stream", stream)
    plain = await api.run("spoken", {"input_value": "x"})
    told = events((await api.run("spoken", {"input_value": "x"}, query="?stream=true")).text)
    stored = await api.messages(flow_id="spoken")
    assert [item["category"] for item in stored] == ["message", "error"] * 2
    says = "Something went wrong on this server."
    run = (await api.client.get(f"/api/v1/runs/{plain.headers['flowground-run-id']}")).json()
    assert (run["status"], run["error_code"]) == ("failed", "internal_error")
    assert (plain.status_code, plain.json()) == (500, {"detail": says, "code": "internal_error"})
    assert [event["event"] for event in told] == ["add_message", "add_message", "token", "error"]
    assert told[-1]["data"] == {"error": says, "code": "internal_error", "status": 500}


@pytest.mark.parametrize(
    ("flow", "limits", "status", "code"),
    [("talks", {}, 502, "answer_too_long"), ("silent", {"run_seconds": 0.5}, 504, "run_timeout")],
)
@QUERIES
async def test_a_run_over_its_bounds_says_which(
    tmp_path: Path,
    flow: str,
    limits: dict[str, Any],
    status: int,
    code: str,
    query: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flowground.runs.runner.LONGEST_ANSWER", 15)
    flows = {"talks": chat_flow("scripted:echo"), "silent": chat_flow("scripted:silent")}
    async with serving(tmp_path, config={"limits": limits}, flows=flows) as api:
        said, _ = await api.read_outcome(flow, SAID, query=query)
        [_, answer] = await api.messages()
    assert (said["status"], said["code"]) == (status, code)
    assert answer["properties"]["state"] == "failed"
    assert answer["content_blocks"][0]["contents"][0]["reason"]
    assert flow != "talks" or answer["text"] == "You said: one t"
