"""A flow file to begin with, written from a page by who may write flow files."""

import asyncio

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import InvalidRequest
from flowground.flow.templates import DraftedFlow, write_flow_file
from flowground.store import audit


async def write_flow(access: Access, caller: Caller, draft: DraftedFlow) -> None:
    """Writes the file into the folder of flows; the flow can be opened when this returns.

    Raises NotAllowed for who may not write flow files; InvalidRequest where there is such a flow already, or the folder
    cannot be written to.
    """
    caller = await access.recheck(caller)
    access.require_writer(caller)
    await access.catalogue.refresh()
    require_free_address(access, draft)
    folder = access.catalogue.folder
    await asyncio.to_thread(write_flow_file, folder, draft, shown=f"{folder.name}/{draft.file}")
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.added", subject=draft.file)
    await access.catalogue.read_now()


def require_free_address(access: Access, draft: DraftedFlow) -> None:
    """Raises InvalidRequest where a flow, or a file with mistakes, has the address of this draft."""
    if access.catalogue.find(draft.id) or access.catalogue.find_broken_file(draft.id):
        raise InvalidRequest(f"There is already a flow at {draft.id}.", hint="Choose another name or address.")
