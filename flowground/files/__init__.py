"""Files that people and programs give: taken in bounds, kept once by digest, read back, and gone with their last row.

What a file is, its bytes say. Whose it is, the store knows: nobody but `store.runs.files` leads to bytes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from flowground.caller import Owner
from flowground.errors import BodyTooLarge, InvalidRequest, SentFileFailed, ServerBusy
from flowground.extraction import ENDINGS, READABLE
from flowground.files import disk
from flowground.media_types import clean_name, find_media_type, is_accepted, name_accepted
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import files, knowledge_files
from flowground.store.runs.files import StoredFile
from flowground.values import FileReference
from flowground.words import write_size

_PLAIN = ("text/*", "application/json")
_BINARY = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""Kinds of files that are read -> their media types; those of the others are plain text."""
_AT_ONCE, _AT_ONCE_OF_ALL = 5, 50
"""Files that arrive at once in this process: of one owner, and of all."""
_AT_ONCE_OF_VISITORS = 25
"""Of all visitors: a new browser costs nothing, and each may take minutes."""
_MOST_OF_VISITOR = 50_000_000
"""Bytes of files that one visitor keeps."""
_BLOCK = 262_144
"""Bytes that are held until they are written."""
_PLACE_SECONDS = 3_600
"""After which bytes have a row, or never will."""


class FileRefused(InvalidRequest):
    """A file that nobody wants here: it is empty, or of a kind that the flow does not take."""

    code = "file_refused"


class FileGone(SentFileFailed):
    """A message names it still, and it was deleted."""

    code = "file_gone"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was deleted.", hint="Add it anew.")


@dataclass(frozen=True, slots=True)
class FileOffer:
    """Who gives a file for what. `flow_id` None: for every flow. `accepts` None: of every kind. `most`: bytes, where
    its flow takes less than its owner may send. `is_apart`: it gets a name that none of the owner's others has.
    `no_images`: the sentence by which pictures are refused. `by`: who adds it to a knowledge, for the audit trail."""

    owner: Owner
    name: str
    flow_id: str | None = None
    accepts: Collection[str] | None = None
    most: int | None = None
    is_apart: bool = False
    no_images: str | None = None
    by: str = ""


