"""Extracts texts of files in child processes, so that files that are read quickly do not wait for slow ones."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flowground.core.processes import ChildProcess, FairPool, make_environment
from flowground.knowledge.extraction import Extracted, ExtractionLimits, FileUnreadable

_PROGRAM = (sys.executable, "-E", "-P", str(Path(__file__).with_name("child.py")))
_HEAD_BYTES = 4_000_000
"""The longest line before a text; a page takes some nine bytes of it."""
_MOST_FILES = 500
"""Files after which a new process is started, to free memory that files left behind."""
_ENDS = {
    -24: "takes too long or too much memory to read",
    -9: "takes too long or too much memory to read",
    -6: "needs too much memory to be read",
}
"""Reasons why a child ended, by exit code: SIGXCPU, SIGKILL by the system, and SIGABRT, with which PDFium ends when
memory runs out."""
_GRACE = 5.0
"""Seconds for a process to start, in addition to the time of a file."""
_QUICK = 3.0
"""Seconds for which each file is tried first."""
_AT_ONCE = 2
_MOST, _WITHIN = 120.0, 600.0
"""Seconds of reading slow files that one person may use, in so many seconds."""
_REMEMBERED, _FOR = 1_000, 3_600.0
"""The most slow files, and people, that are remembered; a file for so many seconds."""

Readable = Path | bytes | Callable[[], Awaitable[bytes]]


class FileTooSlow(FileUnreadable):
    """Reading the file took longer than allowed."""


class Extractor:
    """One child process, started by the first file; callers take turns."""

    def __init__(self, limits: ExtractionLimits | None = None) -> None:
        self._limits = limits or ExtractionLimits()
        self._child: ChildProcess | None = None
        self._files = 0
        self._turn = asyncio.Lock()

    async def extract(self, file: Path | bytes, name: str) -> Extracted:
        """The text of a file, or of bytes; messages call it `name`, whose ending decides how it is read.

        Raises FileUnreadable. Cancelling the coroutine kills the child.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.seconds + _GRACE):
                    return await self._ask(file, name)
            except TimeoutError:
                await self.aclose()
                raise FileTooSlow(f"{name} takes longer than {self._limits.seconds:g} seconds to read.") from None
            except (EOFError, ValueError):
                ended = await self.aclose()
                kind = FileTooSlow if ended == -24 else FileUnreadable
                raise kind(f"{name} {_ENDS.get(ended or 0, 'cannot be read: its reader failed')}.") from None
            except asyncio.CancelledError:
                await self.aclose()
                raise

    async def aclose(self) -> int | None:
        """Kills the child; returns its exit code."""
        child, self._child = self._child, None
        return await child.kill() if child else None

    async def _ask(self, file: Path | bytes, name: str) -> Extracted:
        child = await self._find_child()
        data = file if isinstance(file, bytes) else b""
        await child.send(
            {"name": name, "path": None if isinstance(file, bytes) else str(file), "size": len(data)}, data
        )
        answer = await child.receive()
        if "failed" in answer:
            if answer["is_full"]:
                await self.aclose()  # frees the memory that the file left behind
            raise FileUnreadable(answer["failed"])
        if answer["size"] > self._limits.text_chars * 4:
            raise ValueError
        text = (await child.read(answer["size"])).decode("utf-8")
        return Extracted(text, answer["kind"], answer["digest"], tuple(answer["pages"]), answer["is_cut"])

    async def _find_child(self) -> ChildProcess:
        self._files += 1
        if self._child is not None and (not self._child.is_alive or self._files > _MOST_FILES):
            await self.aclose()
        if self._child is None:
            self._files = 1
            limits = json.dumps(asdict(self._limits))
            self._child = await ChildProcess.start(
                *_PROGRAM, limits, environment=make_environment(), longest_line=_HEAD_BYTES
            )
        return self._child


class Extractors:
    """Reads files in two processes: a file that takes longer than a few seconds moves to the second, where slow files
    queue.

    So people who send slow files, on purpose or not, delay only each other, and take turns as persons, however many
    files they sent. Each process is started by its first file.
    """

    def __init__(self, limits: ExtractionLimits) -> None:
        quick = replace(limits, seconds=min(_QUICK, limits.seconds))
        self._all = [*(Extractor(quick) for _ in range(_AT_ONCE)), Extractor(limits)]
        self._quick, self._patient = FairPool(self._all[:_AT_ONCE]), FairPool(self._all[_AT_ONCE:])
        self._slow: dict[int, float] = {}
        """The time until which a file is not tried again, by a hash of its digest and name, which reveals neither."""
        self._spent: dict[str, tuple[float, float]] = {}
        """By person: the time until which the seconds count, and the seconds that reading their slow files took."""

    async def extract(self, file: Readable, name: str, *, whose: str = "", digest: str = "") -> Extracted:
        """The text of a file, as from `Extractor.extract`. Bytes are requested when the file's turn comes, in the queue
        of the person `whose` file it is; by `digest`, a file that took too long is recognised."""
        key = hash((digest, name))
        if digest and self._slow.get(key, 0) > time.monotonic():
            raise FileTooSlow(f"{name} took too long to read before, and is not tried again now.")
        try:
            async with self._quick.acquire(whose) as one:
                return await one.extract(await _open(file), name)
        except FileTooSlow:
            pass
        async with self._patient.acquire(whose) as one:
            began = time.monotonic()
            until, seconds = self._spent.get(whose, (0.0, 0.0))
            if until < began:
                until, seconds = began + _WITHIN, 0.0
            if whose and seconds > _MOST:
                raise FileTooSlow(f"{name} takes long to read, as other files of yours did. Try again in ten minutes.")
            try:
                return await one.extract(await _open(file), name)
            except FileTooSlow:
                _remember(self._slow, key, began + _FOR)
                raise
            finally:
                _remember(self._spent, whose, (until, seconds + time.monotonic() - began))

    async def close(self) -> None:
        """Ends the processes."""
        for one in self._all:
            await one.aclose()


async def _open(file: Readable) -> Path | bytes:
    return await file() if callable(file) else file


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]
