"""Paths by which Langflow's clients name files. Nothing lies there: they are read back into rows, whose owner decides.

`{flow_id}/{2026-11-24_22-39-26}_{name}` is a file for one flow, `{owner's id}/{name}` one for every flow.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime

from flowground.caller import Owner
from flowground.store import Store
from flowground.store.runs import files
from flowground.store.runs.files import StoredFile
from flowground.values import FileReference

_STAMP = "%Y-%m-%d_%H-%M-%S"
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_(.+)", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def write_path(file: StoredFile) -> str:
    """The path of a file that no message has, as this module says."""
    if file.flow_id is None:
        return f"{Owner.read(file.owner).id}/{file.reference.name}"
    return f"{file.flow_id}/{write_stamped_name(file)}"


def write_sent_path(flow_id: str, reference: FileReference) -> str:
    """Of a file that a message has: several may have one name and moment."""
    return f"{flow_id}/{reference.id}_{reference.name}"


def write_stamped_name(file: StoredFile) -> str:
    """Its name behind the second in which it came, in UTC."""
    return f"{file.created_at.astimezone(UTC):{_STAMP}}_{file.reference.name}"


async def find_file(store: Store, named: str, *, owners: Collection[str]) -> StoredFile | None:
    """One of these owners' files, by its id or path; None where there is none."""
    if _ID.fullmatch(named):
        return await store.read(files.find_file, key=named, owners=owners)
    place, slash, name = named.rpartition("/")
    if not slash:
        return None
    if place in {Owner.read(owner).id for owner in owners} and (
        found := await store.read(files.find_named, owners=owners, flow_id=None, name=name)
    ):
        return found
    return await find_stamped(store, place, name, owners=owners)


async def find_stamped(store: Store, flow_id: str, name: str, *, owners: Collection[str]) -> StoredFile | None:
    """One for this flow; of several that came in one second the newest."""
    if _ID.fullmatch(name[:36]):
        return await store.read(files.find_file, key=name[:36], owners=owners)
    stamped = _STAMPED.fullmatch(name)
    if stamped is None:
        return None
    try:
        second = int(datetime.strptime(f"{stamped[1]} +0000", f"{_STAMP} %z").timestamp())
    except ValueError:
        return None
    return await store.read(files.find_named, owners=owners, flow_id=flow_id, name=stamped[2], second=second)
