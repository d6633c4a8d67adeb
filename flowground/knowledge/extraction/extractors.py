"""Asks child processes for the texts of files: one that is soon read does not wait for those that take long."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from flowground.core.processes import ChildProcess, FairPool, make_environment
from flowground.knowledge.extraction import Extracted, ExtractionLimits, FileUnreadable

_PROGRAM = (sys.executable, "-E", "-P", str(Path(__file__).with_name("child.py")))
_HEAD_BYTES = 4_000_000
"""Of the line before a text; a page takes some nine bytes of it."""
_MOST_FILES = 500
"""Then a new process is started: what one file left in memory is gone."""
_ENDS = {
    -24: "takes too long or too much memory to read",
    -9: "takes too long or too much memory to read",
    -6: "needs too much memory to be read",
}
"""Why a child ended, by its exit code: SIGXCPU, SIGKILL by the system, and SIGABRT, by which PDFium ends for want of
memory."""
_GRACE = 5.0
"""Seconds for a process to start, on top of what a file may take."""
_QUICK = 3.0
"""Seconds for which each file is tried first."""
_AT_ONCE = 2
_MOST, _WITHIN = 120.0, 600.0
"""Seconds for which slow files of one person are read within so many seconds."""
_REMEMBERED, _FOR = 1_000, 3_600.0
"""Slow files, and people, that are remembered; a file for so many seconds."""

Readable = Path | bytes | Callable[[], Awaitable[bytes]]


class FileTooSlow(FileUnreadable):
    """Reading a file took longer than it may."""


class Extractor:
    """One child at a time, started by the first file and ended by leaving; one caller waits for the other."""

    def __init__(self, limits: ExtractionLimits | None = None) -> None:
        self._limits = limits or ExtractionLimits()
        self._child: ChildProcess | None = None
        self._files = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def extract(self, file: Path | bytes, name: str) -> Extracted:
        """The text of a file, or of bytes that somebody sent; `name` is what messages call it, and its ending counts.

        Raises FileUnreadable. Cancelling it ends the child.
        """
        if isinstance(file, bytes) and len(file) > self._limits.file_bytes:
            raise FileUnreadable(
                f"{name} has more than {self._limits.file_bytes:,} bytes, the most that is read of a file."
            )
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.seconds + _GRACE):
                    return await self._ask(file, name)
            except TimeoutError:
                await self.close()
                raise FileTooSlow(f"{name} takes longer than {self._limits.seconds:g} seconds to read.") from None
            except (EOFError, ValueError):
                ended = await self.close()
                kind = FileTooSlow if ended == -24 else FileUnreadable
                raise kind(f"{name} {_ENDS.get(ended or 0, 'cannot be read: its reader failed')}.") from None
            except asyncio.CancelledError:
                await self.close()
                raise

    async def close(self) -> int | None:
        """Kills the child; its exit code."""
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
                await self.close()  # what it holds of the file is not given back
            raise FileUnreadable(answer["failed"])
        if answer["size"] > self._limits.text_chars * 4:
            raise ValueError
        text = (await child.read(answer["size"])).decode("utf-8")
        return Extracted(text, answer["kind"], answer["digest"], tuple(answer["pages"]), answer["is_cut"])

    async def _find_child(self) -> ChildProcess:
        self._files += 1
        if self._child is not None and (not self._child.is_alive or self._files > _MOST_FILES):
            await self.close()
        if self._child is None:
            self._files = 1
            limits = json.dumps(asdict(self._limits))
            self._child = await ChildProcess.start(
                *_PROGRAM, limits, environment=make_environment(), longest_line=_HEAD_BYTES
            )
        return self._child


class Extractors:
    """A file that takes longer than a few seconds is read by another process, where such files wait for each other.

    So whoever sends those, on purpose too, keeps others of their kind waiting, and nobody else; and who waits has their
    turn as a person, however many files they sent. Each process is started by its first file.
    """

    def __init__(self, limits: ExtractionLimits) -> None:
        quick = replace(limits, seconds=min(_QUICK, limits.seconds))
        self._all = [*(Extractor(quick) for _ in range(_AT_ONCE)), Extractor(limits)]
        self._quick, self._patient = FairPool(self._all[:_AT_ONCE]), FairPool(self._all[_AT_ONCE:])
        self._slow: dict[int, float] = {}
        """By a hash that tells nothing of the file: until when it is not tried again."""
        self._spent: dict[str, tuple[float, float]] = {}
        """By person: until when it counts, and for how long slow files of theirs were read."""

    async def extract(self, file: Readable, name: str, *, whose: str = "", digest: str = "") -> Extracted:
        """As `Extractor.extract` says. Bytes are asked for when the file has its turn, which is that of the person
        `whose` it is; by `digest` a file that took too long is known again."""
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
            await one.close()


async def _open(file: Readable) -> Path | bytes:
    return await file() if callable(file) else file


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]
