"""What runs read of files: their bytes, and their texts, which a child process extracts."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from flowground.errors import SentFileFailed
from flowground.extraction import ExtractionLimits, FileUnreadable
from flowground.extraction.extractor import Extractor
from flowground.files import Files
from flowground.values import FileReference

_CHARS = 1_000_000
"""Of a text, far more than a model is shown of it."""
_SECONDS = 20
_AT_ONCE = 2
"""Child processes: one may be busy with a slow file."""
_HELD_CHARS = 5_000_000
"""Of texts that are kept: a question is often asked again of the same file."""


@dataclass(slots=True)
class FileReading:
    """`SentFileReader` of runs. For one event loop; children are started by the first file."""

    files: Files
    _free: asyncio.Queue[Extractor] = field(default_factory=asyncio.Queue)
    _made: list[Extractor] = field(default_factory=list)
    _texts: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.files.on_drop = self._forget

    async def read(self, file: FileReference) -> bytes:
        """Raises FileGone."""
        return await self.files.read_file(file)

    async def extract(self, file: FileReference) -> str:
        """The text. Raises SentFileFailed, also where it is gone."""
        key = file.sha256, file.name
        if (text := self._texts.get(key)) is not None and await self.files.has_bytes(file):
            self._keep(key, text)
            return text
        self._forget([file.sha256])
        data = await self.read(file)
        extractor = await self._take()
        try:
            text = (await extractor.extract(data, file.name)).text
        except FileUnreadable as error:
            raise SentFileFailed(error.message) from None
        finally:
            self._free.put_nowait(extractor)
        if await self.files.has_bytes(file):
            self._keep(key, text)
        return text

    async def _take(self) -> Extractor:
        if self._free.empty() and len(self._made) < _AT_ONCE:
            limits = ExtractionLimits(text_chars=_CHARS, seconds=_SECONDS)
            self._made.append(Extractor(limits))
            return self._made[-1]
        return await self._free.get()

    def _keep(self, key: tuple[str, str], text: str) -> None:
        self._texts[key] = text
        self._texts.move_to_end(key)
        while sum(map(len, self._texts.values())) > _HELD_CHARS:
            self._texts.popitem(last=False)

    def _forget(self, digests: Collection[str]) -> None:
        for key in [key for key in self._texts if key[0] in digests]:
            del self._texts[key]

    async def close(self) -> None:
        """Ends the children."""
        for extractor in self._made:
            await extractor.close()
