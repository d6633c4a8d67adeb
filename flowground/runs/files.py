"""Files that people and programs upload: received within bounds, stored once by digest, read, and deleted.

A file's kind is read from its bytes; its owner stands in the store, and only `store.runs.files` leads to bytes. Bytes
lie in the data folder, each file once, named by its digest. Several machines may share the folder, so nothing but
renames and links is relied on. Paths of files are names for Langflow's clients, under which nothing lies:
`{flow_id}/{2026-11-24_22-39-26}_{name}` for a file of one flow, `{owner's id}/{name}` for a file of every flow.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from flowground.core.caller import WHOSE, Owner, make_id
from flowground.core.errors import BodyTooLarge, InvalidRequest, RunError, SentFileFailed, ServerBusy
from flowground.core.media_types import HEAD, clean_name, find_media_type, is_accepted, name_accepted
from flowground.core.values import FileReference
from flowground.core.words import write_size
from flowground.knowledge.extraction import ENDINGS, READABLE, Extracted, ExtractionLimits, FileUnreadable
from flowground.knowledge.extraction.extractors import Extractors
from flowground.knowledge.sources import SourceFile
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import files
from flowground.store.runs.files import MOST_ADDED, StoredFile

UPLOADS_FOLDER = "uploads/"
"""Prefix of the name of a file that was added to a knowledge, in the sources of passages."""
_ARRIVING = "arriving"
_GOING = ".going"
_LEFT_SECONDS = 86_400
"""Seconds after which a file that is still being received was left by a process that died."""
_TRIES = 20
"""Attempts to put a file into its folder, which may be deleted with the last other file in it."""
_PLAIN = ("text/*", "application/json")
_BINARY = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""Kinds of readable files -> their media types; all other kinds are plain text."""
_AT_ONCE, _AT_ONCE_OF_ALL = 5, 50
"""Files that this process receives at once: from one owner, and from all."""
_AT_ONCE_OF_ADDRESS = 10
"""Of the visitors of one address."""
_AT_ONCE_OF_VISITORS = 25
"""Files that this process receives at once from all visitors: anybody can be many visitors."""
_MOST_OF_VISITOR = 50_000_000
"""Bytes of files that one visitor may store."""
_BLOCK = 262_144
"""Bytes that are buffered before they are written."""
_PLACE_SECONDS = 3_600
"""Seconds after which received bytes have a row, or never will."""
_STAMP = "%Y-%m-%d_%H-%M-%S"
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_(.+)", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HELD_CHARS = 5_000_000
"""Characters of texts that are cached: questions are often asked again about the same file."""
_TEXT_LIMITS = ExtractionLimits(text_chars=1_000_000, seconds=30)
"""Bounds of the texts of files; far more characters than a model is shown."""


class IncomingFile:
    """A file that is being received. Its methods block: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        arriving = folder / _ARRIVING
        arriving.mkdir(parents=True, exist_ok=True)
        self._path = arriving / secrets.token_hex(16)
        self._file = self._path.open("xb")
        self._digest = hashlib.sha256()
        self.head, self.tail, self.size = b"", b"", 0

    def write(self, piece: bytes) -> None:
        """Writes the next bytes, and updates `head`, `tail` and `size`."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        self.head += piece[: HEAD - len(self.head)]
        self.tail = (self.tail + piece)[-HEAD:]

    def finish(self) -> str:
        """Flushes the complete file to disk; returns its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def place(self) -> None:
        """Puts the file at its place by digest, unless it is there. Retried: `drop` may delete the folder meanwhile."""
        path = find_path(self._folder, self._digest.hexdigest())
        for _ in range(_TRIES):
            if path.exists():
                return
            with suppress(FileNotFoundError, FileExistsError):  # `drop` deleted the folder after, or while, it was made
                path.parent.mkdir(parents=True, exist_ok=True)
                self._put(path)
                _flush_folder(path.parent)
                return
        raise FileNotFoundError(path)

    def _put(self, path: Path) -> None:
        try:
            os.link(self._path, path)
        except FileExistsError:
            return
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            shutil.copyfile(self._path, beside)
            beside.replace(path)

    def close(self) -> None:
        """Deletes the temporary file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def find_path(folder: Path, digest: str) -> Path:
    """The path of the bytes with this digest (SHA-256 in hexadecimal digits), whether or not they exist."""
    return folder / digest[:2] / digest[2:4] / digest


def open_file(folder: Path, digest: str) -> BinaryIO | None:
    """Opens the bytes; None where they are deleted. `sweep` may have put them aside for a moment."""
    path = find_path(folder, digest)
    for at in (path, _name_aside(path), path):
        with suppress(FileNotFoundError):
            return at.open("rb")
    return None


