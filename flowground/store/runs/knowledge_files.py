"""The files that authors added to a knowledge: its own, whoever added them, one of each name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from flowground.store import audit, tables
from flowground.store.runs import files
from flowground.store.runs.files import FilesFull, StoredFile
from flowground.store.sql import read_moment
from flowground.words import write_size

MOST = 5_000
"""Files of one knowledge that are added on its page."""
_f = tables.files.c


@dataclass(frozen=True, slots=True)
class AddedFiles:
    """What authors added to the knowledge at an address: `size` in bytes, and when the newest came."""

    address: str
    count: int
    size: int
    newest: datetime


def list_added(connection: Connection) -> Sequence[AddedFiles]:
    """Of every knowledge that has some, whether a flow names it or not, by address."""
    figures = (func.count(), func.sum(_f.size), func.max(_f.created_at))
    mine = _f.owner.startswith(files.OF_KNOWLEDGE)
    rows = connection.execute(select(_f.owner, *figures).where(mine).group_by(_f.owner).order_by(_f.owner))
    return [
        AddedFiles(owner.removeprefix(files.OF_KNOWLEDGE), number, int(size), read_moment(newest))
        for owner, number, size, newest in rows
    ]


def add_file(connection: Connection, *, file: StoredFile, most: int, by: str) -> StoredFile:
    """Keeps the row in place of an older one of its name, where the knowledge then has `most` bytes at most; 0: no
    limit. `by` is an `Owner`. Raises FilesFull.
    """
    mine = (_f.owner == file.owner, _f.name == file.reference.name)
    while files.delete_rows(connection, *mine):
        pass
    if (connection.scalar(select(func.count()).where(_f.owner == file.owner)) or 0) >= MOST:
        raise FilesFull(f"This knowledge has {MOST:,} files, the most that it takes.", hint="Remove some first.")
    if most and files.measure(connection, owners=[file.owner]) + file.reference.size > most:
        says = f"The files of this knowledge would take more than {write_size(most)} together."
        raise FilesFull(says, hint="Remove some first.")
    kept = files.add_file(connection, file=file, most=0)
    audit.record(connection, actor=by, action="knowledge.file_added", subject=_write_subject(file))
    return kept


def remove_file(connection: Connection, *, key: str, owner: str, by: str) -> bool:
    """False where the knowledge has no file of this id."""
    file = files.find_file(connection, key=key, owners=[owner])
    if file is None or not files.delete_file(connection, key=key, owners=[owner]):
        return False
    audit.record(connection, actor=by, action="knowledge.file_removed", subject=_write_subject(file))
    return True


def remove_all(connection: Connection, *, owner: str, by: str) -> int:
    """All files of a knowledge; how many there were."""
    number = 0
    while gone := files.delete_of_owners(connection, owners=[owner]):
        number += gone
    if number:
        subject = f"{owner.removeprefix(files.OF_KNOWLEDGE)}: all {number}"
        audit.record(connection, actor=by, action="knowledge.file_removed", subject=subject)
    return number


def _write_subject(file: StoredFile) -> str:
    return f"{file.owner.removeprefix(files.OF_KNOWLEDGE)}: {file.reference.name}"
