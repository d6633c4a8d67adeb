"""Whose files there are. Bytes lie beside the database: whatever deletes a row notes them as loose in the same
transaction, so that they go with their last row, also where the process dies between.

The files that authors added to a knowledge: its own, whoever added them, one of each name.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from flowground.core.errors import InvalidRequest
from flowground.core.values import FileReference, SentFile
from flowground.core.words import write_size
from flowground.store import audit, tables
from flowground.store.sql import Statement, has_words, make_storable, read_moment

SMALLEST = 4_096
"""Bytes that a file counts as at least: what a file system takes for one."""
OF_KNOWLEDGE = "knowledge:"
"""With which the owner of a knowledge's file begins."""
MOST_ADDED = 5_000
"""Files of one knowledge that are added on its page."""
_STEP = 200
"""Rows that one step looks at."""
_f = tables.files.c
_l = tables.loose_files.c
_m = tables.messages.c
_counted = func.coalesce(func.sum(case((_f.size < SMALLEST, SMALLEST), else_=_f.size)), 0)
_COLUMNS = (_f.id, _f.name, _f.media_type, _f.size, _f.sha256, _f.owner, _f.flow_id, _f.message, _f.created_at)
_MEASURE = select(_counted).where(_f.owner.in_(bindparam("owners", expanding=True)))
_SAID = select(_m.id).where(_m.id == bindparam("into")).exists()
_MOVE = Statement(update(tables.files).where(_f.id == bindparam("kept"), _SAID).values(message=bindparam("into")))
_COPY = Statement(
    insert(tables.files)
    .from_select(
        ["id", "owner", "name", "media_type", "sha256", "size", "created_at", "flow_id", "message"],
        select(
            bindparam("new", type_=_f.id.type),
            bindparam("whose", type_=_f.owner.type),
            *(_f.name, _f.media_type, _f.sha256, _f.size),
            bindparam("at", type_=_f.created_at.type),
            bindparam("of_flow", type_=_f.flow_id.type),
            bindparam("into", type_=_f.message.type),
        ).where(_f.id == bindparam("kept"), _SAID),
    )
    .inline()
)


class FilesFull(InvalidRequest):
    """As much as somebody may keep, or all visitors of a flow together."""

    code = "files_full"


def storage_full_error() -> FilesFull:
    """What a visitor reads, whatever others have used up."""
    return FilesFull("This chat takes no more files at the moment.", hint="Send the message without one.")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A row. `message` is the id of what it was sent with."""

    reference: FileReference
    owner: str
    flow_id: str | None
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some of somebody's files; `count` and `size`, in bytes, are of all of them."""

    shown: Sequence[StoredFile]
    count: int
    size: int


def _add_loose(dialect: Any) -> Any:
    made = dialect.insert(tables.loose_files)
    return made.on_conflict_do_update(index_elements=[_l.sha256], set_={"look_at": made.excluded.look_at})


_ADD_LOOSE = {"sqlite": _add_loose(sqlite), "postgresql": _add_loose(postgresql)}


def note_loose(connection: Connection, *, digests: Collection[str], look_at: float) -> None:
    """From that moment on (seconds since 1970) it is looked whether a row leads to these bytes."""
    rows = [{"sha256": digest, "look_at": look_at} for digest in sorted(set(digests))]
    if rows:
        connection.execute(_ADD_LOOSE[connection.dialect.name], rows)


def add_file(
    connection: Connection,
    *,
    file: StoredFile,
    most: int,
    most_of_flow: int = 0,
    is_apart: bool = False,
) -> StoredFile:
    """Keeps the row, where its owner then has `most` bytes at most, and the visitors of its flow `most_of_flow`.

    0: no limit. `is_apart`: no other file of the owner's that is for every flow has its name; a number is added.
    Raises FilesFull.
    """
    size = max(file.reference.size, SMALLEST)
    if most and measure(connection, owners=[file.owner]) + size > most:
        raise FilesFull(
            f"Your files would take more than {write_size(most)} together.", hint="Delete some, then try again."
        )
    visitors = (_f.flow_id == file.flow_id, _f.owner.startswith("visitor:"))
    if most_of_flow and _sum(connection, *visitors) + size > most_of_flow:
        raise storage_full_error()
    if is_apart:
        file = _name_apart(connection, file)
    one = file.reference
    values = {
        "id": one.id, "owner": file.owner, "name": make_storable(one.name), "media_type": one.media_type,
        "sha256": one.sha256, "size": one.size, "created_at": file.created_at.timestamp(), "flow_id": file.flow_id,
        "message": None,
    }  # fmt: skip
    connection.execute(insert(tables.files).values(values))
    connection.execute(delete(tables.loose_files).where(_l.sha256 == one.sha256))
    return file


