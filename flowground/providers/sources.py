"""Where the built-in model's file comes from, and how it grows on the disk.

A source continues a partial file; who asked checks the digest (`weights`). What all sources share stands here.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import IO, Protocol, TypeVar

T = TypeVar("T")


class NoAnswer(Exception):
    """The source has nothing to give now; another one may."""


class Source(Protocol):
    """Bytes of one file, in order."""

    @property
    def extra_space(self) -> int:
        """Bytes of disk it needs besides the file."""
        ...

    async def fill(self, partial: Path, size: int) -> None:
        """Appends to `partial` until it has `size` bytes, never more. Raises NoAnswer and keeps what has come."""
        ...


async def in_thread(work: Callable[[Event], T]) -> T:
    """Runs `work` in a thread; a cancelled caller asks it to stop and waits, so that no file is written behind it."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running})
        raise


def on_disk(partial: Path) -> int:
    """Bytes that are here already: in the partial file, and in the wheel that is coming."""
    return size_of(partial) + max(file_sizes(wheels_folder(partial)))


def sweep(partial: Path) -> None:
    """Removes what an ended process left of a wheel. Only for the holder of the lock."""
    shutil.rmtree(wheels_folder(partial), ignore_errors=True)


def opened(partial: Path, start: int) -> IO[bytes]:
    """`partial`, cut to `start` bytes and ready to go on there."""
    file = partial.open("r+b" if partial.exists() else "w+b")
    file.truncate(start)
    file.seek(start)
    return file


def wheels_folder(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.wheels")


def file_sizes(folder: Path) -> list[int]:
    """Sizes of all files below, and a zero; what is moved while we look counts as nothing."""
    return [0, *(size_of(Path(place, name)) for place, _, names in os.walk(folder) for name in names)]


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
