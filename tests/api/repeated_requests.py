"""Requests with an `Idempotency-Key`."""

from typing import Any

import httpx2

from flowground.runtime.stream_turns import StreamTurns
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.running import chat_flow
from tests.stored import list_runs

KEPT = FLOWS | {name: chat_flow(f"scripted:{name}") for name in ("slow", "silent", "long")}


async def ask(api: Api, flow: str, query: str = "", *, key: str = "k", **more: Any) -> httpx2.Response:
    headers = {"idempotency-key": key} | more.pop("headers", {})
    body = {"input_value": "a b c"} | more
    return await api.client.post(f"/api/v1/run/{flow}{query}", json=body, headers=headers)


def forget_turns(api: Api) -> None:
    """As after a restart, or after `limits.resume_seconds`: what ran here is told from the store."""
    api.runtime._stream_turns = StreamTurns()


async def count_runs(api: Api, flow: str) -> int:
    return len(await api.runtime.store.read(list_runs, flow_id=flow))
