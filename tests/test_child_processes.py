"""Child processes are gone when they were ended, whoever stops waiting meanwhile."""

import asyncio
import os
import sys

import pytest

from flowground.core.processes import ChildProcess, end_child, make_environment

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


ECHO = """
import json, os, sys
for line in sys.stdin.buffer:
    asked = json.loads(line)
    if "size" in asked:
        asked["data"] = sys.stdin.buffer.read(asked["size"]).decode()
    if "code" in asked:
        os._exit(asked["code"])
    sys.stdout.write(json.dumps(asked) + "\\n")
    sys.stdout.flush()
"""


async def test_lines_of_json_and_bytes_behind_them_go_to_and_fro() -> None:
    child = await ChildProcess.start(sys.executable, "-c", ECHO, environment=make_environment(), longest_line=1 << 20)
    try:
        await child.send({"text": "ä" * 100_000})
        assert await child.receive() == {"text": "ä" * 100_000}
        await child.send({"size": 5}, b"bytes")
        assert await child.receive() == {"size": 5, "data": "bytes"}
        await child.send({"text": "a" * (1 << 21)})
        with pytest.raises(ValueError, match="limit"):
            await child.receive()
        assert child.is_alive
    finally:
        assert await child.kill() == -9


async def test_one_that_ends_by_itself_is_an_end_and_no_answer() -> None:
    child = await ChildProcess.start(sys.executable, "-c", ECHO, environment=make_environment())
    await child.send({"code": 3})
    with pytest.raises(EOFError):
        await child.receive()
    assert await child.wait() == 3
    await child.send({"text": "too late"})
    with pytest.raises(EOFError):
        await child.receive()
    assert await child.kill() == 3
