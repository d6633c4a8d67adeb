"""Pages of the web that a knowledge names by their addresses: which are asked now, and what came of it."""

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from flowground.errors import RunError
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.sources import GivenFile

_RETRY_SECONDS = 120.0
"""Before a page that could not be read is asked again."""
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class PageState:
    """How a page answered: `asked_at` is seconds since 1970, `failure` a sentence, `etag` and `last_modified` what its
    server tells changes apart by, `digest` the SHA-256 of what was read last."""

    asked_at: float
    failure: str = ""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""


PageStates = Mapping[str, PageState]
"""By address."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. `data` is None where it is what was read before; `ending` is that of files of its kind, `.html`."""

    data: bytes | None
    ending: str = ""
    title: str = ""
    etag: str = ""
    last_modified: str = ""


class FetchPage(Protocol):
    """Asks for a page, and for no other."""

    async def __call__(self, url: str, *, etag: str, last_modified: str) -> Page:
        """`etag` and `last_modified` are those of what was read before. Raises RunError."""


@dataclass(frozen=True, slots=True)
class PageSources:
    """The addresses of pages, and after how many seconds one that was read is asked again."""

    urls: tuple[str, ...]
    fetch: FetchPage
    refresh: float

    def list_due(self, states: PageStates, indexed: Collection[str], *, now: float) -> list[str]:
        """Those to ask now; `indexed` are the sources that the index has."""
        return [url for url in self.urls if self._is_due(states.get(url), now) or _is_lost(url, states, indexed)]

    def _is_due(self, state: PageState | None, now: float) -> bool:
        wait = min(self.refresh, _RETRY_SECONDS) if state and state.failure else self.refresh
        return state is None or not 0 <= now - state.asked_at < wait  # a clock may have been set back


def _is_lost(url: str, states: PageStates, indexed: Collection[str]) -> bool:
    """Whether it was read, and the index has nothing of it."""
    return url not in indexed and not states[url].failure


@dataclass(slots=True)
class FetchedPages:
    """`files` are new or changed; `states` of all pages, also of those that were not asked."""

    states: dict[str, PageState]
    files: list[GivenFile] = field(default_factory=list)


async def fetch_pages(
    sources: PageSources, due: Collection[str], states: PageStates, room: Path, *, indexed: Collection[str], now: float
) -> FetchedPages:
    """Asks those that are due, a few at once; what changed is written into the folder `room`.

    What the index has of a page that cannot be read stays. Raises OSError.
    """
    found = FetchedPages({url: states[url] for url in sources.urls if url in states})
    places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(url: str) -> None:
        before = states.get(url) if url in indexed else None
        known = replace(before, asked_at=now, failure="") if before else PageState(now)
        async with places:
            found.states[url], file = await _fetch(sources.fetch, url, known, room)
        if file:
            found.files.append(file)

    await asyncio.gather(*(fetch(url) for url in due))
    return found


async def _fetch(ask: FetchPage, url: str, known: PageState, room: Path) -> tuple[PageState, GivenFile | None]:
    """How it answers, and the file where that is something new; `known` is what the index has, asked now."""
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
    path = room / hashlib.sha256(url.encode()).hexdigest()
    await asyncio.to_thread(path.write_bytes, page.data)
    return state, GivenFile(url, str(path), digest, f"{url} as {page.ending}", title=page.title)


def note_failures(files: Mapping[str, IndexedFile], states: PageStates) -> dict[str, IndexedFile]:
    """The files of an index, with a note at each page that could not be read again, and those that never could."""
    noted = dict(files)
    for url, state in states.items():
        if not state.failure:
            continue
        known = noted.get(url, IndexedFile(url, ""))
        stays = " What was read before is found." if known.passages else ""
        noted[url] = replace(known, note=state.failure + stays)
    return noted


def write_states(states: PageStates) -> dict[str, Any]:
    """For JSON."""
    return {url: asdict(state) for url, state in states.items()}


def read_states(written: Any) -> dict[str, PageState]:
    """What `write_states` wrote; of anything else nothing, and every page is asked again."""
    try:
        return {url: PageState(**state) for url, state in written.items()}
    except (AttributeError, TypeError):
        return {}
