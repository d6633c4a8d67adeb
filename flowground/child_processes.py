"""How a child process of ours begins and ends."""

import asyncio
import os
from contextlib import suppress


async def end_child(process: asyncio.subprocess.Process) -> int:
    """Kills it, and returns its exit code when it is gone, as it may have been before.

    Where it is cancelled meanwhile, however often, it goes on to the end, which is near: else the system would keep
    what is left of the process.
    """
    if process.returncode is None:
        with suppress(OSError):
            os.kill(process.pid, 9)  # `process.kill()` of older Pythons may take the exit code of one that is gone
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            while process.stdout and await process.stdout.read(1 << 16):  # unread, it would keep `wait` waiting
                pass
            code = await process.wait()
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled
    return code


def make_environment() -> dict[str, str]:
    """Nothing of ours, so no secret; Windows starts no program without the names below."""
    kept = ("SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONIOENCODING": "utf-8"}
