"""The one fetch of the built-in model in this process, and what pages and the API show of it."""

import asyncio
import math
import time
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flowground.errors import ModelNotReady, ProviderError, ProviderUnreachable
from flowground.providers.builtin.weights import Weights, fetch, find_verified

_RATE_SECONDS = 5.0
_TELLING = 100_000
"""Bytes in that time from which a rate says something: the first few come while sources are still being asked."""
_FAILED_SECONDS = 10.0


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
