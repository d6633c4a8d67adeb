"""Child processes that speak lines of JSON, file locks that end with their process, and a fair pool."""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, Self, TypeVar

Thing = TypeVar("Thing")
_LARGE = 100_000
"""Bytes of a line from which it is decoded in a thread."""


class ChildProcess:
    """A running program that reads lines of JSON on stdin and answers in lines of JSON on stdout.

    It belongs to one event loop; whoever starts it must kill it.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(
        cls, *command: str, environment: Mapping[str, str] | None = None, longest_line: int = 1 << 16
    ) -> Self:
        """Starts the program. `environment` is its whole environment, None for a copy of ours; a longer line than
        `longest_line` is an error."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                limit=longest_line,
            )
        )

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def send(self, message: Mapping[str, Any], data: bytes = b"") -> None:
        """Sends one line, and the bytes that follow it. Where the process has ended, `receive` raises."""
        assert self._process.stdin  # noqa: S101 - a pipe
        with suppress(ConnectionError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n" + data)
            await self._process.stdin.drain()

    async def receive(self) -> Any:
        """The next line of the process. Raises EOFError where the process has ended, ValueError where the line is not
        JSON or too long."""
        assert self._process.stdout  # noqa: S101 - a pipe
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return await asyncio.to_thread(json.loads, line) if len(line) > _LARGE else json.loads(line)

    async def read(self, size: int) -> bytes:
        """The bytes that follow a line. Raises EOFError where there are fewer."""
        assert self._process.stdout  # noqa: S101 - a pipe
        return await self._process.stdout.readexactly(size)

    async def wait(self) -> int:
        """Waits for the process to end by itself; returns its exit code."""
        return await self._process.wait()

    async def kill(self) -> int:
        """Kills the process and returns its exit code."""
        return await end_child(self._process)


async def end_child(process: asyncio.subprocess.Process) -> int:
    """Kills the process, unless it has ended, and returns its exit code.

    A cancellation meanwhile is raised only after the end, which is near: otherwise the system would keep the dead
    process's entry.
    """
    if process.returncode is None:
        with suppress(OSError):
            os.kill(process.pid, 9)  # `process.kill()` of older Pythons may consume the exit code of an ended process
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            while process.stdout and await process.stdout.read(1 << 16):  # unread output would block `wait`
                pass
            code = await process.wait()
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled
    return code


def make_environment() -> dict[str, str]:
    """An environment without our variables, so without secrets; Windows starts no program without these names."""
    kept = ("SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONIOENCODING": "utf-8"}


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> None:
        """Raises OSError while another process, or another opening of the file, holds the lock."""
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def try_lock(descriptor: int) -> None:
        """Raises OSError while another process, or another opening of the file, holds the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FairPool(Generic[Thing]):
    """Things that people take turns with: `free` are those in use by nobody. Waiting people are served in turn, however
    many requests each has. Belongs to one event loop."""

    def __init__(self, free: list[Thing]) -> None:
        self._free = free
        self._waiting: dict[str, deque[asyncio.Future[Thing]]] = {}

    @asynccontextmanager
    async def acquire(self, whose: str) -> AsyncIterator[Thing]:
        """Lends a thing to the person `whose`, waiting until one is free."""
        one = self._free.pop() if self._free else await self._wait(whose)
        try:
            yield one
        finally:
            self._release(one)

    async def _wait(self, whose: str) -> Thing:
        place: asyncio.Future[Thing] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._release(place.result())
            raise

    def _release(self, one: Thing) -> None:
        while self._waiting:
            whose = next(iter(self._waiting))
            places = self._waiting.pop(whose)
            place = places.popleft()
            if places:
                self._waiting[whose] = places  # behind the others
            if not place.done():
                place.set_result(one)
                return
        self._free.append(one)
