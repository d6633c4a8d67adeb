"""Asks a child process for the texts of files, one after the other, and starts another where one had to be killed."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from flowground.child_processes import end_child, make_environment
from flowground.extraction import Extracted, ExtractionLimits, FileUnreadable

_PROGRAM = (sys.executable, "-E", "-P", str(Path(__file__).with_name("child.py")))
_ROOT = os.path.abspath(os.sep)
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


class FileTooSlow(FileUnreadable):
    """Reading a file took longer than it may."""


class Extractor:
    """One child at a time, started by the first file and ended by leaving; one caller waits for the other."""

    def __init__(self, limits: ExtractionLimits | None = None) -> None:
        self._limits = limits or ExtractionLimits()
        self._process: asyncio.subprocess.Process | None = None
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
        return await self._take_turn(file, name)

    async def close(self) -> None:
        """Ends the child."""
        await self._end()

    async def _take_turn(self, file: Path | bytes, name: str) -> Extracted:
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.seconds + _GRACE):
                    return await self._ask(file, name)
            except TimeoutError:
                await self._end()
                raise FileTooSlow(f"{name} takes longer than {self._limits.seconds:g} seconds to read.") from None
            except (ConnectionError, EOFError, ValueError):
                ended = await self._end()
                kind = FileTooSlow if ended == -24 else FileUnreadable
                raise kind(f"{name} {_ENDS.get(ended or 0, 'cannot be read: its reader failed')}.") from None
            except asyncio.CancelledError:
                await self._end()
                raise

    async def _ask(self, file: Path | bytes, name: str) -> Extracted:
        process = await self._find_process()
        assert process.stdin and process.stdout  # noqa: S101, PT018 - both were asked for as pipes
        data = file if isinstance(file, bytes) else b""
        asked = {"name": name, "path": None if isinstance(file, bytes) else str(file), "size": len(data)}
        process.stdin.write(json.dumps(asked).encode() + b"\n" + data)
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise EOFError
        said: dict[str, Any] = json.loads(line)
        if "failed" in said:
            raise FileUnreadable(said["failed"])
        if "memory" in said or "nested" in said:
            await self._end()  # what it holds of the file is not given back
            why = "is nested too deeply to be read" if "nested" in said else "needs too much memory to be read"
            raise FileUnreadable(f"{name} {why}.")
        if said["size"] > self._limits.text_chars * 4:
            raise EOFError
        text = (await process.stdout.readexactly(said["size"])).decode("utf-8")
        return Extracted(text, said["kind"], said["digest"], tuple(said["pages"]), said["is_cut"])

    async def _find_process(self) -> asyncio.subprocess.Process:
        self._files += 1
        if self._process is not None and (self._process.returncode is not None or self._files > _MOST_FILES):
            await self._end()
        if self._process is None:
            self._files = 1
            self._process = await asyncio.create_subprocess_exec(
                *_PROGRAM,
                json.dumps(asdict(self._limits)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=make_environment(),
                cwd=_ROOT,
                limit=_HEAD_BYTES,
            )
        return self._process

    async def _end(self) -> int | None:
        """Kills the child and waits for its end; its exit code."""
        process, self._process = self._process, None
        return await end_child(process) if process else None
