"""The folder of one knowledge: files with its index and its vectors, and a small file that names those that serve."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from flowground.core.errors import ProviderError
from flowground.core.processes import try_lock
from flowground.knowledge.embeddings import Embeddings, embed_passages
from flowground.knowledge.index import BuildPlace
from flowground.knowledge.index_file import IndexReader
from flowground.knowledge.sources import PageState, PageStates

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

_CURRENT = "current"
_PAGES = "pages.json"
_ENDING = ".index"
_WANTED = "wanted"
_KEPT_SECONDS = 3_600.0
"""Seconds that an index stays after no process wants it: another process may have flows that this one has not loaded
yet, and a file may be renamed for a while."""


class IndexFolder:
    """The index of one knowledge in a folder. All methods block, except `embed`; they raise RunError or OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: tuple[str, IndexReader] | None = None
        self._vectors: tuple[str, VectorReader] | None = None
        self._lock = threading.Lock()

    def open(self) -> IndexReader | None:
        """The serving index; None where there is none."""
        for _ in range(3):  # the file may be replaced and removed between the two steps
            name = self._read_current()
            if name is None:
                return None
            with self._lock:
                if self._reader is not None and self._reader[0] == name:
                    return self._reader[1]
                try:
                    reader = IndexReader(self._folder / name)
                except ValueError:
                    continue
                if self._reader is not None:
                    self._reader[1].close()
                self._reader = (name, reader)
                return reader
        return None

    def open_vectors(self, model: str) -> "VectorReader | None":
        """The vectors of this model for the serving index; None where it has none."""
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

    def take(self) -> Callable[[], None]:
        """Locks out other builds until the returned function is called, or this process ends.

        Raises BlockingIOError while another build runs.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try_lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise BlockingIOError from None
        return lambda: os.close(descriptor)

    def plan(self, *, is_copy: bool) -> BuildPlace:
        """The place of the next index, which begins as a copy of the serving one or empty."""
        name = self._read_current() if is_copy else None
        return BuildPlace(str(self._folder / f"{uuid4().hex}{_ENDING}"), str(self._folder / name) if name else None)

    async def embed(self, place: BuildPlace, embeddings: Embeddings) -> None:
        """Makes the vectors of the next index, and keeps those that the old index has. Raises ProviderError; the index
        has none then."""
        old = await asyncio.to_thread(self.open_vectors, embeddings.model) if place.old else None
        new = Path(place.new)
        reader = await asyncio.to_thread(IndexReader, new)
        try:
            await embed_passages(reader, old, _place_vectors(new), embeddings)
        except ProviderError:
            await asyncio.to_thread(shutil.rmtree, _place_vectors(new), ignore_errors=True)
            raise
        finally:
            reader.close()

    def publish(self, place: BuildPlace) -> None:
        """Lets the next index serve, and removes the old one; its present readers can go on."""
        made = Path(place.new)
        with made.open("rb+") as file:
            os.fsync(file.fileno())
        self._write(_CURRENT, made.name)
        for other in self._folder.glob(f"*{_ENDING}"):
            if other.name != made.name:
                with suppress(OSError):  # Windows keeps a file that is being read: the next build removes it
                    _remove(other)

    def remove(self, place: BuildPlace) -> None:
        """Removes an index that was not finished."""
        _remove(Path(place.new))

    def read_pages(self) -> PageStates:
        """The last states of the web pages that the knowledge names; none where they cannot be read, so that every page
        is fetched again."""
        try:
            states = json.loads((self._folder / _PAGES).read_bytes())
            return {url: PageState(**state) for url, state in states.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def write_pages(self, states: PageStates) -> None:
        """Replaces the states of pages; only for the holder of the lock."""
        self._write(_PAGES, json.dumps({url: asdict(state) for url, state in states.items()}))

    def close(self) -> None:
        """Closes the serving index."""
        with self._lock:
            if self._reader is not None:
                self._reader[1].close()
            self._reader = self._vectors = None

    def _write(self, name: str, text: str) -> None:
        """Writes a small file atomically."""
        beside = self._folder / f"{name}.new"
        beside.write_text(text, "ascii")
        beside.replace(self._folder / name)

    def _read_current(self) -> str | None:
        try:
            name = (self._folder / _CURRENT).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return name if name.endswith(_ENDING) and name.removesuffix(_ENDING).isalnum() else None


class IndexFolders:
    """The folders of all indexes of this installation, below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, address: str) -> IndexFolder:
        """The folder of the knowledge at an address: its name, for a flow's own with `flow id/` before it."""
        return IndexFolder(self._root / ("flows" if "/" in address else "shared") / address)

    def forget(self, wanted: Collection[str], *, now: float, deletes: bool = True) -> list[str]:
        """Marks the indexes at these addresses as wanted; with `deletes`, removes those that no process has wanted for
        an hour, and returns their addresses. `now` is in seconds since 1970. Raises OSError.

        An empty file in each folder has the time it was last wanted. A folder whose index is being built stays.
        """
        gone: list[str] = []
        for folder in [*self._root.glob("shared/*"), *self._root.glob("flows/*/*")]:
            if not folder.is_dir():
                continue
            address, mark = "/".join(folder.relative_to(self._root).parts[1:]), folder / _WANTED
            if address in wanted or not mark.exists():
                mark.touch()
                os.utime(mark, (now, now))
            elif deletes and mark.stat().st_mtime < now - _KEPT_SECONDS:
                with suppress(BlockingIOError):
                    release = IndexFolder(folder).take()
                    shutil.rmtree(folder, ignore_errors=True)
                    release()
                    gone.append(address)
                with suppress(OSError):  # the flow has other knowledge
                    folder.parent.rmdir()
        return gone


def _place_vectors(index: Path) -> Path:
    return index.with_name(f"{index.name}.vectors")


def _remove(index: Path) -> None:
    """Removes an index and its vectors."""
    index.unlink(missing_ok=True)
    shutil.rmtree(_place_vectors(index), ignore_errors=True)
