"""One process at a time: a lock on a file, which the system lets go of when its holder ends, however it ends."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@asynccontextmanager
async def locked(path: Path, *, poll_seconds: float = 0.2) -> AsyncIterator[None]:
    """Waits until nobody else, in this process or another, holds the lock on `path`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                _try(descriptor)
                break
            except OSError:
                await asyncio.sleep(poll_seconds)
        yield
    finally:
        os.close(descriptor)
