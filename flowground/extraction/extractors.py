"""Several processes that read files: who has a file that is soon read does not wait for those that take long."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowground.extraction import Extracted, ExtractionLimits
from flowground.extraction.extractor import Extractor, FileTooSlow
from flowground.person_turns import PersonTurns

_QUICK = 3.0
"""Seconds for which each file is tried first."""
_AT_ONCE = 2
_MOST, _WITHIN = 120.0, 600.0
"""Seconds for which slow files of one person are read within so many seconds."""
_REMEMBERED, _FOR = 1_000, 3_600.0
"""Slow files, and people, that are remembered; a file for so many seconds."""

Readable = Path | bytes | Callable[[], Awaitable[bytes]]


class Extractors:
    """A file that takes longer than a few seconds is read by another process, where such files wait for each other.

    So whoever sends those, on purpose too, keeps others of their kind waiting, and nobody else; and who waits has their
    turn as a person, however many files they sent. Each process is started by its first file.
    """

    def __init__(self, limits: ExtractionLimits) -> None:
        quick = replace(limits, seconds=min(_QUICK, limits.seconds))
        self._all = [*(Extractor(quick) for _ in range(_AT_ONCE)), Extractor(limits)]
        self._quick, self._patient = PersonTurns(self._all[:_AT_ONCE]), PersonTurns(self._all[_AT_ONCE:])
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
            async with self._quick.take(whose) as one:
                return await one.extract(await _open(file), name)
        except FileTooSlow:
            pass
        async with self._patient.take(whose) as one:
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
