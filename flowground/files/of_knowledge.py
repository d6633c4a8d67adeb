"""Files that authors add to a knowledge: whose they are, and where the index finds them."""

from collections.abc import Sequence
from pathlib import Path

from flowground.caller import Owner
from flowground.files import disk
from flowground.knowledge import GivenFile
from flowground.store import Store
from flowground.store.runs import files
from flowground.store.runs.knowledge_files import MOST

FOLDER = "uploads/"
"""Before the name of such a file, where passages say whence they are."""


def name_owner(address: str) -> Owner:
    """Whose the files of the knowledge at an address are."""
    return Owner("knowledge", address)


async def list_uploads(store: Store, data: Path, address: str) -> Sequence[GivenFile]:
    """What was added to it; `data` is the data folder. Raises StoreUnavailable."""
    owner = str(name_owner(address))
    found = await store.read(files.list_unsent, owners=[owner], flow_id=None, limit=MOST)
    return [
        GivenFile(
            (source := f"{FOLDER}{file.reference.name}"),
            str(disk.find_path(data / "files", file.reference.sha256)),
            file.reference.sha256,
            source,
        )
        for file in found
    ]
