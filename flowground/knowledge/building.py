"""Builds a new index from the unchanged parts of the old one and from new and changed files."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowground.knowledge.extraction import Extracted, FileUnreadable
from flowground.knowledge.extraction.extractors import Extractor
from flowground.knowledge.index import FORMAT, PDF_READER, BuildPlace, IndexedFile, IndexedPassage
from flowground.knowledge.index_file import IndexWriter
from flowground.knowledge.sources import SourceFile, SourceList, find_sources
from flowground.knowledge.split import split_text

_FRONT = re.compile(r"---\n(.{0,4000}?)\n---(?:\n|$)", re.DOTALL)
"""The front of a Markdown file: lines between two lines of dashes."""
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,49}):[ \t]+(.{1,200}?)[ \t]*$")
"""A line of the front with a key and its value, by which filters find the file."""
_MOST_KEYS = 20
MOST_PASSAGES = 500_000
"""The most passages of one knowledge: some 500 MB of text."""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One build: what to read, how to cut it, and where to build the index."""

    root: str
    files: tuple[str, ...]
    size: int
    overlap: int
    place: BuildPlace
    added: tuple[SourceFile, ...] = ()
    pages: tuple[SourceFile, ...] = ()
    """Pages of the web that are new or changed."""
    kept: tuple[str, ...] = ()
    """Sources that stay as they are in the old index."""


def describe_cut(size: int, overlap: int) -> dict[str, str]:
    """The settings that an index must have been built with to be reused."""
    return {"format": str(FORMAT), "size": str(size), "overlap": str(overlap)}


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of a build: `read` is the number of files that were read, `notes` has problems by file, `vectors` the
    reason why there are none."""

    files: int = 0
    passages: int = 0
    read: int = 0
    removed: int = 0
    seconds: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)
    vectors: str = ""


@dataclass(frozen=True, slots=True)
class IndexState:
    """The progress of a build: `done` of `total` changed files; after the build, its report or failure."""

    done: int = 0
    total: int = 0
    is_running: bool = False
    report: BuildReport | None = None
    failure: str | None = None


async def build(job: BuildJob, notify: Callable[[int, int], None]) -> BuildReport:
    """Writes the new index; `notify` is called with the numbers of files that are done, and of all files to do."""
    begun = time.monotonic()
    found = find_sources(Path(job.root), job.files, job.added)
    found.files |= {page.source: page for page in job.pages}
    old = Path(job.place.old) if job.place.old else None
    writer = IndexWriter(Path(job.place.new), about=describe_cut(job.size, job.overlap), old=old)
    try:
        known = writer.list_files()
        gone = known.keys() - found.files.keys() - found.left_out.keys() - set(job.kept)
        for source in gone:
            writer.remove(source)
        changed = [
            source
            for source, file in found.files.items()
            if source not in known or not known[source].fits(file.signature)
        ]
        async with aclosing(Extractor()) as extractor:
            for done, source in enumerate(changed):
                notify(done, len(changed))
                await _read(writer, extractor, source, found.files[source], known.get(source), job)
        notify(len(changed), len(changed))
        _note(writer, found, known)
        passages = writer.finish()
        files = writer.list_files()
    finally:
        writer.close()
    notes = {source: file.note for source, file in files.items() if file.note}
    return BuildReport(len(files), passages, len(changed), len(gone), time.monotonic() - begun, notes)


async def _read(
    writer: IndexWriter, extractor: Extractor, source: str, file: SourceFile, known: IndexedFile | None, job: BuildJob
) -> None:
    """Reads one file and replaces its passages."""
    try:
        text = await extractor.extract(Path(file.path), file.name)
    except FileUnreadable as error:
        writer.put_file(IndexedFile(source, file.signature, PDF_READER, note=error.message), ())
        return
    digest = f"{PDF_READER}{text.digest}" if text.kind == "pdf" else text.digest
    if known is not None and known.digest == digest:
        writer.sign(source, file.signature)
        return
    keys, begin = _read_front(text)
    if file.title and text.text.startswith(file.title):  # the title stands above each passage, and is no passage
        begin = len(file.title)
    note = f"{source} is longer than {len(text.text):,} characters: the rest is not read." if text.is_cut else ""
    passages = list(_cut(text, begin, file.title, job))
    writer.put_file(IndexedFile(source, file.signature, digest, text.kind, keys, note), passages)


def _cut(text: Extracted, begin: int, title: str, job: BuildJob) -> Iterator[IndexedPassage]:
    """The passages after the character `begin`; each stays on one page, so that citations name the right page."""
    for page, top, end in text.list_pages():
        start = max(top, begin)
        for one in split_text(text.text[start:end], size=job.size, overlap=job.overlap):
            first, last = start + one.start, start + one.end
            trail = one.trail if title in ("", *one.trail[:1]) else (title, *one.trail)
            yield IndexedPassage(text.text[first:last], first, last, page, " › ".join(trail))


def _read_front(text: Extracted) -> tuple[dict[str, str], int]:
    """The keys in the front of a Markdown file, and the character where the text begins."""
    found = _FRONT.match(text.text) if text.kind == "md" else None
    if not found:
        return {}, 0
    lines = (_KEY.match(line) for line in found[1].split("\n"))
    keys = {line[1]: line[2].strip("\"'") for line in lines if line}
    return dict(list(keys.items())[:_MOST_KEYS]), found.end()


def _note(writer: IndexWriter, found: SourceList, known: Mapping[str, IndexedFile]) -> None:
    for source, why in found.left_out.items():
        file = IndexedFile(source, "", note=f"{source} is left out: {why}.")
        if known.get(source) != replace(file, passages=0):
            writer.put_file(file, ())
