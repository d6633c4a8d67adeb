"""A flow file to begin with, written from a page by who may write flow files."""

import asyncio
import os
from pathlib import Path

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import InvalidRequest
from flowground.flow.templates import DraftedFlow, write_flow_file
from flowground.store import audit
from flowground.store.flows import publications


async def write_flow(access: Access, caller: Caller, draft: DraftedFlow) -> None:
    """Writes the file into the folder of flows; the flow can be opened when this returns.

    Raises NotAllowed for who may not write flow files; InvalidRequest where there is such a flow already, or the folder
    cannot be written to.
    """
    caller = await access.recheck(caller)
    access.require_writer(caller, may=access.may_write(caller))
    await access.catalogue.refresh()
    require_free_address(access, draft)
    if caller.role != "admin" and await access.store.read(publications.was_used, flow_id=draft.id):
        says = f"There was a flow at {draft.id} before, and its chats and who may open it would be this one's."
        raise InvalidRequest(says, hint="Choose another address, or ask an admin.")
    folder = access.catalogue.folder
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.added", subject=draft.file)
    await asyncio.to_thread(write_flow_file, folder, draft, shown=f"{folder.name}/{draft.file}")
    await access.catalogue.read_now()


def may_write_into(folder: Path) -> bool:
    """Whether this process may put files into a folder, or make the folder where it is not there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def require_free_address(access: Access, draft: DraftedFlow) -> None:
    """Raises InvalidRequest where a flow, or a file with mistakes, has the address of this draft."""
    if access.catalogue.find(draft.id) or access.catalogue.find_broken_file(draft.id):
        raise InvalidRequest(f"There is already a flow at {draft.id}.", hint="Choose another name or address.")