def put_aside(folder: Path, digest: str) -> None:
    """Moves the bytes away from their place, until `put_back` or `drop`."""
    path = find_path(folder, digest)
    with suppress(FileNotFoundError):
        path.replace(_name_aside(path))


def put_back(folder: Path, digest: str) -> None:
    """Moves bytes that were put aside back to their place: a row leads to them."""
    path = find_path(folder, digest)
    with suppress(FileNotFoundError):
        _name_aside(path).replace(path)


def drop(folder: Path, digest: str) -> None:
    """Deletes bytes that were put aside, and their folders where they are empty: no row leads to them."""
    path = _name_aside(find_path(folder, digest))
    path.unlink(missing_ok=True)
    for above in (path.parent, path.parent.parent):
        with suppress(OSError):  # the folder has other files
            above.rmdir()


def drop_left(folder: Path) -> None:
    """Deletes files that processes which died had begun to receive."""
    before = time.time() - _LEFT_SECONDS
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder / _ARRIVING):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < before:
                    os.unlink(entry.path)


def _name_aside(path: Path) -> Path:
    return path.with_name(f"{path.name}{_GOING}")


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # only POSIX opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FileRefused(InvalidRequest):
    """A file that is not accepted: empty, or too large for the flow, or of a kind that the flow does not take."""

    code = "file_refused"


class FileGone(SentFileFailed):
    """A file that a message names was deleted."""

    code = "file_gone"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was deleted.", hint="Add it anew.")


