"""All knowledge of this installation: what flow files and config.yaml name, found by name and kept up to date.

What a run looks up is never indexed by the run: a task of the process looks every few seconds whether files changed,
has what changed indexed, one knowledge after the other, and deletes indexes that no flow names any more. Several
processes may do the same; one of them indexes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from flowground.components.base import LookedUp, LookUp
from flowground.components.knowledge import Retrieve
from flowground.core.errors import FlowgroundError, NoDocuments, ProviderError, ProviderRefused, RunError
from flowground.core.words import count, suggest
from flowground.flows.folder import Catalogue
from flowground.flows.wiring import WiredFlow
from flowground.knowledge import IndexHomes, Knowledge, KnowledgeBusy, KnowledgeMissing, KnowledgeSources
from flowground.knowledge.building import BuildReport, IndexState
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.searching import Filters, Hit, explain_unmatched, read_filters
from flowground.knowledge.section import KnowledgeSection
from flowground.knowledge.sources import AddedFile
from flowground.tools.outgoing import WebPages

_log = logging.getLogger(__name__)

_LOOK_SHARE = 20
"""Looking takes a twentieth of the time at most, however many files there are."""
_FORGET_EVERY = 600.0
"""Seconds between two looks for indexes that no flow names any more."""
_PAUSE = 60.0
"""Seconds before a model of embeddings or a page that failed is asked again."""
_WAIT_STEP = 0.25
ListUploads = Callable[[str], Awaitable[Sequence[AddedFile]]]
"""The files that authors added to the knowledge at an address."""


def explain(error: BaseException) -> str:
    """Why something failed, for the log and for who waits for an index."""
    return error.full_message if isinstance(error, FlowgroundError) else f"{type(error).__name__}: {error}"


class LibraryWatcher:
    """Of one library, whose pace it has; `start` and `close` belong to one loop."""

    def __init__(self, library: "Library", catalogue: Catalogue, homes: IndexHomes) -> None:
        self._library = library
        self._catalogue = catalogue
        self._homes = homes
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._failures: dict[str, str] = {}
        self._noted: dict[str, tuple[Mapping[str, str], Sequence[str]]] = {}
        self._pauses: dict[str, float] = {}

    def look_soon(self) -> None:
        """Looks now, where it was started. In any thread."""
        if self._task:
            self._task.get_loop().call_soon_threadsafe(self._woken.set)

    def start(self) -> None:
        """Begins to watch."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Ends what goes on."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        forgotten = -_FORGET_EVERY
        while True:
            looked = 0.0
            if time.monotonic() - forgotten >= _FORGET_EVERY:
                forgotten = time.monotonic()
                await self._forget()
            for shelved in self._library.list_all():
                begun = time.monotonic()
                if begun < self._pauses.get(shelved.address, 0.0):
                    continue
                try:
                    is_outdated = await self._library.is_outdated(shelved)
                    looked += time.monotonic() - begun
                    if is_outdated:
                        await self._renew(shelved)
                except KnowledgeBusy:
                    continue  # another process does it
                except Exception as error:  # noqa: BLE001 - a task's door: the next look tries again
                    self._log_failure(shelved.address, error)
                    if shelved.section.urls:
                        self._pauses[shelved.address] = time.monotonic() + _PAUSE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), max(self._library.pace.look_every, _LOOK_SHARE * looked))
            self._woken.clear()

    async def _forget(self) -> None:
        """What no flow names any more; nothing while a flow's file has mistakes, which may name some, and nothing where
        there is no flow: their folder may come later than this process."""
        wanted = {shelved.address for shelved in self._library.list_all()}
        deletes = bool(self._catalogue.list_flows()) and not self._catalogue.list_problems()
        try:
            gone = await asyncio.to_thread(self._homes.forget, wanted, now=time.time(), deletes=deletes)
        except (RunError, OSError) as error:
            _log.warning("Indexes that no flow names are kept: %s", explain(error))
            return
        self._library.let_go(gone)

    async def _renew(self, shelved: "KnowledgeEntry") -> None:
        await asyncio.sleep(self._library.pace.settle)
        report = await self._library.index(shelved)
        if report.vectors:
            self._log_failure(shelved.address, RunError(report.vectors))
            self._pauses[shelved.address] = time.monotonic() + _PAUSE
        else:
            self._failures.pop(shelved.address, None)
        unmatched = await self._library.list_unmatched(shelved, await shelved.knowledge.list_files())
        self._log_notes(shelved, report.notes, unmatched)

    def _log_notes(self, shelved: "KnowledgeEntry", notes: Mapping[str, str], unmatched: Sequence[str]) -> None:
        """Once, until others come: a page that fails is asked again and again."""
        told = self._noted.get(shelved.address)
        self._noted[shelved.address] = (notes, unmatched)
        if told == (notes, unmatched):
            return
        if notes:
            first, *others = notes.values()
            said = f"{first} `knowledge list` names the others." if others else first
            kind = "source" if shelved.section.urls else "file"
            _log.warning("%s of the knowledge %s: %s", count(len(notes), kind), shelved.address, said)
        for one in unmatched:
            _log.warning("The knowledge %s: %s", shelved.address, one)

    def _log_failure(self, address: str, error: Exception) -> None:
        """Once, until it is indexed or fails in another way."""
        said = explain(error)
        if self._failures.get(address) != said:
            self._failures[address] = said
            _log.warning("The knowledge %s could not be indexed: %s", address, said)


