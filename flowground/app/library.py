"""All knowledge of this installation, which flow files and config.yaml name: found by name and kept indexed.

A run never indexes what it looks up. A task of the process checks every few seconds whether files changed, indexes one
knowledge after the other, and deletes indexes that no flow names any more. Of several processes one indexes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from flowground.components.base import LookedUp, LookUp
from flowground.components.knowledge import Retrieve
from flowground.core.errors import FlowgroundError, NoDocuments, ProviderError, RunError
from flowground.core.words import count, suggest
from flowground.flows.folder import Catalogue
from flowground.flows.wiring import WiredFlow
from flowground.knowledge import Knowledge, KnowledgeBusy, KnowledgeMissing, KnowledgeSources
from flowground.knowledge.building import BuildReport, IndexState
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.index_folder import IndexFolders
from flowground.knowledge.searching import Filters, Hit, explain_unmatched, read_filters
from flowground.knowledge.section import KnowledgeSection
from flowground.knowledge.sources import SourceFile
from flowground.tools.outgoing import WebPages

_log = logging.getLogger(__name__)
ListUploads = Callable[[str], Awaitable[Sequence[SourceFile]]]
"""The files that authors added to the knowledge at an address."""
_LOOK_SHARE = 20
"""Checks for changed files take at most one part in this many of the time."""
_FORGET_EVERY = 600.0
"""Seconds between two deletions of indexes that no flow names any more."""
_PAUSE = 60.0
"""Seconds before an embeddings model or a web page that failed is asked again."""
_WAIT_STEP = 0.25


@dataclass(frozen=True, slots=True)
class KnowledgeEntry:
    """One knowledge. `address` is its name, with the flow's id before that of a flow's own: `travel/handbook`.

    `sources` lack uploads, which `Library.find_sources` adds. `refused`: why no embeddings model can be asked.
    """

    address: str
    section: KnowledgeSection
    knowledge: Knowledge
    sources: KnowledgeSources
    refused: str = ""

    @property
    def name(self) -> str:
        """The name by which flows look the knowledge up."""
        return self.address.rpartition("/")[2]

    def keep_words(self) -> "KnowledgeEntry":
        """The same entry without embeddings: only words are searched."""
        return replace(self, sources=replace(self.sources, embeddings=None))


@dataclass(frozen=True, slots=True)
class LibraryTimes:
    """Seconds: between two checks for changes, until copied files are complete, and for which a search waits for a
    first index."""

    look_every: float = 5.0
    settle: float = 2.5
    wait: float = 20.0


_USUAL = LibraryTimes()


class Library:
    """The knowledge of one process. A task keeps it indexed, at its pace, once it was started; all else works without.
    `start` and `close` belong to one loop.

    `pages` fetches web pages; without it no web page is indexed. Without `list_uploads`, so without a database, a
    knowledge that takes uploads must not be indexed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        shared: Mapping[str, KnowledgeSection],
        folders: IndexFolders,
        *,
        find_embeddings: Callable[[str], Embeddings],
        list_uploads: ListUploads | None = None,
        pages: WebPages | None = None,
        pace: LibraryTimes = _USUAL,
    ) -> None:
        self._catalogue = catalogue
        self._shared = shared
        self._folders = folders
        self._find_embeddings = find_embeddings
        self._list_uploads = list_uploads
        self._pages, self.pace = pages, pace
        self._opened: dict[str, Knowledge] = {}
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._said: dict[str, Sequence[str]] = {}
        """What was logged last, by what it is about."""
        self._pauses: dict[str, float] = {}
        self.states: dict[str, IndexState] = {}
        """Address -> the progress or result of indexing in this process."""

    def list_all(self) -> list[KnowledgeEntry]:
        """The knowledge of config.yaml, then that of each flow."""
        return [self._open(address, section) for address, section in self._list_sections()]

    def find_unnamed(self, addresses: Collection[str]) -> set[str]:
        """The addresses that neither config.yaml nor a flow names. While a flow file has mistakes, addresses of flows
        are left out: the file may name them."""
        unnamed = set(addresses) - {address for address, _ in self._list_sections()}
        return {address for address in unnamed if "/" not in address} if self._catalogue.list_problems() else unnamed

    def list_of(self, flow_id: str) -> list[KnowledgeEntry]:
        """The knowledge of one flow; for the flow id `""` that of config.yaml."""
        if not flow_id:
            return [self._open(address, section) for address, section in self._shared.items()]
        wired = self._catalogue.find(flow_id)
        named = wired.flow.knowledge.items() if wired else ()
        return [self._open(f"{flow_id}/{name}", section) for name, section in named]

    def has_any(self, flow_id: str) -> bool:
        """Whether the flow with this id, or config.yaml, names a knowledge."""
        wired = self._catalogue.find(flow_id)
        return bool(self._shared or (wired and wired.flow.knowledge))

    def find(self, flow_id: str, name: str) -> KnowledgeEntry:
        """The knowledge that a flow means by a name: its own, else that of config.yaml. Raises RunError."""
        own = f"{flow_id}/"
        known = {
            address.removeprefix(own): (address, section)
            for address, section in self._list_sections()
            if "/" not in address or address.startswith(own)
        }
        if name in known:
            return self._open(*known[name])
        raise RunError(
            f"There is no knowledge {name!r}{suggest(name, known)}.",
            hint="A flow names it under `knowledge:`, or config.yaml does for all flows.",
        )

    async def search(
        self,
        flow_id: str,
        name: str,
        question: str,
        *,
        top_k: int = 5,
        filters: Filters | None = None,
        threshold: float = 0.0,
        words_only: bool = False,
    ) -> list[Hit]:
        """The passages that fit best; `words_only`: without embeddings.

        Waits up to `pace.wait` seconds for a first index, and where the index was made before there were files.

        Raises KnowledgeMissing, and RunError.
        """
        entry = self.find(flow_id, name).keep_words() if words_only else self.find(flow_id, name)
        how: dict[str, Any] = {"top_k": top_k, "filters": filters, "threshold": threshold}
        end, has_asked = time.monotonic() + self.pace.wait, False
        while True:
            try:
                found = await entry.knowledge.search(question, embeddings=entry.sources.embeddings, **how)
                is_coming = not found and await entry.knowledge.is_empty() and await self.is_outdated(entry)
                if not is_coming:
                    return found
            except KnowledgeMissing:
                pass
            if time.monotonic() >= end:
                raise self._missing_error(entry.address)
            if not has_asked:
                self.look_soon()
            has_asked = True
            await asyncio.sleep(_WAIT_STEP)

    def _missing_error(self, address: str) -> KnowledgeMissing:
        """The error for a knowledge without an index, with the reason that this process knows."""
        state = self.states.get(address, IndexState())
        if state.failure:
            return KnowledgeMissing(f"The knowledge {address!r} could not be indexed: {state.failure}", retry_after=5)
        done = f": {state.done} of {count(state.total, 'file')} are read" if state.is_running else " yet"
        return KnowledgeMissing(
            f"The knowledge {address!r} is not indexed{done}.", hint="Ask again in a moment.", retry_after=5
        )

    def list_looked_into(self, flow_id: str) -> list[KnowledgeEntry]:
        """The knowledge that the flow answers from, without what its agents may look up by tools."""
        wired = self._catalogue.find(flow_id)
        found: dict[str, KnowledgeEntry] = {}
        tools = {tool.component for tools in wired.tools.values() for tool in tools} if wired else ()
        for name, component in wired.components.items() if wired else ():
            if isinstance(component, Retrieve) and name not in tools:
                with suppress(RunError):
                    found[component.knowledge] = self.find(flow_id, component.knowledge)
        return list(found.values())

    async def lacks_documents(self, flow_id: str) -> bool:
        """Whether the flow answers from documents, and all knowledge that it looks into is empty and stays so.

        Raises StoreUnavailable.
        """
        looked_into = self.list_looked_into(flow_id)
        for entry in looked_into:
            with suppress(KnowledgeMissing):
                if not await entry.knowledge.is_empty() or await self.is_outdated(entry):
                    return False
                continue
            if await entry.knowledge.has_any(await self.find_sources(entry)):
                return False
        return bool(looked_into)

    async def find_sources(self, entry: KnowledgeEntry) -> KnowledgeSources:
        """The sources of the knowledge with its uploads. Raises StoreUnavailable."""
        uploads = await self._list_uploads(entry.address) if self._list_uploads and entry.section.uploads else ()
        return replace(entry.sources, added=tuple(uploads))

    async def is_outdated(self, entry: KnowledgeEntry) -> bool:
        """Whether files came, changed or went since the index was made. Raises StoreUnavailable."""
        return await entry.knowledge.is_outdated(await self.find_sources(entry))

    def make_look_up(self, flow_id: str, *, words_only: bool = False) -> LookUp:
        """The function by which the components of a flow look passages up."""
        search = partial(self.search, flow_id, words_only=words_only)

        async def look_up(
            knowledge: str, question: str, *, top_k: int, threshold: float, filters: Mapping[str, Any]
        ) -> LookedUp:
            parsed = read_filters(filters)
            hits = await search(knowledge, question, top_k=top_k, filters=parsed, threshold=threshold)
            if not hits and await self.lacks_documents(flow_id):
                raise NoDocuments
            if filters and not hits:
                indexed = await self.find(flow_id, knowledge).knowledge.list_files()
                return LookedUp((), await asyncio.to_thread(explain_unmatched, parsed, indexed.values()))
            return LookedUp(
                [{name: value for name, value in asdict(hit).items() if value not in (None, "", {})} for hit in hits]
            )

        return look_up

    def list_unmatched(self, entry: KnowledgeEntry, indexed: Mapping[str, IndexedFile]) -> list[str]:
        """A sentence for each filter written in a flow file that none of these files matches; call it in a thread."""
        found = []
        for wired, name, component in self._list_retrieves(entry):
            if says := explain_unmatched(read_filters(component.list_written_filters()), indexed.values()):
                found.append(f"{_name_retrieve(wired, name)}: {says}")
        return found

    def list_filtering(self, entry: KnowledgeEntry) -> list[str]:
        """The names of the components that look the knowledge up with filters."""
        return [
            _name_retrieve(wired, name)
            for wired, name, component in self._list_retrieves(entry)
            if component.filters or "filters" in wired.connections.get(name, {})
        ]

    def _list_retrieves(self, entry: KnowledgeEntry) -> Iterator[tuple[WiredFlow, str, Retrieve]]:
        """The Retrieve components of all flows that look the knowledge up, with their flow and id."""
        for wired in self._catalogue.list_flows().values():
            for name, component in wired.components.items():
                if isinstance(component, Retrieve):
                    is_own = component.knowledge in wired.flow.knowledge
                    if entry.address == (f"{wired.id}/{component.knowledge}" if is_own else component.knowledge):
                        yield wired, name, component

    async def index(self, entry: KnowledgeEntry, *, asks_all: bool = False) -> BuildReport:
        """Indexes what changed and keeps `states` current. `asks_all`: also fetches web pages that are not due.

        Raises KnowledgeBusy and RunError.
        """

        def note_progress(done: int, total: int) -> None:
            self.states[entry.address] = IndexState(done, total, is_running=True)

        before = self.states.get(entry.address, IndexState())
        try:
            report = await entry.knowledge.index(await self.find_sources(entry), note_progress, asks_all=asks_all)
        except BaseException as error:
            has_failed = isinstance(error, FlowgroundError) and not isinstance(error, KnowledgeBusy)
            self.states[entry.address] = IndexState(failure=explain(error)) if has_failed else before
            raise
        self.states[entry.address] = IndexState(report.read, report.read, report=report)
        return report

    async def close(self) -> None:
        """Ends the task and closes all knowledge; the next process begins an unfinished index again."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        for knowledge in self._opened.values():
            knowledge.close()
        if self._pages:
            await self._pages.close()

    def _list_sections(self) -> Iterator[tuple[str, KnowledgeSection]]:
        yield from self._shared.items()
        for wired in self._catalogue.list_flows().values():
            for name, section in wired.flow.knowledge.items():
                yield f"{wired.id}/{name}", section

    def _open(self, address: str, section: KnowledgeSection) -> KnowledgeEntry:
        knowledge = self._opened.get(address)
        if knowledge is None:
            knowledge = self._opened.setdefault(address, Knowledge(address, self._folders.open(address)))
        split = section.split
        embeddings, refused = None, ""
        if section.embeddings is not None:
            try:
                embeddings = self._find_embeddings(section.embeddings)
            except ProviderError as error:  # words are searched without embeddings
                refused = f"Only words are found: {error.full_message}"
                self._warn_once(f"embeddings of {address}", [f"The knowledge {address}: {refused}"])
        pages = self._pages.list_sources(section.urls) if self._pages else None
        folder = self._catalogue.folder
        sources = KnowledgeSources(folder, section.files, split.size, split.overlap, embeddings, pages=pages)
        return KnowledgeEntry(address, section, knowledge, sources, refused)

    def look_soon(self) -> None:
        """Checks now whether files changed, where the task was started. From any thread."""
        if self._task:
            self._task.get_loop().call_soon_threadsafe(self._woken.set)

    def start(self) -> None:
        """Starts the task that keeps the knowledge indexed."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        forgotten = -_FORGET_EVERY
        while True:
            looked = 0.0
            if time.monotonic() - forgotten >= _FORGET_EVERY:
                forgotten = time.monotonic()
                await self._forget()
            for entry in self.list_all():
                begun = time.monotonic()
                if begun < self._pauses.get(entry.address, 0.0):
                    continue
                try:
                    is_outdated = await self.is_outdated(entry)
                    looked += time.monotonic() - begun
                    if is_outdated:
                        await self._renew(entry)
                except KnowledgeBusy:
                    continue  # another process does it
                except Exception as error:  # noqa: BLE001 - the task goes on: its next round tries again
                    self._warn_of_failure(entry.address, explain(error))
                    if entry.section.urls:
                        self._pauses[entry.address] = time.monotonic() + _PAUSE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), max(self.pace.look_every, _LOOK_SHARE * looked))
            self._woken.clear()

    async def _forget(self) -> None:
        """Deletes indexes that no flow names any more.

        Deletes nothing while a flow file has mistakes, since it may name some, or while there is no flow, since the
        folder of flows may be mounted after this process started.
        """
        wanted = {entry.address for entry in self.list_all()}
        deletes = bool(self._catalogue.list_flows()) and not self._catalogue.list_problems()
        try:
            gone = await asyncio.to_thread(self._folders.forget, wanted, now=time.time(), deletes=deletes)
        except (RunError, OSError) as error:
            _log.warning("Indexes that no flow names are kept: %s", explain(error))
            return
        for address in gone:
            if knowledge := self._opened.pop(address, None):
                knowledge.close()

    async def _renew(self, entry: KnowledgeEntry) -> None:
        await asyncio.sleep(self.pace.settle)
        report = await self.index(entry)
        if report.vectors:
            self._pauses[entry.address] = time.monotonic() + _PAUSE
        self._warn_of_failure(entry.address, report.vectors)
        unmatched = await asyncio.to_thread(self.list_unmatched, entry, await entry.knowledge.list_files())
        says = [f"The knowledge {entry.address}: {one}" for one in unmatched]
        if notes := [*report.notes.values()]:
            more = " `knowledge list` names the others." if len(notes) > 1 else ""
            sources = count(len(notes), "source" if entry.section.urls else "file")
            says.insert(0, f"{sources} of the knowledge {entry.address}: {notes[0]}{more}")
        self._warn_once(f"notes of {entry.address}", says)

    def _warn_of_failure(self, address: str, reason: str) -> None:
        self._warn_once(address, [f"The knowledge {address} could not be indexed: {reason}"] if reason else [])

    def _warn_once(self, about: str, says: Sequence[str]) -> None:
        """Logs these sentences once, until they are others: a page that fails is fetched again and again."""
        if says != self._said.get(about):
            for one in says:
                _log.warning("%s", one)
        self._said[about] = says


def explain(error: BaseException) -> str:
    """The reason of a failure, for the log and for callers who wait for an index."""
    return error.full_message if isinstance(error, FlowgroundError) else f"{type(error).__name__}: {error}"


def _name_retrieve(wired: WiredFlow, name: str) -> str:
    return f"`{name}` of the flow {wired.id}"