@dataclass(frozen=True, slots=True)
class FileOffer:
    """A file that its owner uploads, before its bytes are read.

    `flow_id` None: for every flow. `accepts` None: any kind. `most`: bytes, where the flow takes less than the owner
    may send. `is_apart`: the file gets a name that no other file of the owner has. `no_images`: the sentence by which
    pictures are refused. `by`: who adds the file to a knowledge, for the audit trail.
    """

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
    """The uploaded files of one installation, and those that authors have in the folder of flows.

    `folder` has the bytes of uploaded ones; it is created with the first. `SentFileReader` of runs, on one event loop:
    the first text starts the child processes.
    """

    store: Store
    settings: Settings
    folder: Path = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _arriving: Counter[str] = field(default_factory=Counter)
    _extractors: Extractors = field(default_factory=lambda: Extractors(_TEXT_LIMITS))
    _texts: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.folder = self.settings.data / "files"
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="flowground-files")

    def close(self) -> None:
        """Waits for writes that go on; blocks."""
        self._threads.shutdown()

    async def end_reading(self) -> None:
        """Ends the child processes."""
        await self._extractors.close()

    def find_limit(self, owner: Owner, of_flow: int | None = None) -> int:
        """The most bytes of one file of this owner; `of_flow` is the limit of a flow, None: no flow limits it."""
        public, limits = self.settings.sharing.public, self.settings.limits
        most = public.file_bytes if owner.kind == "visitor" else limits.file_bytes
        return most if of_flow is None else min(most, of_flow)

    async def receive(self, pieces: AsyncIterator[bytes], offer: FileOffer) -> StoredFile:
        """Receives and stores a file; call this inside `admit`.

        Raises BodyTooLarge, FileRefused, FilesFull, StoreUnavailable, and what `pieces` raise; nothing is stored then.
        """
        most = self.find_limit(offer.owner, offer.most)
        arriving = await self._run(IncomingFile, self.folder)
        try:
            await self._write(arriving, pieces, most)
            return await self._keep(arriving, offer)
        finally:
            await asyncio.shield(self._run(arriving.close))

    async def _write(self, arriving: IncomingFile, pieces: AsyncIterator[bytes], most: int) -> None:
        held, size = bytearray(), 0
        async for piece in pieces:
            held += piece
            size += len(piece)
            if size > most:
                raise too_large_error(most)
            if len(held) >= _BLOCK:
                await self._run(arriving.write, bytes(held))
                held.clear()
        await self._run(arriving.write, bytes(held))

    async def _keep(self, arriving: IncomingFile, offer: FileOffer) -> StoredFile:
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
        reference = FileReference(make_id(), name, kind, arriving.size, digest)
        file = StoredFile(reference, str(offer.owner), offer.flow_id, None, datetime.now(UTC))
        # Noted first, so that bytes without a row are found again when the process dies here.
        await self.store.write(files.note_loose, digests=[digest], look_at=time.time() + _PLACE_SECONDS)
        await self._run(arriving.place)
        kept = await self._add(file, offer)
        await self._run(arriving.place)  # a deletion of another row of these bytes may have deleted them
        return kept

    async def _add(self, file: StoredFile, offer: FileOffer) -> StoredFile:
        limits, public = self.settings.limits, self.settings.sharing.public
        if offer.owner.kind == "knowledge":
            most = limits.knowledge_bytes
            return await self.store.write(files.add_knowledge_file, file=file, most=most, by=offer.by)
        bounds = {"most": limits.person.file_bytes}
        if offer.owner.kind == "visitor":
            bounds = {"most": _MOST_OF_VISITOR, "most_of_flow": public.flow_file_bytes}
        return await self.store.write(files.add_file, file=file, is_apart=offer.is_apart, **bounds)

    @contextmanager
    def admit(self, owner: Owner, address: str = "") -> Iterator[None]:
        """Counts one file while it is received, from its first byte. Raises ServerBusy where too many are.

        `address`: the network address of a visitor.
        """
        most = {str(owner): _AT_ONCE, "": _AT_ONCE_OF_ALL}
        if owner.kind == "visitor":
            most |= {"visitors": _AT_ONCE_OF_VISITORS, f"address {address}": _AT_ONCE_OF_ADDRESS}
        if any(self._arriving[name] >= limit for name, limit in most.items()):
            raise ServerBusy(2)
        self._arriving.update(most.keys())
        try:
            yield
        finally:
            self._arriving.subtract(most.keys())
            self._arriving += Counter()

    async def has_bytes(self, reference: FileReference) -> bool:
        """Whether the bytes of this file still exist."""
        with suppress(FileGone), await self._open(reference):
            return True
        return False

    async def read(self, file: FileReference) -> bytes:
        """All bytes of a file that a run was given. Raises FileGone."""
        with await self._open(file) as opened:
            read: bytes = await self._run(opened.read)
        return read

    async def extract(self, file: FileReference) -> str:
        """The text of a sent file. Raises SentFileFailed, also where the file was deleted."""
        key = file.sha256, file.name
        if (text := self._texts.get(key)) is not None and await self.has_bytes(file):
            self._keep_text(key, text)
            return text
        self._forget([file.sha256])
        text = (await self.read_text(file)).text
        if await self.has_bytes(file):
            self._keep_text(key, text)
        return text

    async def read_text(self, file: FileReference | str) -> Extracted:
        """The text of a sent file, or of the author's file at a path. Raises SentFileFailed, FileUnreadable,
        RunError."""
        if isinstance(file, FileReference):
            known: dict[str, str] = {"whose": WHOSE.get(), "digest": file.sha256}
            try:
                return await self._extractors.extract(partial(self.read, file), file.name, **known)
            except FileUnreadable as error:
                raise SentFileFailed(error.message) from None
        path = await asyncio.to_thread(find_in_folder, self.settings.flows, file)
        if path is None:
            raise RunError(not_there_message(file))
        return await self._extractors.extract(path, file)

    def _keep_text(self, key: tuple[str, str], text: str) -> None:
        self._texts[key] = text
        self._texts.move_to_end(key)
        while sum(map(len, self._texts.values())) > _HELD_CHARS:
            self._texts.popitem(last=False)

    def _forget(self, digests: Collection[str]) -> None:
        for key in [key for key in self._texts if key[0] in digests]:
            del self._texts[key]

    async def open_pieces(self, reference: FileReference) -> AsyncIterator[bytes]:
        """Opens the file and returns its bytes in pieces. Raises FileGone before the first piece."""
        return self._read_pieces(await self._open(reference))

    async def _open(self, reference: FileReference) -> BinaryIO:
        opened: BinaryIO | None = await self._run(open_file, self.folder, reference.sha256)
        if opened is None:
            raise FileGone(reference.name)
        return opened

    async def _read_pieces(self, opened: BinaryIO) -> AsyncIterator[bytes]:
        with opened:
            while piece := await self._run(opened.read, _BLOCK):
                yield piece

    async def sweep(self, before: float) -> int:
        """Deletes some of the bytes that no row leads to; returns how many it checked. 0: none are left to check."""
        digests = await self.store.read(files.list_loose, at=before)
        if not digests:
            await self._run(drop_left, self.folder)
            return 0
        for digest in digests:
            await self._run(put_aside, self.folder, digest)
        kept = await self.store.read(files.find_kept, digests=digests)
        for digest in digests:
            await self._run(put_back if digest in kept else drop, self.folder, digest)
        self._forget(set(digests) - kept)
        return await self.store.write(files.end_loose, looked_at=digests)

    async def _run(self, job: Any, /, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, job, *given)


