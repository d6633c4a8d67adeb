"""Requests that take their time: rights that end while a body comes, or while its run waits for its turn, end that
request too; and who sends slowly holds nothing that others wait for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.app import authorize
from flowground.store.people import members, tokens
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.serving import serving
from tests.running import chat_flow

LASTING = FLOWS | {"long": chat_flow("scripted:long")}
BODY = b'{"input_value": "hi"}'
Change = Callable[[Api, str], Awaitable[object]]


@dataclass
class SlowBody:
    """Its first half, and the rest once it is told to."""

    is_begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self) -> AsyncIterator[bytes]:
        yield BODY[:5]
        self.is_begun.set()
        await self.may_end.wait()
        yield BODY[5:]


async def revoke(api: Api, token_id: str) -> None:
    await api.runtime.store.write(tokens.revoke, token_id=token_id, by="tests")


async def unshare(api: Api, _: str) -> None:
    await api.share("echo", "long", on=False)


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


@asynccontextmanager
async def opened(folder: Path, **limits: Any) -> AsyncIterator[tuple[Api, str, dict[str, str]]]:
    """With a member's token, its id and its headers; flows are shared with them."""
    async with serving(folder, config={"limits": limits}, flows=LASTING) as api:
        await api.share("echo", "long")
        await api.add("mia", role="member")
        token, headers = await api.token(owner="mia")
        yield api, token.id, headers


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights that were read are good for no time, instead of a second."""
    monkeypatch.setattr(authorize, "_RIGHTS_TTL_SECONDS", 0)


def send(api: Api, flow: str, headers: dict[str, str] | None = None, content: Any = BODY) -> asyncio.Task[Any]:
    return asyncio.create_task(api.client.post(f"/api/v1/run/{flow}", content=content, headers=headers))


async def require_waiting(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task], timeout=0.3)
    assert not task.done()


def check(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, code in answer.text) == (status, True), answer.text


@CHANGES
@pytest.mark.usefixtures("at_once")
async def test_they_are_asked_again_after_a_slow_body(tmp_path: Path, change: Change, status: int, code: str) -> None:
    async with opened(tmp_path) as (api, token_id, headers):
        body = SlowBody()
        slow = send(api, "echo", headers, body.send())
        await body.is_begun.wait()
        await change(api, token_id)
        body.may_end.set()
        check(await slow, status, code)
        assert await api.count_runs("echo") == 0
        assert (await send(api, "echo")).status_code == 200


@CHANGES
@pytest.mark.usefixtures("at_once")
async def test_they_are_asked_again_after_the_wait_for_a_place(
    tmp_path: Path, change: Change, status: int, code: str
) -> None:
    async with opened(tmp_path, runs_at_once=1) as (api, token_id, headers):
        first = send(api, "long")
        run = await api.find_running("")
        waiting = send(api, "echo", headers)
        await require_waiting(waiting)
        await change(api, token_id)
        assert (await api.client.post(f"/api/v1/runs/{run}/stop")).status_code == 200
        check(await waiting, status, code)
        await first
        assert await api.count_runs("echo") == 0
        assert (await send(api, "echo")).status_code == 200  # its place is free again


@CHANGES
@pytest.mark.usefixtures("at_once")
async def test_they_are_asked_again_after_the_wait_for_another_run(
    tmp_path: Path, change: Change, status: int, code: str
) -> None:
    """Of the same key, which cannot be followed here."""
    async with opened(tmp_path) as (api, token_id, headers):
        headers["idempotency-key"] = "k"
        first = send(api, "long", headers)
        run = await api.find_running("")
        api.forget_turns()
        waiting = send(api, "long", headers)
        await require_waiting(waiting)
        await change(api, token_id)
        await api.runtime.running.stop(run)
        check(await waiting, status, code)
        await first


@pytest.mark.parametrize("change", [revoke, remove, deactivate, unshare, promote])
@pytest.mark.parametrize("query", ["", "?stream=sse"])
async def test_they_end_a_run_that_goes_on(tmp_path: Path, change: Change, query: str) -> None:
    """One by other rights goes on, and so does one by more rights than before."""
    async with opened(tmp_path) as (api, token_id, headers):
        ending, other = send(api, f"long{query}", headers), send(api, "long")
        for task in (ending, other):
            await require_waiting(task)
        await change(api, token_id)
        if change is promote:
            await require_waiting(ending)
        else:
            answer = await ending
            assert (answer.status_code, "run_stopped" in answer.text) == (200 if query else 409, True)
        await require_waiting(other)


@pytest.mark.parametrize("whose", ["flow", "person"])
async def test_half_requests_are_no_runs_at_once(tmp_path: Path, whose: str) -> None:
    async with opened(tmp_path, **{whose: {"runs_at_once": 2}}) as (api, _, _):
        bodies = [SlowBody(), SlowBody()]
        slow = [send(api, "echo", content=body.send()) for body in bodies]
        for body in bodies:
            await body.is_begun.wait()
        assert (await send(api, "echo")).status_code == 200
        for body in bodies:
            body.may_end.set()
        assert [answer.status_code for answer in await asyncio.gather(*slow)] == [200, 200]
        assert (await send(api, "echo")).status_code == 200  # nothing is held
