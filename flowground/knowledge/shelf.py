"""One knowledge: the index that serves, the search in it, and the making of the next one."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from flowground.errors import ProviderError, RunError
from flowground.knowledge.building import BuildJob, BuildReport
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import BuildPlace, FoundPassage, IndexedFile, IndexReader
from flowground.knowledge.index_home import IndexHome
from flowground.knowledge.searching import MOST_HITS, Filters, Hit, search_both, search_words
from flowground.knowledge.sources import GivenFile, find_sources

_T = TypeVar("_T")
_PROGRAM = (sys.executable, "-E", "-P", str(Path(__file__).with_name("worker.py")))
_QUESTION_CHARS = 8_000
_LINE_BYTES = 16_000_000
"""Of the worker's report, which names every file that could not be read."""


class KnowledgeBusy(RunError):
    """Another process, or another task of this one, is making the index."""

    code = "knowledge_busy"


class KnowledgeMissing(RunError):
    """There is no index yet."""

    code = "knowledge_missing"


@dataclass(frozen=True, slots=True)
class KnowledgeSources:
    """What is indexed: `files` are patterns below `root`, `given` lie elsewhere; passages of `size` characters that
    overlap by `overlap`."""

    root: Path
    files: tuple[str, ...]
    size: int = 1000
    overlap: int = 200
    embeddings: Embeddings | None = None
    """Finds passages by their meaning too."""
    given: tuple[GivenFile, ...] = ()


class Knowledge:
    """Its index lives in `home`; `name` is what messages call it. Its coroutines may be called on any loop, several at
    once."""

    def __init__(self, name: str, home: IndexHome) -> None:
        self.name = name
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
        """The passages that fit best, none below the threshold; by vectors too where the index has those of the model.

        Where the model does not answer, words alone count. Raises KnowledgeMissing, and RunError.
        """
        asked = None
        if embeddings is not None and await asyncio.to_thread(self._home.open_vectors, embeddings.model) is not None:
            with suppress(ProviderError):
                asked = (embeddings.model, (await embeddings.embed([question[:_QUESTION_CHARS]]))[0])
        top_k, filters = min(top_k, MOST_HITS), filters or Filters()
        found = await asyncio.to_thread(self._search, question, asked, top_k, filters)
        return [_make_hit(one, score) for one, score in found if score >= threshold]

    async def list_files(self) -> Mapping[str, IndexedFile]:
        """What is indexed, by source; also what could not be read. Raises KnowledgeMissing."""
        return await asyncio.to_thread(self._read, lambda reader: reader.list_files())

    async def is_empty(self) -> bool:
        """Whether the index that serves has no passages. Raises KnowledgeMissing."""
        return await asyncio.to_thread(self._read, lambda reader: reader.count == 0)

    async def is_outdated(self, sources: KnowledgeSources) -> bool:
        """Whether files came, changed or went since the index was made, or it was made in another way."""
        return await asyncio.to_thread(self._is_outdated, sources)

    async def index(
        self, sources: KnowledgeSources, tell: Callable[[int, int], None] = lambda _done, _total: None
    ) -> BuildReport:
        """Makes the index anew where files changed; readers keep the one before until it is done.

        `tell` is told how many of how many changed files are read. Raises KnowledgeBusy, and RunError where it fails.
        """
        try:
            release = await asyncio.to_thread(self._home.take)
            try:
                return await self._make(sources, tell)
            finally:
                release()
        except BlockingIOError:
            raise KnowledgeBusy(f"The knowledge {self.name!r} is being indexed already.", retry_after=5) from None
        except OSError as error:
            raise RunError(f"The knowledge {self.name!r} cannot be stored: {error.strerror or error}.") from None

    async def _make(self, sources: KnowledgeSources, tell: Callable[[int, int], None]) -> BuildReport:
        job = await asyncio.to_thread(self._plan, sources)
        try:
            report = await _work(job, tell)
            if sources.embeddings is not None:
                try:
                    await self._home.embed(job.place, sources.embeddings)
                except ProviderError as error:
                    report = replace(report, vectors=f"Only words are found: {error.full_message}")
            await asyncio.to_thread(self._home.publish, job.place)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._home.remove, job.place))
            raise
        return report

    def close(self) -> None:
        """Gives back what it holds."""
        self._home.close()

    def _read(self, job: Callable[[IndexReader], _T]) -> _T:
        """What a job reads of the index that serves; all of it of the next one where that takes its place meanwhile."""
        while True:
            reader = self._open()
            try:
                return job(reader)
            except RunError:
                if not reader.is_retired:
                    raise

    def _search(
        self, question: str, asked: tuple[str, Sequence[float]] | None, top_k: int, filters: Filters
    ) -> list[tuple[FoundPassage, float]]:
        def search(reader: IndexReader) -> list[tuple[FoundPassage, float]]:
            vectors = None if asked is None else self._home.open_vectors(asked[0])
            if asked is not None and vectors is not None and not reader.is_retired:  # else they are of the next one
                with suppress(ValueError):  # the model gives other dimensions now
                    return search_both(reader, vectors, question, asked[1], top_k=top_k, filters=filters)
            return search_words(reader, question, top_k=top_k, filters=filters)

        return self._read(search)

    def _open(self) -> IndexReader:
        """The index that serves now."""
        reader = self._home.open()
        if reader is None:
            raise KnowledgeMissing(f"The knowledge {self.name!r} is not indexed yet.", retry_after=5)
        return reader

    def _is_outdated(self, sources: KnowledgeSources) -> bool:
        try:
            return self._read(lambda reader: self._is_behind(reader, sources))
        except KnowledgeMissing:
            return True

    def _is_behind(self, reader: IndexReader, sources: KnowledgeSources) -> bool:
        if not _fits(reader, sources):
            return True
        embeddings = sources.embeddings
        if embeddings is not None and reader.count and self._home.open_vectors(embeddings.model) is None:
            return True
        known, found = reader.list_files(), find_sources(sources.root, sources.files, sources.given)
        return known.keys() != found.files.keys() | found.left_out.keys() or any(
            known[source].signature != file.signature or not file.signature
            for source, file in self._home.sign(found.files).items()
        )

    def _plan(self, sources: KnowledgeSources) -> BuildJob:
        reader = self._home.open()
        is_copy = reader is not None and _fits(reader, sources)
        return _make_job(sources, self._home.plan(is_copy=is_copy))


