"""What authors see and change of a knowledge at a page: its files, uploads and search results.

Callers who see the inside of a flow see its knowledge, and the knowledge that config.yaml names for all flows. Callers
who may publish the flow change its knowledge; admins change that of config.yaml. For everybody else none exists.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from flowground.access.insides import may_see_inside, open_inside
from flowground.app.library import KnowledgeEntry
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowNotFound
from flowground.flows.wiring import WiredFlow
from flowground.knowledge import KnowledgeMissing
from flowground.knowledge.building import IndexState
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.searching import Filters, Hit
from flowground.runs.files import FileOffer, FileRefused, name_owner
from flowground.store.runs import files
from flowground.store.runs.files import AddedFiles, StoredFile

_SHOWN_HITS = 8


@dataclass(frozen=True, slots=True)
class ShownKnowledge:
    """A knowledge as its page shows it.

    `may_change`: the caller may add and remove files. `indexed` has the files by source, None before the first index;
    `is_outdated`: another index follows. `lacks_vectors`: until then only words are searched although an embeddings
    model is configured; `words_only` is the reason, as far as this process knows. `uploads` has the newest first.
    `unmatched` has a sentence for each filter of a flow that no file matches, `filtering` the components with filters.
    """

    entry: KnowledgeEntry
    may_change: bool
    indexed: Mapping[str, IndexedFile] | None
    is_outdated: bool
    lacks_vectors: bool
    words_only: str
    state: IndexState
    uploads: Sequence[StoredFile]
    unmatched: Sequence[str]
    filtering: Sequence[str]


async def list_knowledge(runtime: Runtime, caller: Caller, flow_id: str) -> list[tuple[str, str]]:
    """The flow's own knowledge, then that of config.yaml: pairs of the flow's id (`""` for config.yaml) and the name.

    For the flow id `""` only that of config.yaml.

    Raises NotSignedIn, FlowNotFound.
    """
    found: list[tuple[str, str]] = []
    for asked in dict.fromkeys((flow_id, "")):
        caller, place, _ = await _admit(runtime, caller, asked)
        found += [(place, entry.name) for entry in runtime.library.list_of(place)]
    return found


async def read_knowledge(runtime: Runtime, caller: Caller, flow_id: str, name: str) -> ShownKnowledge:
    """One knowledge as it is now. Raises NotSignedIn, FlowNotFound, StoreUnavailable."""
    _, place, may_change = await _admit(runtime, caller, flow_id)
    entry = _find(runtime, place, name)
    owner = str(name_owner(entry.address))
    uploads = await runtime.store.read(files.list_unsent, owners=[owner], flow_id=None, limit=files.MOST_ADDED)
    try:
        indexed = await entry.knowledge.list_files()
    except KnowledgeMissing:
        indexed = None
    state = runtime.library.states.get(entry.address, IndexState())
    finds_words = bool(entry.refused) or await entry.knowledge.is_without_vectors(entry.sources)
    lacks = indexed is not None and finds_words
    return ShownKnowledge(
        entry,
        may_change,
        indexed,
        await runtime.library.is_outdated(entry),
        lacks,
        entry.refused or (state.report.vectors if lacks and state.report else ""),
        state,
        uploads,
        await asyncio.to_thread(runtime.library.list_unmatched, entry, indexed or {}),
        runtime.library.list_filtering(entry),
    )


async def find_passages(
    runtime: Runtime, caller: Caller, flow_id: str, name: str, question: str, *, source: str = ""
) -> tuple[Sequence[Hit], str]:
    """The passages that a flow would get, the best first; and why only words were searched, "" where vectors were too.

    `source` is a pattern of file names, "" for all files.

    Raises NotSignedIn, FlowNotFound, RunError.
    """
    _, place, _ = await _admit(runtime, caller, flow_id)
    entry = _find(runtime, place, name)
    filters = Filters((source,) if source else ())
    embeddings = entry.sources.embeddings
    hits = await entry.knowledge.search(question, top_k=_SHOWN_HITS, filters=filters, embeddings=embeddings)
    return hits, entry.knowledge.lacked if embeddings else ""


def may_add(runtime: Runtime, caller: Caller, wired: WiredFlow) -> bool:
    """Whether the caller may add files to a knowledge that the flow answers from."""
    found = runtime.library.list_looked_into(wired.id) if may_see_inside(caller) else ()
    is_owner, is_admin = runtime.access.may_publish(caller, wired), caller.role == "admin"
    return any(one.section.uploads and (is_owner if "/" in one.address else is_admin) for one in found)


async def add_file(
    runtime: Runtime, caller: Caller, flow_id: str, name: str, *, file_name: str, pieces: AsyncIterator[bytes]
) -> StoredFile:
    """Adds a file, or replaces the one of its name; it is indexed soon.

    Raises NotSignedIn; FlowNotFound for an unknown knowledge and for callers who may not change it; and as
    `Files.receive`.
    """
    caller, entry = await _open_to_change(runtime, caller, flow_id, name)
    if not entry.section.uploads:
        says = f"The knowledge {name} takes no files here."
        raise FileRefused(says, hint="`uploads: true` below its name lets it take some.")
    offer = FileOffer(name_owner(entry.address), file_name, by=str(caller.owner))
    with runtime.files.admit(offer.owner):
        kept = await runtime.files.receive(pieces, offer)
    runtime.library.look_soon()
    return kept


async def remove_file(runtime: Runtime, caller: Caller, flow_id: str, name: str, key: str) -> None:
    """Deletes the file with this id; the next index is without it. Raises NotSignedIn, FlowNotFound."""
    caller, entry = await _open_to_change(runtime, caller, flow_id, name)
    owner = str(name_owner(entry.address))
    await runtime.store.write(files.remove_knowledge_file, key=key, owner=owner, by=str(caller.owner))
    runtime.forget_files()
    runtime.library.look_soon()


async def list_orphaned(runtime: Runtime, caller: Caller) -> Sequence[AddedFiles]:
    """Uploads of knowledge that neither a flow nor config.yaml names now, for admins; nothing for other callers.

    Raises NotSignedIn, FlowNotFound, StoreUnavailable.
    """
    _, _, may_change = await _admit(runtime, caller, "")
    if not may_change:
        return []
    added = await runtime.store.read(files.list_added)
    unnamed = runtime.library.find_unnamed([one.address for one in added])
    return [one for one in added if one.address in unnamed]


async def remove_orphaned(runtime: Runtime, caller: Caller, address: str) -> None:
    """Deletes the uploads of one orphaned knowledge, for admins. Raises as `list_orphaned`; FlowNotFound where the
    knowledge is named again."""
    caller, _, may_change = await _admit(runtime, caller, "")
    await runtime.access.catalogue.read_now()
    if not may_change or not runtime.library.find_unnamed([address]):
        raise FlowNotFound(address)
    runtime.access.require_lasting(caller)
    owner = str(name_owner(address))
    await runtime.store.write(files.remove_knowledge_files, owner=owner, by=str(caller.owner))
    runtime.forget_files()


async def _admit(runtime: Runtime, caller: Caller, flow_id: str) -> tuple[Caller, str, bool]:
    """The caller with their present role, the flow's id, and whether they may change its knowledge."""
    access = runtime.access
    if flow_id:
        caller, wired = await open_inside(access, caller, flow_id)
        return caller, wired.id, access.may_publish(caller, wired)
    caller = await access.recheck(caller)
    if not may_see_inside(caller):
        raise FlowNotFound(flow_id)
    await access.catalogue.refresh()
    return caller, "", caller.role == "admin"


async def _open_to_change(runtime: Runtime, caller: Caller, flow_id: str, name: str) -> tuple[Caller, KnowledgeEntry]:
    caller, place, may_change = await _admit(runtime, caller, flow_id)
    if not may_change:
        raise FlowNotFound(name)
    entry = _find(runtime, place, name)
    runtime.access.require_lasting(caller)
    return caller, entry


def _find(runtime: Runtime, flow_id: str, name: str) -> KnowledgeEntry:
    for entry in runtime.library.list_of(flow_id):
        if entry.name == name:
            return entry
    raise FlowNotFound(name)