def refuse_kind(name: str, media_type: str, accepts: Collection[str] | None) -> None:
    """Raises FileRefused for a file of a kind that the flow does not take; `accepts` None: it takes any."""
    if accepts is None or is_accepted(media_type, accepts):
        return
    if not accepts:
        raise FileRefused("This flow takes no files.", hint="Its author lets it: `accepts` in `chat` of the flow file.")
    raise FileRefused(f"{name} cannot be added: this flow takes {name_accepted(accepts)}, and it is {media_type}.")


def refuse_size(name: str, size: int, of_flow: int | None) -> None:
    """Raises FileRefused for a file larger than the flow takes; None: the flow has no limit of its own."""
    if of_flow is not None and size > of_flow:
        raise FileRefused(f"{name} cannot be added: this flow takes files of up to {write_size(of_flow)}.")


def refuse_unreadable(name: str, media_type: str) -> None:
    """Raises FileRefused for a file whose text cannot be extracted, by its name and by its bytes."""
    kind = ENDINGS.get(PurePosixPath(name.lower()).suffix)
    if kind is None:
        raise FileRefused(f"{name} is no kind of file that is read; {READABLE} files are.")
    is_right = media_type == _BINARY[kind] if kind in _BINARY else is_accepted(media_type, _PLAIN)
    if not is_right:
        raise FileRefused(f"{name} is {media_type}, not what its name says: it is damaged or has a wrong name.")


def too_large_error(most: int) -> BodyTooLarge:
    """The error for a file of over `most` bytes."""
    return BodyTooLarge(f"The file is over {write_size(most)}.", hint="Send a smaller one.")


def write_path(file: StoredFile) -> str:
    """The path of a file that belongs to no message, in the form that the module's docstring gives."""
    if file.flow_id is None:
        return f"{Owner.read(file.owner).id}/{file.reference.name}"
    return f"{file.flow_id}/{write_stamped_name(file)}"


def write_sent_path(flow_id: str, reference: FileReference) -> str:
    """The path of a message's file, with its id: several may have the same name and time."""
    return f"{flow_id}/{reference.id}_{reference.name}"


def write_stamped_name(file: StoredFile) -> str:
    """The name of a file after the second (UTC) in which it was received."""
    return f"{file.created_at.astimezone(UTC):{_STAMP}}_{file.reference.name}"


async def find_file(store: Store, named: str, *, owners: Collection[str]) -> StoredFile | None:
    """A file of these owners by its id or path; None where there is none."""
    if _ID.fullmatch(named):
        return await store.read(files.find_file, key=named, owners=owners)
    place, slash, name = named.rpartition("/")
    if not slash:
        return None
    if place in {Owner.read(owner).id for owner in owners} and (
        found := await store.read(files.find_named, owners=owners, flow_id=None, name=name)
    ):
        return found
    return await find_stamped(store, place, name, owners=owners)


async def find_stamped(store: Store, flow_id: str, name: str, *, owners: Collection[str]) -> StoredFile | None:
    """A file of this flow by its stamped name; the newest of several that came in one second."""
    if _ID.fullmatch(name[:36]):
        return await store.read(files.find_file, key=name[:36], owners=owners)
    stamped = _STAMPED.fullmatch(name)
    if stamped is None:
        return None
    try:
        second = int(datetime.strptime(f"{stamped[1]} +0000", f"{_STAMP} %z").timestamp())
    except ValueError:
        return None
    return await store.read(files.find_named, owners=owners, flow_id=flow_id, name=stamped[2], second=second)


def find_in_folder(folder: Path, name: str) -> Path | None:
    """The path of a file below this folder; None where there is none. No name and no link leads out of the folder."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def not_there_message(name: str) -> str:
    return f"There is no file `{name}` in the folder of flows."


def name_owner(address: str) -> Owner:
    """The owner of the files of a knowledge."""
    return Owner("knowledge", address)


async def list_uploads(store: Store, data: Path, address: str) -> Sequence[SourceFile]:
    """The files that were added to a knowledge; `data` is the data folder. Raises StoreUnavailable."""
    owner = str(name_owner(address))
    found = await store.read(files.list_unsent, owners=[owner], flow_id=None, limit=MOST_ADDED)
    return [
        SourceFile(
            (source := f"{UPLOADS_FOLDER}{file.reference.name}"),
            str(find_path(data / "files", file.reference.sha256)),
            file.reference.sha256,
            source,
        )
        for file in found
    ]
