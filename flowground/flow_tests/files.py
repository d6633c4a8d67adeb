"""The files that a test sends with its message: they stand beside the flow, in the folder of flows."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flowground.caller import LOCAL_OWNER
from flowground.errors import InvalidRequest
from flowground.extraction.extractors import Extractor
from flowground.files import FileRefused, refuse_kind, refuse_size
from flowground.files.texts import find_in_folder, say_not_there
from flowground.media_types import HEAD, find_media_type
from flowground.store import Store
from flowground.store.runs import files
from flowground.store.runs.files import StoredFile
from flowground.values import FileReference
from flowground.wiring import WiredFlow


@dataclass(slots=True)
class FolderFiles:
    """`SentFileReader` of the turns of a test: the files that they send, below this folder."""

    store: Store
    folder: Path
    most_bytes: int
    _paths: dict[str, Path] = field(default_factory=dict)
    """By digest."""

    async def read(self, file: FileReference) -> bytes:
        return await asyncio.to_thread(self._paths[file.sha256].read_bytes)

    async def extract(self, file: FileReference) -> str:
        async with Extractor() as extractor:
            return (await extractor.extract(self._paths[file.sha256], file.name)).text

    async def take(self, wired: WiredFlow, names: Sequence[str]) -> Sequence[FileReference]:
        """What the flow's Chat Input is given with one turn, as the store has it when files are added at a page.

        Raises InvalidRequest for a file that is not there or cannot be read, is too large or of a kind that the flow
        does not take.
        """
        if not names:
            return ()
        if wired.chat_input_id is None:
            raise FileRefused("This flow has no Chat Input, which takes files.")
        found = await asyncio.to_thread(lambda: [_read(self.folder, name, self.most_bytes) for name in names])
        for file in found:
            refuse_kind(file.name, file.media_type, wired.flow.chat.accepts)
            refuse_size(file.name, file.size, wired.flow.chat.file_bytes)
        for file, name in zip(found, names, strict=True):
            self._paths[file.sha256] = self.folder / name
            row = StoredFile(file, str(LOCAL_OWNER.owner), wired.id, None, datetime.now(UTC))
            await self.store.write(files.add_file, file=row, most=0)
        return found


def _read(folder: Path, name: str, most_bytes: int) -> FileReference:
    path = find_in_folder(folder, name)
    if path is None:
        raise InvalidRequest(say_not_there(name))
    if path.stat().st_size > most_bytes:
        raise InvalidRequest(f"The file `{name}` has over {most_bytes:,} bytes (`limits.file_bytes` in config.yaml).")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The file `{name}` cannot be read: {error.strerror}.") from None
    digest = hashlib.sha256(data).hexdigest()
    kind = find_media_type(data[:HEAD], data[-HEAD:], path.name)
    return FileReference(files.make_id(), path.name, kind, len(data), digest)
