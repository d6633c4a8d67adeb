"""What is wrong with a call is said in one order: the key, its limit, the flow, what is asked, and then the model."""

from pathlib import Path

import httpx2
import pytest

from tests.api.calls import Api
from tests.api.serving import serving

pytestmark = pytest.mark.anyio

BROKEN = b"{"


async def call(api: Api, flow: str, query: str, *, key: str | None = None, body: bytes = BROKEN) -> httpx2.Response:
    headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
    return await api.client.post(f"/api/v1/run/{flow}{query}", content=body, headers=headers)


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_the_first_thing_wrong_is_the_one_that_is_said(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 3}}) as api:
        _, other = await api.token()
        key = other["x-api-key"]
        del api.client.headers["x-api-key"]
        said = [
            await call(api, "unknown", query),
            await call(api, "unknown", query, key="wrong"),
            await call(api, "unknown", query, key=key),
            await call(api, "fetching", query, key=key),
            await call(api, "fetching", query, key=key, body=b"{}"),
            await call(api, "unknown", query, key=key),
        ]
        assert [answer.status_code for answer in said] == [403, 403, 404, 422, 503, 429]
        left = [answer.headers.get("x-ratelimit-remaining") for answer in said]
        assert left == [None, None, "2", "1", "0", "0"]


async def test_a_server_that_ends_says_so_before_it_asks_for_a_key(api: Api) -> None:
    await api.runtime.stop_runs(0)
    del api.client.headers["x-api-key"]
    answer = await call(api, "unknown", "")
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