@dataclass(slots=True)
class Files:
    """`folder` is where bytes lie; it is made when the first ones come."""

    store: Store
    settings: Settings
    folder: Path = field(init=False)
    on_drop: Callable[[Collection[str]], None] = field(default=lambda _: None)
    """Is told the digests of bytes that this process has just deleted."""
    _threads: ThreadPoolExecutor = field(init=False)
    _arriving: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.folder = self.settings.data / "files"
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="flowground-files")

    def close(self) -> None:
        """Blocks until what is being written is written."""
        self._threads.shutdown()

    def find_limit(self, owner: Owner, of_flow: int | None = None) -> int:
        """Bytes of one file of this owner's; `of_flow` is what a flow takes, None: what its owner may send."""
        public, limits = self.settings.sharing.public, self.settings.limits
        most = public.file_bytes if owner.kind == "visitor" else limits.file_bytes
        return most if of_flow is None else min(most, of_flow)

    async def receive(self, pieces: AsyncIterator[bytes], offer: FileOffer) -> StoredFile:
        """Keeps what comes; call it within `admit`. Raises BodyTooLarge, FileRefused, FilesFull, StoreUnavailable, and
        what `pieces` raise; nothing is kept then."""
        most = self.find_limit(offer.owner, offer.most)
        arriving = await self._run(disk.Arriving, self.folder)
        try:
            await self._write(arriving, pieces, most)
            return await self._keep(arriving, offer)
        finally:
            await asyncio.shield(self._run(arriving.close))

    async def _write(self, arriving: disk.Arriving, pieces: AsyncIterator[bytes], most: int) -> None:
        held, size = bytearray(), 0
        async for piece in pieces:
            held += piece
            size += len(piece)
            if size > most:
                raise say_too_large(most)
            if len(held) >= _BLOCK:
                await self._run(arriving.write, bytes(held))
                held.clear()
        await self._run(arriving.write, bytes(held))

    async def _keep(self, arriving: disk.Arriving, offer: FileOffer) -> StoredFile:
        name = clean_name(offer.name)
        if not arriving.size:
            raise FileRefused(f"{name} is empty.")
        kind = find_media_type(arriving.head, arriving.tail, name)
        if offer.owner.kind == "knowledge":
            refuse_unreadable(name, kind)
        refuse_kind(name, kind, offer.accepts)
        if offer.no_images and kind.startswith("image/"):
            raise FileRefused(offer.no_images)
        digest = await self._run(arriving.finish)
        reference = FileReference(files.make_id(), name, kind, arriving.size, digest)
        file = StoredFile(reference, str(offer.owner), offer.flow_id, None, datetime.now(UTC))
        # Noted first: bytes without a row are found again, whenever the process dies.
        await self.store.write(files.note_loose, digests=[digest], look_at=time.time() + _PLACE_SECONDS)
        await self._run(arriving.place)
        kept = await self._add(file, offer)
        await self._run(arriving.place)  # who deleted the last row before this one may have taken them away
        return kept

    async def _add(self, file: StoredFile, offer: FileOffer) -> StoredFile:
        if offer.owner.kind != "knowledge":
            return await self.store.write(
                files.add_file, file=file, is_apart=offer.is_apart, **self._find_bounds(offer)
            )
        most = self.settings.limits.knowledge_bytes
        return await self.store.write(knowledge_files.add_file, file=file, most=most, by=offer.by)

    def _find_bounds(self, offer: FileOffer) -> dict[str, Any]:
        limits = self.settings.limits
        if offer.owner.kind == "visitor":
            return {"most": _MOST_OF_VISITOR, "most_of_flow": self.settings.sharing.public.flow_file_bytes}
        return {"most": limits.person.file_bytes}

    @contextmanager
    def admit(self, owner: Owner) -> Iterator[None]:
        """Around all of one file's arrival, from its first byte. Raises ServerBusy where too many arrive at once."""
        most = {str(owner): _AT_ONCE, "": _AT_ONCE_OF_ALL}
        if owner.kind == "visitor":
            most |= {"visitors": _AT_ONCE_OF_VISITORS}
        if any(self._arriving[name] >= limit for name, limit in most.items()):
            raise ServerBusy(2)
        self._arriving.update(most.keys())
        try:
            yield
        finally:
            self._arriving.subtract(most.keys())
            self._arriving += Counter()

    async def has_bytes(self, reference: FileReference) -> bool:
        """Whether nobody deleted them yet."""
        with suppress(FileGone), await self._open(reference):
            return True
        return False

    async def read_file(self, reference: FileReference) -> bytes:
        """All bytes, for who was given the reference in a run. Raises FileGone."""
        with await self._open(reference) as opened:
            read: bytes = await self._run(opened.read)
        return read

    async def open_pieces(self, reference: FileReference) -> AsyncIterator[bytes]:
        """The bytes, piece by piece. Raises FileGone before the first one."""
        return self._read_pieces(await self._open(reference))

    async def _open(self, reference: FileReference) -> BinaryIO:
        opened: BinaryIO | None = await self._run(disk.open_file, self.folder, reference.sha256)
        if opened is None:
            raise FileGone(reference.name)
        return opened

    async def _read_pieces(self, opened: BinaryIO) -> AsyncIterator[bytes]:
        with opened:
            while piece := await self._run(opened.read, _BLOCK):
                yield piece

    async def sweep(self, before: float) -> int:
        """Deletes bytes that no row leads to, some at a time; at how many it looked. 0: there are no more."""
        digests = await self.store.read(files.list_loose, at=before)
        if not digests:
            await self._run(disk.drop_left, self.folder)
            return 0
        for digest in digests:
            await self._run(disk.put_aside, self.folder, digest)
        kept = await self.store.read(files.find_kept, digests=digests)
        for digest in digests:
            await self._run(disk.put_back if digest in kept else disk.drop, self.folder, digest)
        self.on_drop(set(digests) - kept)
        return await self.store.write(files.end_loose, looked_at=digests)

    async def _run(self, job: Any, /, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, job, *given)


def refuse_kind(name: str, media_type: str, accepts: Collection[str] | None) -> None:
    """Raises FileRefused where it is of no kind that the flow takes; `accepts` None: of any."""
    if accepts is None or is_accepted(media_type, accepts):
        return
    if not accepts:
        raise FileRefused("This flow takes no files.", hint="Its author lets it: `accepts` in `chat` of the flow file.")
    raise FileRefused(f"{name} cannot be added: this flow takes {name_accepted(accepts)}, and it is {media_type}.")


def refuse_size(name: str, size: int, of_flow: int | None) -> None:
    """Raises FileRefused where the flow takes no file of so many bytes; None: of any that could be sent."""
    if of_flow is not None and size > of_flow:
        raise FileRefused(f"{name} cannot be added: this flow takes files of up to {write_size(of_flow)}.")


def refuse_unreadable(name: str, media_type: str) -> None:
    """Raises FileRefused for a file whose text nobody here can read, by its name and by its bytes."""
    kind = ENDINGS.get(PurePosixPath(name.lower()).suffix)
    if kind is None:
        raise FileRefused(f"{name} is no kind of file that is read; {READABLE} files are.")
    is_right = media_type == _BINARY[kind] if kind in _BINARY else is_accepted(media_type, _PLAIN)
    if not is_right:
        raise FileRefused(f"{name} is {media_type}, not what its name says: it is damaged or has a wrong name.")


def say_too_large(most: int) -> BodyTooLarge:
    """The refusal of a file of over `most` bytes, to be raised."""
    return BodyTooLarge(f"The file is over {write_size(most)}.", hint="Send a smaller one.")
