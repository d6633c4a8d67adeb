"""Sessions (langflow.md 4): fresh or continued, in order, of one flow and one caller, whatever happens beside them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.api.calls import Api
from tests.api.serving import serving


@pytest.fixture
async def api(url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, config={"database": url}) as opened:
        yield opened


async def memory(api: Api, session: str, said: str, **headers: str) -> list[str]:
    """The history that the model saw, line by line."""
    body = {"input_value": said, "session_id": session}
    response = await api.run("remember", body, query="?shape=simple", headers=headers)
    assert response.status_code == 200, response.text
    seen = json.loads(response.json()["text"])["messages"]
    assert seen[-1] == {"role": "user", "content": said}
    return [line for message in seen[:-1] for line in message["content"].splitlines() if line.startswith("User: ")]


@pytest.mark.parametrize("session", [None, ""])
async def test_no_session_id_begins_a_fresh_session_each_time(api: Api, session: str | None) -> None:
    body = {"input_value": "my name is Bob", "session_id": session}
    first, second = [(await api.run("remember", body)).json()["session_id"] for _ in range(2)]
    assert first
    assert first != second
    assert await memory(api, second, "who am I?") == ["User: my name is Bob"]


async def test_the_same_id_goes_on_in_the_order_of_what_was_said(api: Api) -> None:
    for number in range(4):
        assert await memory(api, "s", f"say {number}") == [f"User: say {earlier}" for earlier in range(number)]


async def test_an_id_is_another_session_in_another_flow_and_for_another_token(api: Api) -> None:
    _, other = await api.token()
    await api.run("echo", {"input_value": "my name is Eve", "session_id": "s"})
    assert await memory(api, "s", "my name is Bob") == []
    assert await memory(api, "s", "I am Eve", **other) == []
    assert await memory(api, "s", "and?", **other) == ["User: I am Eve"]
    assert await memory(api, "s", "who?") == ["User: my name is Bob"]


@pytest.mark.parametrize("session", ["x" * 200, "a\0b", "ž 🐎\n\"'", "a:b/c?d=e&f", "0", " "])
async def test_any_text_may_be_a_session_id(api: Api, session: str) -> None:
    response = await api.run("echo", {"input_value": "x", "session_id": session})
    assert response.json()["session_id"] == session
    assert await memory(api, session, "one") == []
    assert await memory(api, session, "two") == ["User: one"]


@pytest.mark.parametrize("query", ["", "?stream=true", "?shape=simple"])
async def test_a_session_id_over_its_length_is_refused(api: Api, query: str) -> None:
    refused = await api.run("echo", {"input_value": "x", "session_id": "🐎" * 201}, query=query)
    (problem,) = refused.json()["detail"]
    assert (refused.status_code, problem["loc"]) == (422, ["body", "session_id"])
    assert "at most 200" in problem["msg"]
    assert (await api.client.get("/api/v1/monitor/messages/sessions")).json() == []


async def test_a_longer_session_id_of_before_can_be_read_and_deleted(api: Api) -> None:
    long = "x" * 300
    token, headers = await api.token()
    place: dict[str, Any] = {"flow_id": "echo", "owner": f"token:{token.id}", "session_id": long}
    message = StoredMessage("m1", "user", "of before", "complete", datetime.now(UTC))
    await api.runtime.store.write(turns.begin_turn, message=message, **place)
    api.client.headers.update(headers)
    assert (await api.client.get("/api/v1/monitor/messages/sessions")).json() == [long]
    assert [item["text"] for item in await api.messages(session_id=long)] == ["of before"]
    assert (await api.client.delete(f"/api/v1/monitor/messages/session/{long}")).status_code == 204
    assert (await api.client.get("/api/v1/monitor/messages/sessions")).json() == []


async def test_a_failed_run_keeps_the_question_and_never_doubles_the_next(api: Api) -> None:
    for said in ("one", "two"):
        failed = await api.run("remember", {"input_value": said, "session_id": "s", "tweaks": {"Memory": {"order": 5}}})
        assert failed.status_code == 422
    assert await memory(api, "s", "three") == []
    for said in ("one", "two"):
        assert (await api.run("forgetful", {"input_value": said, "session_id": "s"})).status_code == 502
    stored = await api.messages(flow_id="forgetful")
    assert [(item["sender"], item["category"]) for item in stored] == [("User", "message"), ("Machine", "error")] * 2
    assert [item["text"] for item in stored if item["sender"] == "User"] == ["one", "two"]


async def test_runs_side_by_side_in_one_session_never_see_their_own_message(api: Api) -> None:
    async def recall(said: str) -> list[str]:
        """As `memory`, of answers that do not grow with what was said before."""
        ask = {"input_value": said, "session_id": "s", "output_type": "text"}
        response = await api.run("recall", ask, query="?shape=simple")
        assert response.status_code == 200, response.text
        lines: list[str] = response.json()["text"].splitlines()
        return [line for line in lines if line.startswith("User: ")]

    seen = await asyncio.gather(*(recall(f"say {number}") for number in range(40)))
    for number, lines in enumerate(seen):
        assert f"User: say {number}" not in lines
        assert len(lines) == len(set(lines))
    assert sorted(await recall("last")) == sorted(f"User: say {number}" for number in range(40))