@dataclass(frozen=True, slots=True)
class KnowledgeEntry:
    """One knowledge. `address` is its name, of a flow's own with the flow's id before it: `travel/handbook`. `sources`
    are without what is given: `Library.find_sources` adds it. `refused`: why nobody can be asked for vectors."""

    address: str
    section: KnowledgeSection
    knowledge: Knowledge
    sources: KnowledgeSources
    refused: str = ""

    @property
    def name(self) -> str:
        """What a flow calls it."""
        return self.address.rpartition("/")[2]

    def keep_words(self) -> "KnowledgeEntry":
        """The same without vectors, so that no server is asked for any."""
        return replace(self, sources=replace(self.sources, embeddings=None))


@dataclass(frozen=True, slots=True)
class LibraryTimes:
    """Seconds: between two looks, until files that are being copied are whole, and how long a question waits for an
    index that is not there yet."""

    look_every: float = 5.0
    settle: float = 2.5
    wait: float = 20.0


_USUAL = LibraryTimes()


async def list_no_uploads(address: str) -> Sequence[AddedFile]:  # noqa: ARG001 - the contract's
    """Where there is no database. A knowledge that takes uploads must not be indexed then."""
    return ()


def _name_retrieve(wired: WiredFlow, name: str) -> str:
    return f"`{name}` of the flow {wired.id}"


def _refuse_embeddings(model: str) -> Embeddings:
    raise ProviderRefused(f"There is nobody here who knows {model}.")


