"""Rights that end while a request's body comes, or while its run waits for its turn, end that request too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from flowground.runtime.stream_turns import StreamTurns
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import members, tokens
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.serving import serving
from tests.api.test_runs import find_running
from tests.running import chat_flow
from tests.stored import list_runs

pytestmark = pytest.mark.anyio
LASTING = FLOWS | {name: chat_flow(f"scripted:{name}") for name in ("slow", "long")}
A_WHILE = 1.1
"""Seconds after which rights are asked again."""
BODY = b'{"input_value": "hi"}'

Change = Callable[[Api, str], Awaitable[object]]


async def revoke(api: Api, token_id: str) -> None:
    await api.runtime.store.write(tokens.revoke, token_id=token_id, by="tests")


async def unshare(api: Api, _: str) -> None:
    await share(api, on=False)


async def remove(api: Api, _: str) -> None:
    await api.runtime.store.write(members.remove, member="mia", by="tests")


async def deactivate(api: Api, _: str) -> None:
    await api.runtime.store.write(members.set_active, member="mia", is_active=False, by="tests")


async def promote(api: Api, _: str) -> None:
    """Also who may do more is told so: nothing of a request is judged by two sets of rights."""
    await api.runtime.store.write(members.set_role, member="mia", role="author", by="tests")


CHANGES = pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (revoke, 403, "api_key_revoked"),
        (remove, 403, "api_key_"),
        (deactivate, 403, "api_key_invalid"),
        (unshare, 404, "not found"),
        (promote, 403, "rights_changed"),
    ],
)


async def share(api: Api, *, on: bool) -> None:
    for flow in ("echo", "slow", "long"):
        sharing = Sharing(is_shared=on, audience="organization", shares_api=True)
        await api.runtime.store.write(publications.change, flow_id=flow, sharing=sharing, by="tests")


async def join(api: Api) -> tuple[str, dict[str, str]]:
    """A member's token; flows are shared with them."""
    await share(api, on=True)
    await api.runtime.store.write(members.add, name="mia", display_name="Mia", email=None, role="member", by="tests")
    token, headers = await api.token(owner="mia")
    return token.id, headers


async def count_runs(api: Api, flow: str) -> int:
    return len(await api.runtime.store.read(list_runs, flow_id=flow))


def check(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert code in answer.text


@CHANGES
async def test_they_are_asked_again_after_a_slow_body(api: Api, change: Change, status: int, code: str) -> None:
    token_id, headers = await join(api)

    async def send_slowly() -> AsyncIterator[bytes]:
        yield BODY[:5]
        await change(api, token_id)
        await asyncio.sleep(A_WHILE)
        yield BODY[5:]

    answer = await api.client.post("/api/v1/run/echo", content=send_slowly(), headers=headers)
    check(answer, status, code)
    assert await count_runs(api, "echo") == 0
    assert (await api.client.post("/api/v1/run/echo", content=BODY)).status_code == 200


@CHANGES
async def test_they_are_asked_again_after_the_wait_for_a_place(
    tmp_path: Path, change: Change, status: int, code: str
) -> None:
    async with serving(tmp_path, config={"limits": {"runs_at_once": 1}}, flows=LASTING) as api:
        token_id, headers = await join(api)
        first = asyncio.create_task(api.run("long", {"input_value": "hi"}))
        run = await find_running(api, "")
        waiting = asyncio.create_task(api.client.post("/api/v1/run/echo", content=BODY, headers=headers))
        await asyncio.sleep(A_WHILE)
        assert not waiting.done()
        await change(api, token_id)
        await asyncio.sleep(A_WHILE)
        assert (await api.client.post(f"/api/v1/runs/{run}/stop")).status_code == 200
        check(await waiting, status, code)
        await first
        assert await count_runs(api, "echo") == 0
        assert (await api.run("echo", {"input_value": "hi"})).status_code == 200  # its place is free again


@CHANGES
async def test_they_are_asked_again_after_the_wait_for_another_run(
    tmp_path: Path, change: Change, status: int, code: str
) -> None:
    """Of the same key, which cannot be followed here."""
    async with serving(tmp_path, flows=LASTING) as api:
        token_id, headers = await join(api)
        headers["idempotency-key"] = "k"
        first = asyncio.create_task(api.client.post("/api/v1/run/long", content=BODY, headers=headers))
        run = await find_running(api, "")
        api.runtime._stream_turns = StreamTurns()
        waiting = asyncio.create_task(api.client.post("/api/v1/run/long", content=BODY, headers=headers))
        await asyncio.sleep(A_WHILE)
        assert not waiting.done()
        await change(api, token_id)
        await asyncio.sleep(A_WHILE)
        await api.runtime.running.stop(run)
        check(await waiting, status, code)
        await first
