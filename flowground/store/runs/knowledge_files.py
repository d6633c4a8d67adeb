"""The files that authors added to a knowledge: its own, whoever added them, one of each name."""

from sqlalchemy import Connection, func, select

from flowground.store import audit, tables
from flowground.store.runs import files
from flowground.store.runs.files import FilesFull, StoredFile
from flowground.words import write_size

MOST = 5_000
"""Files of one knowledge that are added on its page."""
_f = tables.files.c


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


def _write_subject(file: StoredFile) -> str:
    return f"{file.owner.removeprefix(files.OF_KNOWLEDGE)}: {file.reference.name}"
