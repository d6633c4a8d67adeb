"""A model that fails: the status class survives, a program can read the rest, and a failing run costs little."""

import json
import logging
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from flowground.providers.base import Capabilities, Completion, ModelCall, Piece
from flowground.store.flows import publications
from flowground.store.people import tokens
from tests.api.calls import Api
from tests.api.langflow_shapes import events
from tests.api.serving import serving
from tests.people import PASSWORD
from tests.running import chat_flow
from tests.wire import Part, whole, wire

pytestmark = pytest.mark.anyio

FLOWS = {"chat": chat_flow("mine:m")}
OUR_WORDS = {"message", "code", "component", "provider_status"}


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
@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_models_failure_keeps_its_class(
    tmp_path: Path, answer: Part, status: int, code: str, upstream: int | None, query: str
) -> None:
    patience = 0.2 if isinstance(answer, float) else 30
    async with (
        wire([answer]) as server,
        serving(tmp_path, config=settings(server.url, timeout=patience), flows=FLOWS) as api,
    ):
        response = await api.run("chat", {"input_value": "x"}, query=query)
        if query:
            last = [json.loads(line[line.index("{") :]) for line in response.text.split("\n") if "{" in line][-1]
            said = last.get("data", last)
            assert (response.status_code, said["status"], said["code"]) == (200, status, code)
            assert said.get("retry_after") == (7 if status == 429 else None)
            detail = said["detail"]
        else:
            assert response.status_code == status
            detail = response.json()["detail"]
        assert detail.keys() == OUR_WORDS
        assert (detail["code"], detail["component"]) == (code, "Model")
        assert detail["provider_status"] in (upstream, None)
        if upstream and upstream >= 400:
            assert detail["provider_status"] == upstream
        if status == 429 and not query:
            assert response.headers["retry-after"] == "7"
        for secret in ("sk-secret", "Traceback", str(tmp_path), server.url):
            assert secret not in response.text


async def test_a_server_that_is_not_there_is_a_bad_gateway(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with serving(tmp_path, config=settings(url), flows=FLOWS) as api:
            response = await api.run("chat", {"input_value": "x"})
    assert (response.status_code, response.json()["detail"]["code"]) == (502, "model_unreachable")


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_provider_that_nobody_set_up_is_named(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path, flows={"chat": chat_flow("nobody:m")}) as api:
        response = await api.run("chat", {"input_value": "x"}, query=query)
    assert response.status_code == (200 if query else 502)
    for said in ("There is no provider 'nobody'", "model_failed", "502" if query else "Model"):
        assert said in response.text


async def test_a_failing_run_is_stored_and_logs_no_traceback(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "flowground"):
        for query in ("", "?stream=true"):
            await api.run("failing", {"input_value": "x"}, query=query)
        await api.run("chat", {"tweaks": {"Nobody": {}}})
        await api.run("nothing")
    assert [record for record in caplog.records if record.exc_info] == []
    stored = (await api.client.get("/api/v1/monitor/messages", params={"flow_id": "failing"})).json()
    assert [item["category"] for item in stored] == ["message", "error"] * 2


class Broken:
    """Models, and their one provider, with a mistake of ours in it."""

    def resolve(self, model: str | None) -> Any:
        return self, model

    def takes(self, model: str) -> Capabilities:
        return Capabilities()

    def require_ready(self, model: str) -> None:
        pass

    async def complete(self, call: ModelCall) -> Completion:
        raise RuntimeError("/secret/path of a mistake")

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        yield "half"
        raise RuntimeError("/secret/path of a mistake")


async def test_what_nobody_foresaw_answers_json_without_its_inside(api: Api) -> None:
    models, api.runtime.models = api.runtime.models, Broken()  # type: ignore[assignment]  # a run asks no more of it
    try:
        plain = await api.run("spoken", {"input_value": "x"})
        stream = events((await api.run("spoken", {"input_value": "x"}, query="?stream=true")).text)
    finally:
        api.runtime.models = models
    stored = (await api.client.get("/api/v1/monitor/messages", params={"flow_id": "spoken"})).json()
    assert [item["category"] for item in stored] == ["message", "error"] * 2
    assert plain.status_code == 500
    assert plain.json() == {"detail": "Something went wrong on this server.", "code": "internal_error"}
    assert [event["event"] for event in stream] == ["add_message", "add_message", "token", "error"]
    assert stream[-1]["data"] == {
        "error": "Something went wrong on this server.", "code": "internal_error", "status": 500,
    }  # fmt: skip


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_members_token_is_told_the_kind_of_failure_and_nothing_of_the_inside(api: Api, query: str) -> None:
    await api.runtime.sign_in.roster.add("mia", role="member", password=PASSWORD, by="tests")
    sharing = publications.Sharing(is_shared=True, shares_api=True)
    await api.runtime.store.write(publications.change, flow_id="failing", sharing=sharing, by="tests")
    _, secret = await api.runtime.store.write(
        tokens.create, name="x", owner="mia", flows=None, expires_at=None, by="tests"
    )
    api.client.headers["x-api-key"] = secret
    response = await api.run("failing", {"input_value": "x"}, query=query)
    assert "The model failed." in response.text
    assert "model_failed" in response.text
    stored = (await api.client.get("/api/v1/monitor/messages")).text
    for inside in ("Model'", '"Model"', "scripted", "Language Model"):
        assert inside not in response.text
        assert inside not in stored


@pytest.mark.parametrize(
    ("flow", "limits", "status", "code"),
    [
        ("talks", {"answer_chars": 15}, 502, "answer_too_long"),
        ("silent", {"run_seconds": 0.5}, 504, "run_timeout"),
    ],
)
@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_run_over_its_bounds_says_which(
    tmp_path: Path, flow: str, limits: dict[str, Any], status: int, code: str, query: str
) -> None:
    flows = {"talks": chat_flow("scripted:echo"), "silent": chat_flow("scripted:silent")}
    async with serving(tmp_path, config={"limits": limits}, flows=flows) as api:
        response = await api.run(flow, {"input_value": "one two three"}, query=query)
        if query:
            last = [json.loads(line[line.index("{") :]) for line in response.text.split("\n") if "{" in line][-1]
            said = last.get("data", last)
            assert (said["status"], said["code"]) == (status, code)
        else:
            assert (response.status_code, response.json()["code"]) == (status, code)
        [_, answer] = (await api.client.get("/api/v1/monitor/messages")).json()
        assert answer["properties"]["state"] == "failed"
        assert answer["content_blocks"][0]["contents"][0]["reason"]
        if flow == "talks":
            assert answer["text"] == "You said: one t"
