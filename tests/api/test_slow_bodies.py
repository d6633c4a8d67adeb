"""Who sends a request slowly holds nothing that others wait for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.api.serving import serving

pytestmark = pytest.mark.anyio
RUN, BODY = "/api/v1/run/echo", b'{"input_value": "hi"}'


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


@pytest.mark.parametrize("whose", ["flow", "person"])
async def test_half_requests_are_no_runs_at_once(tmp_path: Path, whose: str) -> None:
    async with serving(tmp_path, config={"limits": {whose: {"runs_at_once": 2}}}) as api:
        bodies = [SlowBody(), SlowBody()]
        slow = [asyncio.create_task(api.client.post(RUN, content=body.send())) for body in bodies]
        for body in bodies:
            await body.is_begun.wait()
        assert (await api.client.post(RUN, content=BODY)).status_code == 200
        for body in bodies:
            body.may_end.set()
        assert [answer.status_code for answer in await asyncio.gather(*slow)] == [200, 200]
        assert (await api.client.post(RUN, content=BODY)).status_code == 200  # nothing is held


async def test_half_requests_count_in_the_minute(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 1}}) as api:
        body = SlowBody()
        slow = asyncio.create_task(api.client.post(RUN, content=body.send()))
        await body.is_begun.wait()
        assert (await api.client.post(RUN, content=BODY)).status_code == 429
        body.may_end.set()
        assert (await slow).status_code == 200
