"""What runs read of files: their bytes, and their texts, which a child process extracts."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from flowground.caller import WHOSE
from flowground.errors import SentFileFailed
from flowground.extraction import ExtractionLimits, FileUnreadable
from flowground.extraction.extractors import Extractors
from flowground.files import Files
from flowground.values import FileReference

_LIMITS = ExtractionLimits(text_chars=1_000_000, seconds=20)
"""A text of far more characters than a model is shown."""
_HELD_CHARS = 5_000_000
"""Of texts that are kept: a question is often asked again of the same file."""


@dataclass(slots=True)
class FileReading:
    """`SentFileReader` of runs. For one event loop; children are started by the first file."""

    files: Files
    _extractors: Extractors = field(default_factory=lambda: Extractors(_LIMITS))
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
        known: dict[str, str] = {"whose": WHOSE.get(), "digest": file.sha256}
        try:
            text = (await self._extractors.extract(partial(self.read, file), file.name, **known)).text
        except FileUnreadable as error:
            raise SentFileFailed(error.message) from None
        if await self.files.has_bytes(file):
            self._keep(key, text)
        return text

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
        await self._extractors.close()