class Library:
    """`start` belongs to the runtime's loop; all else may be called without it.

    `pages` fetches pages of the web; without it an index has none.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        shared: Mapping[str, KnowledgeSection],
        homes: IndexHomes,
        *,
        find_embeddings: Callable[[str], Embeddings] = _refuse_embeddings,
        list_uploads: ListUploads = list_no_uploads,
        pages: WebPages | None = None,
        pace: LibraryTimes = _USUAL,
    ) -> None:
        self._catalogue = catalogue
        self._shared = shared
        self._homes = homes
        self._find_embeddings = find_embeddings
        self._list_uploads = list_uploads
        self._pages, self.pace = pages, pace
        self._opened: dict[str, Knowledge] = {}
        self._told: set[str] = set()
        self._watching = LibraryWatcher(self, catalogue, homes)
        self.states: dict[str, IndexState] = {}
        """By address, what this process indexed or indexes."""

    def list_all(self) -> list[KnowledgeEntry]:
        """What config.yaml names, then what each flow does."""
        return [self._open(address, section) for address, section in self._list_sections()]

    def find_unnamed(self, addresses: Collection[str]) -> set[str]:
        """Those that neither config.yaml nor a flow names. While a flow's file has mistakes, none of flows: it may name
        them."""
        unnamed = set(addresses) - {address for address, _ in self._list_sections()}
        return {address for address in unnamed if "/" not in address} if self._catalogue.list_problems() else unnamed

    def list_of(self, flow_id: str) -> list[KnowledgeEntry]:
        """A flow's own; of no flow, `""`, what config.yaml names."""
        if not flow_id:
            return [self._open(address, section) for address, section in self._shared.items()]
        wired = self._catalogue.find(flow_id)
        named = wired.flow.knowledge.items() if wired else ()
        return [self._open(f"{flow_id}/{name}", section) for name, section in named]

    def has_any(self, flow_id: str) -> bool:
        """Whether the flow of this id, or config.yaml, names some."""
        wired = self._catalogue.find(flow_id)
        return bool(self._shared or (wired and wired.flow.knowledge))

    def find(self, flow_id: str, name: str) -> KnowledgeEntry:
        """What a flow calls by a name: its own, else the shared one. Raises RunError, and tells of no other flow."""
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
        """The passages that fit best, by their words alone where that is asked for. Where there is no index yet, or an
        empty one of files that came since, it waits for the next one, for a while.

        Raises KnowledgeMissing, and RunError.
        """
        shelved = self.find(flow_id, name).keep_words() if words_only else self.find(flow_id, name)
        how: dict[str, Any] = {"top_k": top_k, "filters": filters, "threshold": threshold}
        end, has_asked = time.monotonic() + self.pace.wait, False
        while True:
            try:
                found = await shelved.knowledge.search(question, embeddings=shelved.sources.embeddings, **how)
                if found or not await self._is_first_coming(shelved):
                    return found
            except KnowledgeMissing:
                pass
            if time.monotonic() >= end:
                raise self._explain_missing(shelved.address)
            if not has_asked:
                self.look_soon()
            has_asked = True
            await asyncio.sleep(_WAIT_STEP)

    async def _is_first_coming(self, shelved: KnowledgeEntry) -> bool:
        """Whether the index that serves was made before there were files, and they came since."""
        return await shelved.knowledge.is_empty() and await self.is_outdated(shelved)

    def _explain_missing(self, address: str) -> KnowledgeMissing:
        """Why there is no index, as far as this process knows."""
        state = self.states.get(address, IndexState())
        if state.failure:
            return KnowledgeMissing(f"The knowledge {address!r} could not be indexed: {state.failure}", retry_after=5)
        done = f": {state.done} of {count(state.total, 'file')} are read" if state.is_running else " yet"
        return KnowledgeMissing(
            f"The knowledge {address!r} is not indexed{done}.", hint="Ask again in a moment.", retry_after=5
        )

    def list_looked_into(self, flow_id: str) -> list[KnowledgeEntry]:
        """What the flow answers from, of what there is; what its agents may call is not meant."""
        wired = self._catalogue.find(flow_id)
        found: dict[str, KnowledgeEntry] = {}
        tools = {tool.component for tools in wired.tools.values() for tool in tools} if wired else ()
        for name, component in wired.components.items() if wired else ():
            if isinstance(component, Retrieve) and name not in tools:
                with suppress(RunError):
                    found[component.knowledge] = self.find(flow_id, component.knowledge)
        return list(found.values())

    async def lacks_documents(self, flow_id: str) -> bool:
        """Whether the flow answers from documents, and there are none, nor any to come, in all that it looks into.
        Raises StoreUnavailable."""
        looked_into = self.list_looked_into(flow_id)
        for shelved in looked_into:
            with suppress(KnowledgeMissing):
                if not await shelved.knowledge.is_empty() or await self.is_outdated(shelved):
                    return False
                continue
            if await shelved.knowledge.has_any(await self.find_sources(shelved)):
                return False
        return bool(looked_into)

    async def find_sources(self, shelved: KnowledgeEntry) -> KnowledgeSources:
        """What is indexed, with what authors added. Raises StoreUnavailable."""
        given = await self._list_uploads(shelved.address) if shelved.section.uploads else ()
        return replace(shelved.sources, added=tuple(given))

    async def is_outdated(self, shelved: KnowledgeEntry) -> bool:
        """Whether files came, changed or went since the index was made. Raises StoreUnavailable."""
        return await shelved.knowledge.is_outdated(await self.find_sources(shelved))

    def make_look_up(self, flow_id: str, *, words_only: bool = False) -> LookUp:
        """What the components of a flow find passages by."""
        search = partial(self.search, flow_id, words_only=words_only)

        async def look_up(
            knowledge: str, question: str, *, top_k: int, threshold: float, filters: Mapping[str, Any]
        ) -> LookedUp:
            wanted = read_filters(filters)
            hits = await search(knowledge, question, top_k=top_k, filters=wanted, threshold=threshold)
            if not hits and await self.lacks_documents(flow_id):
                raise NoDocuments
            if filters and not hits:
                indexed = await self.find(flow_id, knowledge).knowledge.list_files()
                return LookedUp((), await asyncio.to_thread(explain_unmatched, wanted, indexed.values()))
            return LookedUp(
                [{name: value for name, value in asdict(hit).items() if value not in (None, "", {})} for hit in hits]
            )

        return look_up

    async def list_unmatched(self, shelved: KnowledgeEntry, indexed: Mapping[str, IndexedFile]) -> list[str]:
        """What no file of these fits in the filters that flow files write out, a sentence each."""
        return await asyncio.to_thread(self._list_unmatched, shelved, indexed)

    def _list_unmatched(self, shelved: KnowledgeEntry, indexed: Mapping[str, IndexedFile]) -> list[str]:
        found = []
        for wired, name, component in self._list_retrieves(shelved):
            if says := explain_unmatched(read_filters(component.list_written_filters()), indexed.values()):
                found.append(f"{_name_retrieve(wired, name)}: {says}")
        return found

    def list_filtering(self, shelved: KnowledgeEntry) -> list[str]:
        """What people call those that look it up with filters, written out or by a reference."""
        return [
            _name_retrieve(wired, name)
            for wired, name, component in self._list_retrieves(shelved)
            if component.filters or "filters" in wired.connections.get(name, {})
        ]

    def _list_retrieves(self, shelved: KnowledgeEntry) -> Iterator[tuple[WiredFlow, str, Retrieve]]:
        """Those of all flows that look it up."""
        for wired in self._catalogue.list_flows().values():
            for name, component in wired.components.items():
                if isinstance(component, Retrieve):
                    is_own = component.knowledge in wired.flow.knowledge
                    if shelved.address == (f"{wired.id}/{component.knowledge}" if is_own else component.knowledge):
                        yield wired, name, component

    async def index(self, shelved: KnowledgeEntry, *, asks_all: bool = False) -> BuildReport:
        """Indexes what changed; `states` says how far it is. `asks_all`: pages that are not due too.

        Raises KnowledgeBusy and RunError.
        """

        def tell(done: int, total: int) -> None:
            self.states[shelved.address] = IndexState(done, total, is_running=True)

        before = self.states.get(shelved.address, IndexState())
        try:
            report = await shelved.knowledge.index(await self.find_sources(shelved), tell, asks_all=asks_all)
        except BaseException as error:
            has_failed = isinstance(error, FlowgroundError) and not isinstance(error, KnowledgeBusy)
            self.states[shelved.address] = IndexState(failure=explain(error)) if has_failed else before
            raise
        self.states[shelved.address] = IndexState(report.read, report.read, report=report)
        return report

    def let_go(self, addresses: Iterable[str]) -> None:
        """Closes what is open of knowledge whose index is gone."""
        for address in addresses:
            if knowledge := self._opened.pop(address, None):
                knowledge.close()

    def look_soon(self) -> None:
        """Looks now whether files changed, where this process watches. In any thread."""
        self._watching.look_soon()

    def start(self) -> None:
        """Begins to watch."""
        self._watching.start()

    async def close(self) -> None:
        """Ends what goes on; an index that is not finished is begun anew by the next process."""
        await self._watching.close()
        for knowledge in self._opened.values():
            knowledge.close()
        self._homes.close()
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
            knowledge = self._opened.setdefault(address, Knowledge(address, self._homes.open(address)))
        split = section.split
        embeddings, refused = None, ""
        if section.embeddings is not None:
            try:
                embeddings = self._find_embeddings(section.embeddings)
            except ProviderError as error:  # words are found without it
                refused = f"Only words are found: {error.full_message}"
                if address not in self._told:
                    _log.warning("The knowledge %s: %s", address, refused)
                self._told.add(address)
        pages = self._pages.list_sources(section.urls) if self._pages else None
        folder = self._catalogue.folder
        sources = KnowledgeSources(folder, section.files, split.size, split.overlap, embeddings, pages=pages)
        return KnowledgeEntry(address, section, knowledge, sources, refused)
