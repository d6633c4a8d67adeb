"""Knowledge: files and web pages, cut into passages and indexed, so that the passages about a question are found.

`Knowledge` is one of them: its index, the search, and the building of the next index. An index is a file that never
changes, in a folder: another process (`worker`) builds the next file, which serves once the small file `current` names
it; searches that run meanwhile use the file before. Only one process builds an index at a time (`KnowledgeBusy`).
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from flowground.core.errors import ProviderError, RunError
from flowground.core.processes import ChildProcess
from flowground.knowledge.building import BuildJob, BuildReport, describe_cut
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import BuildPlace, FoundPassage, IndexedFile
from flowground.knowledge.index_file import IndexReader
from flowground.knowledge.index_folder import IndexFolder
from flowground.knowledge.searching import MOST_HITS, Filters, Hit, search_both, search_words
from flowground.knowledge.sources import FetchedPages, PageSources, SourceFile, fetch_pages, find_sources, note_failures

_T = TypeVar("_T")
_PROGRAM = (sys.executable, "-E", "-P", str(Path(__file__).with_name("worker.py")))
_QUESTION_CHARS = 8_000
_LINE_BYTES = 16_000_000
"""The longest line of the worker's report, which names every file that could not be read."""


class KnowledgeBusy(RunError):
    """Another process, or another task of this one, is building the index."""

    code = "knowledge_busy"


class KnowledgeMissing(RunError):
    """The knowledge has no index yet."""

    code = "knowledge_missing"


@dataclass(frozen=True, slots=True)
class KnowledgeSources:
    """What to index: files that match the patterns `files` below `root`, files that lie elsewhere, and web pages.
    Passages have up to `size` characters and overlap by `overlap`."""

    root: Path
    files: tuple[str, ...]
    size: int = 1000
    overlap: int = 200
    embeddings: Embeddings | None = None
    """The model that also finds passages by meaning; None: words only."""
    added: tuple[SourceFile, ...] = ()
    pages: PageSources | None = None
    """Pages of the web; None: no pages."""


