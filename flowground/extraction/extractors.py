"""Several processes that read files: who has a file that is soon read does not wait for those that take long."""

from dataclasses import replace
from pathlib import Path

from flowground.extraction import Extracted, ExtractionLimits
from flowground.extraction.extractor import Extractor, FileTooSlow

_QUICK = 3.0
"""Seconds for which each file is tried first."""
_AT_ONCE = 2


class Extractors:
    """A file that takes longer than a few seconds is read by another process, where such files wait for each other.

    So whoever sends those, on purpose too, keeps others of their kind waiting, and nobody else. Each process is started
    by its first file.
    """

    def __init__(self, limits: ExtractionLimits) -> None:
        quick = replace(limits, seconds=min(_QUICK, limits.seconds))
        self._quick = [Extractor(quick) for _ in range(_AT_ONCE)]
        self._patient = Extractor(limits)

    async def extract(self, file: Path | bytes, name: str) -> Extracted:
        """As `Extractor.extract` says."""
        try:
            return await min(self._quick, key=lambda one: one.waiting).extract(file, name)
        except FileTooSlow:
            return await self._patient.extract(file, name)

    async def close(self) -> None:
        """Ends the processes."""
        for one in (*self._quick, self._patient):
            await one.close()
