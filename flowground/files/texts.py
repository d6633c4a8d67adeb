"""The texts of files that a flow reads: its author's, below the flows folder, and those that were sent to it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flowground.caller import WHOSE
from flowground.errors import RunError, SentFileFailed
from flowground.extraction import Extracted, ExtractionLimits, FileUnreadable
from flowground.extraction.extractors import Extractors
from flowground.values import FileReference

_LIMITS = ExtractionLimits(text_chars=1_000_000, memory_bytes=500_000_000, seconds=30)


@dataclass(slots=True)
class FileTexts:
    """`folder` is that of flows; `read_sent` gives the bytes of a file that was sent. Processes of their
    own read them, which the first file starts."""

    folder: Path
    read_sent: Callable[[FileReference], Awaitable[bytes]]
    _extractor: Extractors = field(default_factory=lambda: Extractors(_LIMITS))

    async def read(self, file: FileReference | str) -> Extracted:
        """Of a file that was sent, or of the author's with this path. Raises RunError: SentFileFailed
        or FileUnreadable."""
        if isinstance(file, FileReference):
            known: dict[str, str] = {"whose": WHOSE.get(), "digest": file.sha256}
            try:
                return await self._extractor.extract(partial(self.read_sent, file), file.name, **known)
            except FileUnreadable as error:
                raise SentFileFailed(error.message) from None
        path = await asyncio.to_thread(find_in_folder, self.folder, file)
        if path is None:
            raise RunError(say_not_there(file))
        return await self._extractor.extract(path, file)

    async def aclose(self) -> None:
        await self._extractor.close()


def find_in_folder(folder: Path, name: str) -> Path | None:
    """Where a file below this folder lies; nothing leads out of it, no link either. None where there is none."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def say_not_there(name: str) -> str:
    return f"There is no file `{name}` in the folder of flows."
