"""An answer that `max_tokens` cut says so in every shape; one that is whole has no word more than Langflow's."""

from typing import Any

import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import events

pytestmark = pytest.mark.anyio


def _find_message(body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = body["outputs"][0]["outputs"][0]["results"]["message"]
    return message


@pytest.mark.parametrize(("flow", "reason"), [("cut", "length"), ("spoken", None)])
async def test_a_cut_answer_says_so_on_the_wire(api: Api, flow: str, reason: str | None) -> None:
    body = {"input_value": "one two three four", "session_id": "s"}
    message = _find_message((await api.run(flow, body)).json())
    assert message["properties"].get("finish_reason") == reason
    assert message["data"]["properties"].get("finish_reason") == reason
    assert ("finish_reason" in message["properties"]) is (reason is not None)
    simple = (await api.run(flow, body, query="?shape=simple")).json()
    assert simple.get("finish_reason") == reason
    stream = events((await api.run(flow, body, query="?stream=true")).text)
    assert stream[-2]["data"]["properties"].get("finish_reason") == reason
    assert _find_message(stream[-1]["data"]["result"])["properties"].get("finish_reason") == reason
    *_, stored = (await api.client.get("/api/v1/monitor/messages?session_id=s")).json()
    assert stored["properties"].get("finish_reason") == reason


async def test_a_repeat_of_a_cut_answer_says_so_too(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    ask = {"input_value": "one two three four"}
    first, again = [await api.client.post("/api/v1/run/cut", json=ask, headers=headers) for _ in range(2)]
    assert first.text == again.text
    assert _find_message(again.json())["properties"]["finish_reason"] == "length"