class Knowledge:
    """One knowledge: its index lives in `home`, and messages call it `name`. The coroutines are safe on any event loop,
    several at once."""

    def __init__(self, name: str, home: IndexFolder) -> None:
        self.name = name
        self.lacked = ""
        """Why the last question was searched by words only, although its embedding model was called."""
        self._home = home

    async def search(
        self,
        question: str,
        *,
        top_k: int = 5,
        filters: Filters | None = None,
        threshold: float = 0.0,
        embeddings: Embeddings | None = None,
    ) -> list[Hit]:
        """The best passages, none below the threshold; also by vectors where the index has those of the model.

        Where the model does not answer, words alone count. Raises KnowledgeMissing and RunError.
        """
        asked = None
        if embeddings is not None and await asyncio.to_thread(self._has_vectors, embeddings.model):
            try:
                asked, self.lacked = (embeddings.model, (await embeddings.embed([question[:_QUESTION_CHARS]]))[0]), ""
            except ProviderError as error:
                self.lacked = f"Only words are found: {error.full_message}"
        top_k, filters = min(top_k, MOST_HITS), filters or Filters()
        found = await asyncio.to_thread(self._search, question, asked, top_k, filters)
        return [_make_hit(one, score) for one, score in found if score >= threshold]

    async def list_files(self) -> Mapping[str, IndexedFile]:
        """The indexed files by source, including those that could not be read. Raises KnowledgeMissing."""
        return await asyncio.to_thread(self._list_files)

    async def is_empty(self) -> bool:
        """Whether the serving index has no passages. Raises KnowledgeMissing."""
        return await asyncio.to_thread(self._read, lambda reader: reader.count == 0)

    async def has_any(self, sources: KnowledgeSources) -> bool:
        """Whether there is anything to index, judged by patterns and addresses."""
        found = await asyncio.to_thread(find_sources, sources.root, sources.files, sources.added)
        return bool(found.files or (sources.pages and sources.pages.urls))

    async def is_outdated(self, sources: KnowledgeSources) -> bool:
        """Whether files came, changed or went since the index was built, pages are due, or the index was built with
        other settings."""
        return await asyncio.to_thread(self._is_outdated, sources, self._is_behind)

    async def is_without_vectors(self, sources: KnowledgeSources) -> bool:
        """Whether the serving index finds words only, although the knowledge has a model of vectors."""
        return await asyncio.to_thread(self._is_outdated, sources, self._is_without_vectors)

    async def index(
        self,
        sources: KnowledgeSources,
        notify: Callable[[int, int], None] = lambda _done, _total: None,
        *,
        asks_all: bool = False,
    ) -> BuildReport:
        """Builds the next index where files changed; searches use the old one until then.

        `notify` is called with the numbers of changed files that are read, and of all changed files. `asks_all`: pages
        that are not due are fetched too. Raises KnowledgeBusy, and RunError where the build fails.
        """
        try:
            release = await asyncio.to_thread(self._home.take)
            try:
                with TemporaryDirectory(prefix="flowground-pages-") as into:
                    return await self._update(sources, notify, Path(into), asks_all=asks_all)
            finally:
                release()
        except BlockingIOError:
            raise KnowledgeBusy(f"The knowledge {self.name!r} is being indexed already.", retry_after=5) from None
        except OSError as error:
            raise RunError(f"The knowledge {self.name!r} cannot be stored: {error.strerror or error}.") from None

    async def _update(
        self, sources: KnowledgeSources, notify: Callable[[int, int], None], into: Path, *, asks_all: bool
    ) -> BuildReport:
        """Fetches pages, then builds an index unless neither files nor pages changed."""
        now, states = time.time(), await asyncio.to_thread(self._home.read_pages)
        served, fits = await asyncio.to_thread(self._list_served, sources)
        fetched = FetchedPages({})
        if pages := sources.pages:
            indexed = served if fits else {}
            due = pages.urls if asks_all else pages.list_due(states, indexed, now=now)
            fetched = await fetch_pages(pages, due, states, into, indexed=indexed, now=now)
        if not fits:
            for url, state in fetched.states.items():
                if state.failure and url in served:
                    raise RunError(f"{state.failure} Until it can, or is taken out, the index before is used.")
        if bool(fetched.files) or await asyncio.to_thread(self._is_outdated, sources, self._has_other_files):
            report = await self._make(sources, notify, fetched)
        else:
            report = BuildReport(len(served), sum(file.passages for file in served.values()))
        if states or fetched.states:
            await asyncio.to_thread(self._home.write_pages, fetched.states)
        files = await self.list_files()
        notes = {source: file.note for source, file in files.items() if file.note}
        return replace(report, files=len(files), notes=notes)

    async def _make(
        self, sources: KnowledgeSources, notify: Callable[[int, int], None], fetched: FetchedPages
    ) -> BuildReport:
        place = await asyncio.to_thread(self._plan, sources)
        kept = tuple(fetched.states.keys() - {file.source for file in fetched.files})
        what = (str(sources.root), sources.files, sources.size, sources.overlap, place)
        job = BuildJob(*what, sources.added, tuple(fetched.files), kept)
        try:
            report = await _work(job, notify)
            if sources.embeddings is not None:
                try:
                    await self._home.embed(place, sources.embeddings)
                except ProviderError as error:
                    report = replace(report, vectors=f"Only words are found: {error.full_message}")
            await asyncio.to_thread(self._home.publish, place)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._home.remove, place))
            raise
        return report

    def close(self) -> None:
        """Closes the serving index."""
        self._home.close()

    def _read(self, job: Callable[[IndexReader], _T]) -> _T:
        """Runs the job on the serving index; again on the next index where that replaces it meanwhile."""
        while True:
            reader = self._open()
            try:
                return job(reader)
            except RunError:
                if self._open() is reader:
                    raise

    def _search(
        self, question: str, asked: tuple[str, Sequence[float]] | None, top_k: int, filters: Filters
    ) -> list[tuple[FoundPassage, float]]:
        def search(reader: IndexReader) -> list[tuple[FoundPassage, float]]:
            vectors = None if asked is None else self._home.open_vectors(asked[0])
            if asked is not None and vectors is not None and not reader.is_retired:  # else they are of the next index
                with suppress(ValueError):  # the model may give vectors of another length now
                    return search_both(reader, vectors, question, asked[1], top_k=top_k, filters=filters)
            return search_words(reader, question, top_k=top_k, filters=filters)

        return self._read(search)

    def _has_vectors(self, model: str) -> bool:
        self._open()  # without it, an index that is published a moment later would be searched by words only
        return self._home.open_vectors(model) is not None

    def _open(self) -> IndexReader:
        """The reader of the serving index."""
        reader = self._home.open()
        if reader is None:
            raise KnowledgeMissing(f"The knowledge {self.name!r} is not indexed yet.", retry_after=5)
        return reader

    def _list_files(self) -> Mapping[str, IndexedFile]:
        return note_failures(self._read(lambda reader: reader.list_files()), self._home.read_pages())

    def _list_served(self, sources: KnowledgeSources) -> tuple[Mapping[str, IndexedFile], bool]:
        """The serving index's files, and whether the next index begins as its copy."""
        try:
            return self._read(lambda reader: (reader.list_files(), _fits(reader, sources)))
        except KnowledgeMissing:
            return {}, False

    def _is_outdated(self, sources: KnowledgeSources, look: Callable[[IndexReader, KnowledgeSources], bool]) -> bool:
        try:
            return self._read(lambda reader: look(reader, sources))
        except KnowledgeMissing:
            return True

    def _is_behind(self, reader: IndexReader, sources: KnowledgeSources) -> bool:
        pages, states = sources.pages, self._home.read_pages()
        if self._has_other_files(reader, sources) or states.keys() - set(pages.urls if pages else ()):
            return True
        return pages is not None and bool(pages.list_due(states, reader.list_files(), now=time.time()))

    def _has_other_files(self, reader: IndexReader, sources: KnowledgeSources) -> bool:
        """Whether files came, changed or went; pages that are still named do not count."""
        if not _fits(reader, sources):
            return True
        if self._is_without_vectors(reader, sources):
            return True
        known, found = reader.list_files(), find_sources(sources.root, sources.files, sources.added)
        pages = set(sources.pages.urls if sources.pages else ())
        return (
            known.keys() - pages != found.files.keys() | found.left_out.keys()
            or any(known[source].signature for source in found.left_out)
            or any(not known[source].fits(file.signature) for source, file in found.files.items())
        )

    def _is_without_vectors(self, reader: IndexReader, sources: KnowledgeSources) -> bool:
        model = sources.embeddings.model if sources.embeddings else None
        return model is not None and reader.count > 0 and self._home.open_vectors(model) is None

    def _plan(self, sources: KnowledgeSources) -> BuildPlace:
        reader = self._home.open()
        return self._home.plan(is_copy=reader is not None and _fits(reader, sources))


def _make_hit(found: FoundPassage, score: float) -> Hit:
    one, title = found.passage, found.passage.trail or found.keys.get("title", "")
    return Hit(one.text, found.source, one.page, one.first, one.last, round(score, 4), title, found.keys)


def _fits(reader: IndexReader, sources: KnowledgeSources) -> bool:
    """Whether the index was built with the settings that a build would use now."""
    return reader.about == describe_cut(sources.size, sources.overlap)


async def _work(job: BuildJob, notify: Callable[[int, int], None]) -> BuildReport:
    """Runs the job in a worker process. Raises RunError; cancelling the coroutine ends the worker."""
    worker = await ChildProcess.start(*_PROGRAM, longest_line=_LINE_BYTES)
    try:
        await worker.send(asdict(job))
        while True:
            message = await worker.receive()
            if "report" in message:
                return BuildReport(**message["report"])
            if "failed" in message:
                raise RunError(f"The files could not be indexed: {message['failed']}.")
            notify(message["done"], message["total"])
    except EOFError:
        raise RunError("The files could not be indexed: the process that did it ended.") from None
    except ValueError as error:
        raise RunError(f"The files could not be indexed: {error}.") from None
    finally:
        await worker.kill()