def _make_hit(found: FoundPassage, score: float) -> Hit:
    one, title = found.passage, found.passage.trail or found.keys.get("title", "")
    return Hit(one.text, found.source, one.page, one.first, one.last, round(score, 4), title, found.keys)


def _fits(reader: IndexReader, sources: KnowledgeSources) -> bool:
    """Whether the index was made as it would be made now."""
    return reader.about == _make_job(sources, BuildPlace("")).describe()


def _make_job(sources: KnowledgeSources, place: BuildPlace) -> BuildJob:
    return BuildJob(str(sources.root), sources.files, sources.size, sources.overlap, place, sources.given)


async def _work(job: BuildJob, tell: Callable[[int, int], None]) -> BuildReport:
    """Has the worker do a job. Raises RunError; cancelling it ends the worker."""
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LINE_BYTES,
    )
    assert process.stdin and process.stdout  # noqa: S101, PT018 - both were asked for as pipes
    try:
        process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        while line := await process.stdout.readline():
            said: dict[str, Any] = json.loads(line)
            if "report" in said:
                return BuildReport(**said["report"])
            if "failed" in said:
                raise RunError(f"The files could not be indexed: {said['failed']}.")
            tell(said["done"], said["total"])
        raise RunError("The files could not be indexed: the process that did it ended.")
    except (ConnectionError, ValueError) as error:
        raise RunError(f"The files could not be indexed: {error}.") from None
    finally:
        process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        while await process.stdout.read(1 << 16):  # unread, it would keep `wait` waiting
            pass
        await process.wait()
