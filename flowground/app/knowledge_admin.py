"""A knowledge as its authors see and change it at a page: what is in it, what is found, and the files that they add.

Who sees the inside of a flow sees its knowledge, and what config.yaml names for all. A flow's own is changed by who may
publish the flow, that of config.yaml by admins. For everybody else there is none.
"""

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
from flowground.knowledge.section import KnowledgeSection
from flowground.runs.files import FileOffer, FileRefused, name_owner
from flowground.store.runs import files
from flowground.store.runs.files import AddedFiles, StoredFile

_SHOWN_HITS = 8


@dataclass(frozen=True, slots=True)
class ShownKnowledge:
    """`indexed` by source, None before the first index; `is_outdated`: a next one comes. `lacks_vectors`: only words
    are found until then, although a model of vectors is named, and `words_only` why, as far as this process knows.
    `uploads`: the newest first.

    `may_change`: who looks may add and remove files. `unmatched`: filters of flows that no file fits, a sentence each.
    `filtering`: what of flows has filters.
    """

    address: str
    name: str
    section: KnowledgeSection
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
    """The flow's own, then what all flows share; of no flow, `""`, that alone: the flow's id or `""`, and the name.

    Raises NotSignedIn, FlowNotFound.
    """
    found: list[tuple[str, str]] = []
    for asked in dict.fromkeys((flow_id, "")):
        caller, place, _ = await _admit(runtime, caller, asked)
        found += [(place, shelved.name) for shelved in runtime.library.list_of(place)]
    return found


async def read_knowledge(runtime: Runtime, caller: Caller, flow_id: str, name: str) -> ShownKnowledge:
    """One of them as it is now. Raises NotSignedIn, FlowNotFound, StoreUnavailable."""
    _, place, may_change = await _admit(runtime, caller, flow_id)
    return await _show(runtime, _find(runtime, place, name), may_change=may_change)


async def find_passages(
    runtime: Runtime, caller: Caller, flow_id: str, name: str, question: str, *, source: str = ""
) -> tuple[Sequence[Hit], str]:
    """What a flow would be given, the best first, and why only words were found where the model of vectors did not
    answer; `source` is a pattern of the files that are meant, "" all of them.

    Raises NotSignedIn, FlowNotFound, RunError.
    """
    _, place, _ = await _admit(runtime, caller, flow_id)
    shelved = _find(runtime, place, name)
    filters = Filters((source,) if source else ())
    embeddings = shelved.sources.embeddings
    hits = await shelved.knowledge.search(question, top_k=_SHOWN_HITS, filters=filters, embeddings=embeddings)
    return hits, shelved.knowledge.lacked if embeddings else ""


def may_add(runtime: Runtime, caller: Caller, wired: WiredFlow) -> bool:
    """Whether they may add files that the flow answers from."""
    found = runtime.library.list_looked_into(wired.id) if may_see_inside(caller) else ()
    is_owner, is_admin = runtime.access.may_publish(caller, wired), caller.role == "admin"
    return any(one.section.uploads and (is_owner if "/" in one.address else is_admin) for one in found)


async def add_file(
    runtime: Runtime, caller: Caller, flow_id: str, name: str, *, file_name: str, pieces: AsyncIterator[bytes]
) -> StoredFile:
    """Keeps the file, in place of one of its name; it is indexed soon.

    Raises NotSignedIn, FlowNotFound alike for what is not there and for who may not, and as `Files.receive`.
    """
    caller, shelved = await _open_to_change(runtime, caller, flow_id, name)
    if not shelved.section.uploads:
        says = f"The knowledge {name} takes no files here."
        raise FileRefused(says, hint="`uploads: true` below its name lets it take some.")
    offer = FileOffer(name_owner(shelved.address), file_name, by=str(caller.owner))
    with runtime.files.admit(offer.owner):
        kept = await runtime.files.receive(pieces, offer)
    runtime.library.look_soon()
    return kept


async def remove_file(runtime: Runtime, caller: Caller, flow_id: str, name: str, key: str) -> None:
    """Deletes the file of this id; the next index is without it. Raises as `add_knowledge_file`."""
    caller, shelved = await _open_to_change(runtime, caller, flow_id, name)
    owner = str(name_owner(shelved.address))
    await runtime.store.write(files.remove_file, key=key, owner=owner, by=str(caller.owner))
    runtime.forget_files()
    runtime.library.look_soon()


async def list_orphaned(runtime: Runtime, caller: Caller) -> Sequence[AddedFiles]:
    """For admins, files that were added to what no flow and no config.yaml names now; for everybody else none.

    Raises NotSignedIn, FlowNotFound, StoreUnavailable.
    """
    _, _, may_change = await _admit(runtime, caller, "")
    if not may_change:
        return []
    added = await runtime.store.read(files.list_added)
    unnamed = runtime.library.find_unnamed([one.address for one in added])
    return [one for one in added if one.address in unnamed]


async def remove_orphaned(runtime: Runtime, caller: Caller, address: str) -> None:
    """Deletes one of them, as admins may. Raises as `list_orphaned`, FlowNotFound also where it is named again."""
    caller, _, may_change = await _admit(runtime, caller, "")
    await runtime.access.catalogue.read_now()
    if not may_change or not runtime.library.find_unnamed([address]):
        raise FlowNotFound(address)
    runtime.access.require_lasting(caller)
    owner = str(name_owner(address))
    await runtime.store.write(files.remove_all, owner=owner, by=str(caller.owner))
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
    shelved = _find(runtime, place, name)
    runtime.access.require_lasting(caller)
    return caller, shelved


def _find(runtime: Runtime, flow_id: str, name: str) -> KnowledgeEntry:
    for shelved in runtime.library.list_of(flow_id):
        if shelved.name == name:
            return shelved
    raise FlowNotFound(name)


async def _show(runtime: Runtime, shelved: KnowledgeEntry, *, may_change: bool) -> ShownKnowledge:
    owner = str(name_owner(shelved.address))
    uploads = await runtime.store.read(files.list_unsent, owners=[owner], flow_id=None, limit=files.MOST_ADDED)
    try:
        indexed = await shelved.knowledge.list_files()
    except KnowledgeMissing:
        indexed = None
    state = runtime.library.states.get(shelved.address, IndexState())
    finds_words = bool(shelved.refused) or await shelved.knowledge.is_without_vectors(shelved.sources)
    lacks = indexed is not None and finds_words
    return ShownKnowledge(
        shelved.address,
        shelved.name,
        shelved.section,
        may_change,
        indexed,
        await runtime.library.is_outdated(shelved),
        lacks,
        shelved.refused or (state.report.vectors if lacks and state.report else ""),
        state,
        uploads,
        await runtime.library.list_unmatched(shelved, indexed or {}),
        runtime.library.list_filtering(shelved),
    )