def _name_apart(connection: Connection, file: StoredFile) -> StoredFile:
    stem, dot, ending = file.reference.name.rpartition(".")
    if not stem:
        stem, dot, ending = file.reference.name, "", ""
    alike = (_f.owner == file.owner, _f.flow_id.is_(None), _f.message.is_(None))
    taken = set(
        connection.scalars(select(_f.name).where(*alike, _f.name.startswith(make_storable(stem), autoescape=True)))
    )
    name, number = file.reference.name, 0
    while name in taken:
        number += 1
        name = f"{stem} ({number}){dot}{ending}"
    return replace(file, reference=replace(file.reference, name=name))


def measure(connection: Connection, *, owners: Collection[str]) -> int:
    """Bytes that the files of these owners take together."""
    return int(connection.scalar(_MEASURE, {"owners": list(owners)}) or 0)


def _sum(connection: Connection, *where: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(_counted).where(*where)) or 0)


def send_files(connection: Connection, *, files: Sequence[SentFile], message: str, owner: str, flow_id: str) -> None:
    """The files are parts of the message, where it is stored. Gives no result: it travels with the turn's begin."""
    for file in files:
        into = {"kept": file.kept, "into": message}
        if file.kept == file.reference.id:
            _MOVE.run(connection, into)
        else:
            new = {"new": file.reference.id, "whose": owner, "at": time.time(), "of_flow": flow_id}
            _COPY.run(connection, into | new)


def find_file(connection: Connection, *, key: str, owners: Collection[str]) -> StoredFile | None:
    """One of these owners', by its id."""
    wanted = select(*_COLUMNS).where(_f.id == make_storable(key), _f.owner.in_(list(owners)))
    return next((_read_row(row) for row in connection.execute(wanted)), None)


def find_present(connection: Connection, *, keys: Collection[str]) -> set[str]:
    """Of the files with these ids, those that are not deleted."""
    return set(connection.scalars(select(_f.id).where(_f.id.in_(list(keys)))))


def find_named(
    connection: Connection, *, owners: Collection[str], flow_id: str | None, name: str, second: int | None = None
) -> StoredFile | None:
    """The newest of these owners' files with this name that no message has: for this flow, of this `second`, or where
    `flow_id` is None for every flow."""
    wanted = [_f.owner.in_(list(owners)), _f.name == make_storable(name), _f.message.is_(None), _f.flow_id == flow_id]
    if second is not None:
        wanted += [_f.created_at >= second, _f.created_at < second + 1]
    found = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc()).limit(1))
    return next((_read_row(row) for row in found), None)


def list_unsent(
    connection: Connection, *, owners: Collection[str], flow_id: str | None, limit: int = 1_000
) -> list[StoredFile]:
    """These owners' files that no message has, for this flow or, None, for every flow; the newest first."""
    wanted = (_f.owner.in_(list(owners)), _f.message.is_(None), _f.flow_id == flow_id)
    rows = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc()).limit(limit))
    return [_read_row(row) for row in rows]


def list_page(
    connection: Connection, *, owners: Collection[str], words: str = "", limit: int, offset: int = 0
) -> FilePage:
    """All files of these owners, the newest first."""
    wanted = (_f.owner.in_(list(owners)), has_words(connection, words, _f.name))
    rows = connection.execute(
        select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc(), _f.id).limit(limit).offset(offset)
    )
    count = connection.scalar(select(func.count()).where(*wanted)) or 0
    return FilePage([_read_row(row) for row in rows], count, _sum(connection, *wanted))


def rename_file(connection: Connection, *, key: str, owners: Collection[str], name: str) -> bool:
    """False where it is not theirs."""
    mine = (_f.id == make_storable(key), _f.owner.in_(list(owners)))
    return connection.execute(update(tables.files).where(*mine).values(name=make_storable(name))).rowcount > 0


def delete_file(connection: Connection, *, key: str, owners: Collection[str]) -> bool:
    """One of these owners'; what it was sent with names it still. False where it is not theirs."""
    return delete_rows(connection, _f.id == make_storable(key), _f.owner.in_(list(owners))) > 0


def delete_of_owners(connection: Connection, *, owners: Collection[str]) -> int:
    """Some of all that these owners have; how many. 0: there is none left."""
    return delete_rows(connection, _f.owner.in_(list(owners)))


def delete_unsent(connection: Connection, *, before: float) -> int:
    """Some of what was added at pages before then (seconds since 1970), and never sent."""
    on_pages = or_(*(_f.owner.startswith(kind) for kind in ("member:", "visitor:", "local:")))
    return delete_rows(connection, _f.message.is_(None), _f.created_at < before, on_pages)


