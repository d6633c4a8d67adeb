"""The heartbeat finds what it is there for: a busy callback, and a thread in one long call into C."""

import asyncio
import json
import re
import time
from collections.abc import Callable

import pytest

from tests.heartbeat import MOST, calmest, stays_responsive


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(100))


async def test_a_busy_callback_is_found() -> None:
    async def busy() -> None:
        compute(2 * MOST)

    async def scheduled() -> None:
        asyncio.get_running_loop().call_soon(compute, 2 * MOST)
        await asyncio.sleep(0.01)

    assert (await calmest(scheduled)).callback > 1.5 * MOST
    with pytest.raises(AssertionError, match="callback"):
        await stays_responsive(busy)


# On a fast machine too each of these takes several times as long as `MOST`.
SLOW = "a" * 23
SIXTEEN_MEGABYTES = "[" + ",".join(['{"a":[1.5]}'] * 1_320_000) + "]"


@pytest.mark.parametrize(
    "call", [lambda: json.loads(SIXTEEN_MEGABYTES), lambda: re.fullmatch("(a|a)*b", SLOW)], ids=["json", "pattern"]
)
async def test_a_thread_that_keeps_the_interpreters_lock_is_found(call: Callable[[], object]) -> None:
    async def threaded() -> None:
        await asyncio.to_thread(call)

    hold = await calmest(threaded)
    assert hold.gil > MOST
    assert hold.callback < MOST
