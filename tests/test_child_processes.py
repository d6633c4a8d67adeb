"""Child processes are gone when they were ended, whoever stops waiting meanwhile."""

import asyncio
import os
import sys

import pytest

from flowground.child_processes import end_child

pytestmark = pytest.mark.anyio
SAYS_MUCH = "import sys, time\nwhile True: sys.stdout.write('much' * 10_000)"


@pytest.mark.parametrize("cancelled", [0, 1, 3])
async def test_one_is_waited_for_however_often_the_waiting_is_cancelled(cancelled: int) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SAYS_MUCH, stdout=asyncio.subprocess.PIPE)
    ending = asyncio.create_task(end_child(process))
    for _ in range(cancelled):
        await asyncio.sleep(0)
        ending.cancel()
    await asyncio.wait([ending])
    assert (ending.cancelled(), process.returncode) == (cancelled > 0, -9)


async def test_one_that_has_ended_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(200):  # who sees its end first is a matter of luck
        process = await asyncio.create_subprocess_exec("sh", "-c", "exit 3", stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        await process.stdout.read()
        assert await end_child(process) == 3
    monkeypatch.setattr(os, "kill", pytest.fail)  # its number may be another's by now
    assert await end_child(process) == 3
