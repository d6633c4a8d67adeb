"""The folder in which the index of one knowledge lives: files of SQLite, and a small one that names which serves."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from flowground.errors import ProviderError
from flowground.file_lock import try_lock
from flowground.knowledge.embeddings import Embeddings, embed_passages
from flowground.knowledge.index import BuildPlace
from flowground.knowledge.index_file import FileIndexReader
from flowground.knowledge.index_home import KEPT_SECONDS
from flowground.knowledge.pages import PageStates, read_states, write_states
from flowground.knowledge.sources import SourceFile

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

_CURRENT = "current"
_PAGES = "pages.json"
_ENDING = ".index"
_WANTED = "wanted"


class IndexFolder:
    """An `IndexHome`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: tuple[str, FileIndexReader] | None = None
        self._vectors: tuple[str, VectorReader] | None = None
        self._lock = threading.Lock()

    def open(self) -> FileIndexReader | None:
        for _ in range(3):  # the file may be replaced, and the old one removed, between the two steps
            name = self._read_current()
            if name is None:
                return None
            with self._lock:
                if self._reader is not None and self._reader[0] == name:
                    return self._reader[1]
                try:
                    reader = FileIndexReader(self._folder / name)
                except ValueError:
                    continue
                if self._reader is not None:
                    self._reader[1].close()
                self._reader = (name, reader)
                return reader
        return None

    def open_vectors(self, model: str) -> "VectorReader | None":
        from flowground.knowledge.vectors import VectorReader  # noqa: PLC0415 - numpy: 0.1 s, for who has embeddings

        if self.open() is None:
            return None
        with self._lock:
            if self._reader is None:
                return None
            name = f"{self._reader[0]} {model}"
            if self._vectors is None or self._vectors[0] != name:
                try:
                    self._vectors = (name, VectorReader(_place_vectors(self._folder / self._reader[0]), model))
                except ValueError:
                    return None
            return self._vectors[1]

    def sign(self, files: Mapping[str, SourceFile]) -> Mapping[str, SourceFile]:
        return files

    def take(self) -> Callable[[], None]:
        """The lock ends with the process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try_lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise BlockingIOError from None
        return lambda: os.close(descriptor)

    def plan(self, *, is_copy: bool) -> BuildPlace:
        name = self._read_current() if is_copy else None
        return BuildPlace(str(self._folder / f"{uuid4().hex}{_ENDING}"), str(self._folder / name) if name else None)

    async def embed(self, place: BuildPlace, embeddings: Embeddings) -> None:
        old = await asyncio.to_thread(self.open_vectors, embeddings.model) if place.old else None
        new = Path(place.new)
        reader = await asyncio.to_thread(FileIndexReader, new)
        try:
            await embed_passages(reader, old, _place_vectors(new), embeddings)
        except ProviderError:
            await asyncio.to_thread(shutil.rmtree, _place_vectors(new), ignore_errors=True)
            raise
        finally:
            reader.close()

    def publish(self, place: BuildPlace) -> None:
        made = Path(place.new)
        with made.open("rb+") as file:
            os.fsync(file.fileno())
        self._write(_CURRENT, made.name)
        for other in self._folder.glob(f"*{_ENDING}"):
            if other.name != made.name:
                with suppress(OSError):  # Windows keeps what somebody reads: the next one removes it
                    _remove(other)

    def remove(self, place: BuildPlace) -> None:
        _remove(Path(place.new))

    def read_pages(self) -> PageStates:
        try:
            return read_states(json.loads((self._folder / _PAGES).read_bytes()))
        except (OSError, ValueError):
            return {}

    def write_pages(self, states: PageStates) -> None:
        self._write(_PAGES, json.dumps(write_states(states)))

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader[1].close()
            self._reader = self._vectors = None

    def _write(self, name: str, text: str) -> None:
        """The whole small file at once."""
        beside = self._folder / f"{name}.new"
        beside.write_text(text, "ascii")
        beside.replace(self._folder / name)

    def _read_current(self) -> str | None:
        try:
            name = (self._folder / _CURRENT).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return name if name.endswith(_ENDING) and name.removesuffix(_ENDING).isalnum() else None


def forget_folders(root: Path, wanted: Collection[str], *, now: float, deletes: bool) -> list[str]:
    """As `IndexHomes.forget`: the folders below `root`, each with an empty file that tells when it was last wanted. One
    whose index is being made stays."""
    gone: list[str] = []
    for folder in [*root.glob("shared/*"), *root.glob("flows/*/*")]:
        if not folder.is_dir():
            continue
        address, mark = "/".join(folder.relative_to(root).parts[1:]), folder / _WANTED
        if address in wanted or not mark.exists():
            mark.touch()
            os.utime(mark, (now, now))
        elif deletes and mark.stat().st_mtime < now - KEPT_SECONDS:
            with suppress(BlockingIOError):
                release = IndexFolder(folder).take()
                shutil.rmtree(folder, ignore_errors=True)
                release()
                gone.append(address)
            with suppress(OSError):  # the flow has others
                folder.parent.rmdir()
    return gone


def _place_vectors(index: Path) -> Path:
    return index.with_name(f"{index.name}.vectors")


def _remove(index: Path) -> None:
    """An index and its vectors."""
    index.unlink(missing_ok=True)
    shutil.rmtree(_place_vectors(index), ignore_errors=True)
