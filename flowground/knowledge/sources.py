"""The sources of a knowledge: files by patterns such as `knowledge/**/*.{md,pdf}` in one folder, and pages of the web
by address, with the pages that are due and what fetching them gave."""

import asyncio
import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from flowground.core.errors import RunError
from flowground.core.media_types import PathPattern, add_empty, compile_path, expand_braces, follow_part
from flowground.knowledge.index import IndexedFile

MOST_FILES = 20_000
"""The most files of one knowledge; a note says so where there are more."""
_MOST_ENTRIES = 200_000
_DEPTH = 32
_FRESH_NS = 2_000_000_000
"""Nanoseconds: two writes in this time may leave the same times, because clocks of file systems are coarse."""
_States = list[tuple[PathPattern, set[int]]]
_RETRY_SECONDS = 120.0
"""Seconds until a page that failed is fetched again."""
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, stored at its `path`; `source` says another one for an upload, and for a fetched page. `signature`
    changes when it is written. The ending of `name` decides how it is read; `wrong` says why there is no file; `title`
    stands above its headings."""

    source: str
    path: str
    signature: str
    name: str
    wrong: str = ""
    title: str = ""


@dataclass(slots=True)
class SourceList:
    """Files that the patterns match, by path below the folder with `/`; `left_out` says why others were not taken."""

    files: dict[str, SourceFile] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def find_sources(folder: Path, patterns: Sequence[str], added: Iterable[SourceFile] = ()) -> SourceList:
    """The plain files that any pattern matches, and those stored elsewhere. Hidden files and linked folders are
    skipped."""
    found = SourceList()
    root = folder.resolve()
    compiled = [compile_path(one) for pattern in patterns for one in expand_braces(pattern)]
    left = [_MOST_ENTRIES]
    for path, entry in _walk(root, "", [(one, add_empty(one, {0})) for one in compiled], left, found):
        if len(found.files) >= MOST_FILES:
            found.left_out[path] = f"there are more than {MOST_FILES:,} files"
            break
        _take(root, path, entry, found)
    if left[0] < 0:
        found.left_out["…"] = f"the folders hold more than {_MOST_ENTRIES:,} entries"
    for one in added:
        _take_added(one, found)
    return found


@dataclass(frozen=True, slots=True)
class PageState:
    """The state of a page: `asked_at` is in seconds since 1970, `failure` a sentence; `etag` and `last_modified` are
    the server's validators, `digest` is the SHA-256 of the content that was read last."""

    asked_at: float
    failure: str = ""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""