def delete_old(connection: Connection, *, before: float) -> int:
    """Some of what belongs to no conversation and no knowledge, and was added before then (seconds since 1970)."""
    return delete_rows(connection, _f.message.is_(None), _f.created_at < before, ~_f.owner.startswith(OF_KNOWLEDGE))


def delete_rows(connection: Connection, *where: ColumnElement[bool]) -> int:
    """At most 200 of these, and notes their bytes as loose; how many."""
    rows = connection.execute(select(_f.id, _f.sha256).where(*where).limit(_STEP)).all()
    if rows:
        note_loose(connection, digests=[row.sha256 for row in rows], look_at=time.time())
        connection.execute(delete(tables.files).where(_f.id.in_([row.id for row in rows])))
    return len(rows)


def delete_of_messages(connection: Connection, *, messages: Sequence[str]) -> None:
    """All files of these messages, which go too."""
    while messages and delete_rows(connection, _f.message.in_(list(messages))):
        pass


def list_loose(connection: Connection, *, at: float) -> dict[str, float]:
    """Digests of bytes at which it is time to look, and since when."""
    wanted = select(_l.sha256, _l.look_at).where(_l.look_at <= at).order_by(_l.look_at).limit(_STEP)
    return {row.sha256: row.look_at for row in connection.execute(wanted)}


def find_kept(connection: Connection, *, digests: Collection[str]) -> set[str]:
    """Of these, those that a row leads to."""
    return set(connection.scalars(select(_f.sha256).where(_f.sha256.in_(list(digests))).distinct()))


def end_loose(connection: Connection, *, looked_at: Mapping[str, float]) -> int:
    """It was looked at these, as `list_loose` gave them, and nobody noted them anew since; how many."""
    done = delete(tables.loose_files).where(tuple_(_l.sha256, _l.look_at).in_(looked_at.items()))
    return connection.execute(done).rowcount


def make_id() -> str:
    """Of a new file: a UUID."""
    return str(uuid4())


def _read_row(row: Any) -> StoredFile:
    key, name, media_type, size, sha256, owner, flow_id, message, at = row
    return StoredFile(FileReference(key, name, media_type, size, sha256), owner, flow_id, message, read_moment(at))


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
    mine = _f.owner.startswith(OF_KNOWLEDGE)
    rows = connection.execute(select(_f.owner, *figures).where(mine).group_by(_f.owner).order_by(_f.owner))
    return [
        AddedFiles(owner.removeprefix(OF_KNOWLEDGE), number, int(size), read_moment(newest))
        for owner, number, size, newest in rows
    ]


def add_knowledge_file(connection: Connection, *, file: StoredFile, most: int, by: str) -> StoredFile:
    """Keeps the row in place of an older one of its name, where the knowledge then has `most` bytes at most; 0: no
    limit. `by` is an `Owner`. Raises FilesFull.
    """
    mine = (_f.owner == file.owner, _f.name == file.reference.name)
    while delete_rows(connection, *mine):
        pass
    if (connection.scalar(select(func.count()).where(_f.owner == file.owner)) or 0) >= MOST_ADDED:
        raise FilesFull(f"This knowledge has {MOST_ADDED:,} files, the most that it takes.", hint="Remove some first.")
    if most and measure(connection, owners=[file.owner]) + file.reference.size > most:
        says = f"The files of this knowledge would take more than {write_size(most)} together."
        raise FilesFull(says, hint="Remove some first.")
    kept = add_file(connection, file=file, most=0)
    audit.record(connection, actor=by, action="knowledge.file_added", subject=_write_subject(file))
    return kept


def remove_knowledge_file(connection: Connection, *, key: str, owner: str, by: str) -> bool:
    """False where the knowledge has no file of this id."""
    file = find_file(connection, key=key, owners=[owner])
    if file is None or not delete_file(connection, key=key, owners=[owner]):
        return False
    audit.record(connection, actor=by, action="knowledge.file_removed", subject=_write_subject(file))
    return True


def remove_knowledge_files(connection: Connection, *, owner: str, by: str) -> int:
    """All files of a knowledge; how many there were."""
    number = 0
    while gone := delete_of_owners(connection, owners=[owner]):
        number += gone
    if number:
        subject = f"{owner.removeprefix(OF_KNOWLEDGE)}: all {number}"
        audit.record(connection, actor=by, action="knowledge.file_removed", subject=subject)
    return number


def _write_subject(file: StoredFile) -> str:
    return f"{file.owner.removeprefix(OF_KNOWLEDGE)}: {file.reference.name}"
