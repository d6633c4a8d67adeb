"""The files that a test sends with its message: they stand beside the flow, in the folder of flows."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowground.errors import InvalidRequest
from flowground.extraction.extractor import Extractor
from flowground.files import FileRefused, refuse_kind
from flowground.files.texts import find_in_folder, say_not_there
from flowground.media_types import HEAD, find_media_type
from flowground.values import FileReference
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """`SentFileReader` of a test: `paths` by digest."""

    paths: Mapping[str, Path]

    async def read(self, file: FileReference) -> bytes:
        return await asyncio.to_thread(self.paths[file.sha256].read_bytes)

    async def extract(self, file: FileReference) -> str:
        async with Extractor() as extractor:
            return (await extractor.extract(self.paths[file.sha256], file.name)).text


async def take_test_files(
    wired: WiredFlow, names: Sequence[str], folder: Path, *, most_bytes: int
) -> tuple[Mapping[str, Sequence[FileReference]], FolderFiles]:
    """What the flow's Chat Input is given, and what reads it.

    Raises InvalidRequest for a file that is not there or cannot be read, is too large or of a kind that the flow does
    not take.
    """
    if not names:
        return {}, FolderFiles({})
    if (chat := wired.chat_input_id) is None:
        raise FileRefused("This flow has no Chat Input, which takes files.")
    found = await asyncio.to_thread(lambda: [_read(folder, name, most_bytes) for name in names])
    for file in found:
        refuse_kind(file.name, file.media_type, wired.flow.chat.accepts)
    return {chat: found}, FolderFiles({file.sha256: folder / name for file, name in zip(found, names, strict=True)})


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
    return FileReference(
        digest[:32], path.name, find_media_type(data[:HEAD], data[-HEAD:], path.name), len(data), digest
    )
