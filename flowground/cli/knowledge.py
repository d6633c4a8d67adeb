"""`knowledge`: what flows look things up in, indexed and searched from the command line."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from flowground.app.library import KnowledgeEntry, Library
from flowground.app.runtime import make_library, make_models
from flowground.cli.output import echo, note, print_table
from flowground.cli.resources import explain_unknown, load_settings, open_store, read_catalogue
from flowground.core.errors import InvalidRequest, ProviderError
from flowground.core.words import count, cut
from flowground.knowledge import KnowledgeMissing
from flowground.knowledge.searching import Filters
from flowground.store import Store
from flowground.store.runs import files as knowledge_files

_SHOWN = 300
_NOTES = 20


@asynccontextmanager
async def _open_library() -> AsyncIterator[tuple[Library, Store]]:
    settings = load_settings()
    models = make_models(settings)
    async with open_store(settings) as store:
        library = make_library(settings, store, read_catalogue(settings), models)
        try:
            yield library, store
        finally:
            await library.close()
            await models.close()


async def list_all() -> None:
    """Prints all knowledge, and on stderr what is wrong with files and with filters of flows."""
    rows: list[tuple[str, ...]] = []
    async with _open_library() as (library, store):
        for entry in library.list_all():
            try:
                indexed = await entry.knowledge.list_files()
            except KnowledgeMissing:
                rows.append((entry.address, "", "", "", "not indexed"))
                continue
            files = indexed.values()
            changed = "pages are due, or files changed" if entry.section.urls else "files changed"
            state = changed if await library.is_outdated(entry.keep_words()) else "current"
            if lacks := bool(entry.refused) or await entry.knowledge.is_without_vectors(entry.sources):
                state = "vectors missing" if state == "current" else f"{state}, vectors missing"
            missing = [await _explain_words(entry)] if lacks else []
            unread, passages = sum(file.is_unread for file in files), sum(file.passages for file in files)
            rows.append((entry.address, f"{len(files) - unread}", f"{unread}", f"{passages}", state))
            notes = [file.note for file in files if file.note]
            _write_notes(entry, [*notes, *missing, *library.list_unmatched(entry, indexed)])
        added = await store.read(knowledge_files.list_added)
        unnamed = library.find_unnamed([one.address for one in added])
        left = [one for one in added if one.address in unnamed]
    rows += [(one.address, f"{one.count}", "", "", "no flow names it") for one in left]
    if left:
        note("What was added to a knowledge that no flow names stays until an admin deletes it on the page Knowledge.")
    if not rows:
        note("No flow and not config.yaml has `knowledge:`.")
    print_table(("NAME", "FILES", "NOT READ", "PASSAGES", "INDEX"), rows)


async def index(names: Sequence[str]) -> int:
    """Indexes what changed, and prints a line for each knowledge; 1 if a file was not read as a whole, or vectors
    failed."""
    is_whole = True
    async with _open_library() as (library, _):
        for entry in [_find(library, name) for name in names] or library.list_all():
            report = await library.index(entry, asks_all=True)
            changes = f"{count(report.read, 'file')} read, {report.removed} removed"
            indexed = await entry.knowledge.list_files()
            unread = sum(file.is_unread for file in indexed.values())
            held = f"{count(report.passages, 'passage')} of {count(report.files - unread, 'file')}"
            lacks = f", {count(unread, 'file')} could not be read" if unread else ""
            echo(f"{entry.address}: {held}{lacks} ({changes}, {report.seconds:.1f} s)")
            lacking = entry.refused or report.vectors
            wrong = [*report.notes.values(), *([lacking] if lacking else [])]
            _write_notes(entry, [*wrong, *library.list_unmatched(entry, indexed)])
            is_whole &= not wrong
    return 0 if is_whole else 1


async def search(name: str, question: str, top_k: int, source: str) -> None:
    """Prints each found passage: its place, score and headings on a line, then its text."""
    async with _open_library() as (library, _):
        entry = _find(library, name)
        filters = Filters((source,) if source else ())
        missing = await _explain_words(entry)
        embeddings = entry.sources.embeddings
        hits = await entry.knowledge.search(question, top_k=max(1, top_k), filters=filters, embeddings=embeddings)
    for hit in hits:
        page = f", page {hit.page}" if hit.page else ""
        title = f": {hit.title}" if hit.title else ""
        echo(f"{hit.source}{page}, characters {hit.start}-{hit.end}, score {hit.score:.2f}{title}")
        echo(f"    {cut(' '.join(hit.text.split()), _SHOWN)}")
    if not hits:
        note("Nothing was found.")
    if missing:
        note(f"{entry.address}: {missing}")


async def _explain_words(entry: KnowledgeEntry) -> str:
    """Why only words are found though embeddings are configured, else "". Calls the embedding model once."""
    embeddings = entry.sources.embeddings
    if embeddings is None:
        return entry.refused
    try:
        await embeddings.embed(["word"])
    except ProviderError as error:
        return f"Only words are found: {error.full_message}"
    if await entry.knowledge.is_without_vectors(entry.sources):
        return "Only words are found: the vectors are not made yet, which `knowledge index` does."
    return ""


def _find(library: Library, name: str) -> KnowledgeEntry:
    """The knowledge with this address, or with this unique end of it. Raises InvalidRequest with the nearest name."""
    known = {entry.address: entry for entry in library.list_all()}
    if name not in known:
        meant = [address for address in known if address.endswith(f"/{name}")]
        if len(meant) != 1:
            raise InvalidRequest(
                explain_unknown("knowledge", name, known), hint="`knowledge list` shows what there is."
            )
        name = meant[0]
    return known[name]


def _write_notes(entry: KnowledgeEntry, notes: list[str]) -> None:
    for text in notes[:_NOTES]:
        note(f"{entry.address}: {text}")
    if len(notes) > _NOTES:
        note(f"{entry.address}: {count(len(notes) - _NOTES, 'more file')} like these.")