PageStates = Mapping[str, PageState]
"""States of pages by address."""


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page. `data` is None where the page did not change; `ending` is the file ending of its kind, such as
    `.html`."""

    data: bytes | None
    ending: str = ""
    title: str = ""
    etag: str = ""
    last_modified: str = ""


class FetchPage(Protocol):
    """Fetches one page."""

    async def __call__(self, url: str, *, etag: str, last_modified: str) -> Page:
        """Sends the validators `etag` and `last_modified` of the last answer. Raises RunError."""


@dataclass(frozen=True, slots=True)
class PageSources:
    """Addresses of pages, and the seconds after which a page is fetched again."""

    urls: tuple[str, ...]
    fetch: FetchPage
    refresh: float

    def list_due(self, states: PageStates, indexed: Collection[str], *, now: float) -> list[str]:
        """The pages that are due; `indexed` are the sources that the index has."""
        return [url for url in self.urls if self._is_due(states.get(url), now, is_indexed=url in indexed)]

    def _is_due(self, state: PageState | None, now: float, *, is_indexed: bool) -> bool:
        if state is None or not (is_indexed or state.failure):  # the index has nothing of what was read before
            return True
        wait = min(self.refresh, _RETRY_SECONDS) if state.failure else self.refresh
        return not 0 <= now - state.asked_at < wait  # the clock may have been set back


@dataclass(slots=True)
class FetchedPages:
    """New and changed pages as `files`; `states` of all pages, including those that were not fetched."""

    states: dict[str, PageState]
    files: list[SourceFile] = field(default_factory=list)


async def fetch_pages(
    sources: PageSources, due: Collection[str], states: PageStates, into: Path, *, indexed: Collection[str], now: float
) -> FetchedPages:
    """Fetches the due pages, a few at once, and writes changed ones into the folder `into`.

    A page that cannot be read stays in the index as it was. Raises OSError.
    """
    found = FetchedPages({url: states[url] for url in sources.urls if url in states})
    places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(url: str) -> None:
        before = states.get(url) if url in indexed else None
        known = replace(before, asked_at=now, failure="") if before else PageState(now)
        async with places:
            found.states[url], file = await _fetch(sources.fetch, url, known, into)
        if file:
            found.files.append(file)

    await asyncio.gather(*(fetch(url) for url in due))
    return found


def note_failures(files: Mapping[str, IndexedFile], states: PageStates) -> dict[str, IndexedFile]:
    """The files of an index, with a note for each page that failed, including pages that were never read."""
    noted = dict(files)
    for url, state in states.items():
        if not state.failure:
            continue
        known = noted.get(url, IndexedFile(url, ""))
        stays = " What was read before is found." if known.passages else ""
        noted[url] = replace(known, note=state.failure + stays)
    return noted


def _take_added(file: SourceFile, found: SourceList) -> None:
    if file.source in found.files:
        found.left_out[f"{file.source} (in the flows folder)"] = "an uploaded file has its name"
    if file.wrong:
        found.left_out[file.source] = file.wrong
    elif os.path.exists(file.path):
        found.files[file.source] = file
    else:
        found.left_out[file.source] = "it is not there"


def _walk(
    folder: Path, path: str, states: _States, left: list[int], found: SourceList
) -> "Iterator[tuple[str, os.DirEntry[str]]]":
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        found.left_out[path or "."] = f"the folder cannot be read: {error.strerror}"
        return
    for entry in entries:
        left[0] -= 1
        if left[0] < 0:
            return
        if entry.name.startswith("."):
            continue
        after = [(one, now) for one, before in states if (now := follow_part(one, before, entry.name))]
        inner = f"{path}/{entry.name}" if path else entry.name
        if after and entry.is_dir(follow_symlinks=False):
            if inner.count("/") < _DEPTH:
                yield from _walk(folder / entry.name, inner, after, left, found)
        elif any(len(one) in now for one, now in after) and not os.path.isdir(entry.path):
            yield inner, entry


def _take(root: Path, path: str, entry: "os.DirEntry[str]", found: SourceList) -> None:
    try:
        real = Path(entry.path).resolve(strict=True) if entry.is_symlink() else Path(entry.path)
        if not real.is_relative_to(root):
            found.left_out[path] = "it is a link that leads out of the flows folder"
            return
        about = real.stat()
    except (OSError, RuntimeError) as error:
        found.left_out[path] = f"it cannot be read: {getattr(error, 'strerror', None) or 'its link leads in a circle'}"
        return
    is_fresh = time.time_ns() - about.st_mtime_ns < _FRESH_NS
    read = _read_digest.__wrapped__ if is_fresh else _read_digest
    state = about.st_mtime_ns, about.st_size, about.st_ino
    try:
        digest = read(real, state)
    except OSError:  # whoever indexes it says so
        digest = str(state)
    found.files[path] = SourceFile(path, str(real), digest, path)


@lru_cache(100_000)
def _read_digest(path: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001 - the cache asks for it
    """The SHA-256 of the content, on which all computers that share an index agree. A file is read again only after it
    was written. Raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def _fetch(ask: FetchPage, url: str, known: PageState, into: Path) -> tuple[PageState, SourceFile | None]:
    """The page's new state, and its file where the content changed; `known` is the state before, with the present
    time."""
    try:
        page = await ask(url, etag=known.etag, last_modified=known.last_modified)
    except RunError as error:
        return replace(known, failure=f"{url} cannot be read: {error.full_message}"), None
    if page.data is None:
        return known, None
    digest = hashlib.sha256(page.data).hexdigest()
    state = PageState(known.asked_at, "", page.etag, page.last_modified, digest)
    if digest == known.digest:
        return state, None
    path = into / hashlib.sha256(url.encode()).hexdigest()
    await asyncio.to_thread(path.write_bytes, page.data)
    return state, SourceFile(url, str(path), digest, f"{url} as {page.ending}", title=page.title)
