"""Rows of files: people's uploads, files of messages, and those that authors added to a knowledge.

The bytes lie beside the database. Deleting a row marks its bytes as loose in the same transaction, so that they are
deleted after their last row even where the process dies in between. A knowledge owns its files, whoever added them, and
has one of each name.
"""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, func, insert, or_, select, tuple_, update

from flowground.core.errors import InvalidRequest
from flowground.core.values import FileReference, SentFile
from flowground.core.words import write_size
from flowground.store import audit, tables
from flowground.store.sql import Statement, fetch_page, has_words, make_storable, read_moment, write_insert

SMALLEST = 4_096
"""Least bytes that a file counts as: what a file system uses for one."""
OF_KNOWLEDGE = "knowledge:"
"""The prefix of the owner of a knowledge's files."""
MOST_ADDED = 5_000
"""Most files that authors may add to one knowledge."""
_STEP = 200
"""Rows that one step reads."""
_f = tables.files.c
_l = tables.loose_files.c
_m = tables.messages.c
_counted = func.coalesce(func.sum(case((_f.size < SMALLEST, SMALLEST), else_=_f.size)), 0)
_COLUMNS = (_f.id, _f.name, _f.media_type, _f.size, _f.sha256, _f.owner, _f.flow_id, _f.message, _f.created_at)
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
    """A person's limit is reached, or the limit of all visitors of a flow."""

    code = "files_full"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's row. `message` is the id of the message with which it was sent."""

    reference: FileReference
    owner: str
    flow_id: str | None
    message: str | None
    created_at: datetime


@cache
def _add_loose(database: str) -> Any:
    made = write_insert(database, tables.loose_files)
    return made.on_conflict_do_update(index_elements=[_l.sha256], set_={"look_at": made.excluded.look_at})


def note_loose(connection: Connection, *, digests: Collection[str], look_at: float) -> None:
    """Marks these bytes as loose: from that time on (seconds since 1970) they are deleted unless a row has them."""
    rows = [{"sha256": digest, "look_at": look_at} for digest in sorted(set(digests))]
    if rows:
        connection.execute(_add_loose(connection.dialect.name), rows)


def add_file(
    connection: Connection,
    *,
    file: StoredFile,
    most: int,
    most_of_flow: int = 0,
    is_apart: bool = False,
) -> StoredFile:
    """Adds the row if its owner then has at most `most` bytes, and the visitors of its flow at most `most_of_flow`.

    0: no limit. `is_apart`: where another file of the owner for every flow has the name, a number is added to it.
    Raises FilesFull.
    """
    size = max(file.reference.size, SMALLEST)
    if most and measure(connection, owners=[file.owner]) + size > most:
        raise FilesFull(
            f"Your files would take more than {write_size(most)} together.", hint="Delete some, then try again."
        )
    visitors = (_f.flow_id == file.flow_id, _f.owner.startswith("visitor:"))
    if most_of_flow and _sum(connection, *visitors) + size > most_of_flow:
        raise FilesFull("This chat takes no more files at the moment.", hint="Send the message without one.")
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
    stem, ending = os.path.splitext(file.reference.name)
    alike = (_f.owner == file.owner, _f.flow_id.is_(None), _f.message.is_(None))
    taken = set(
        connection.scalars(select(_f.name).where(*alike, _f.name.startswith(make_storable(stem), autoescape=True)))
    )
    name, number = file.reference.name, 0
    while name in taken:
        number += 1
        name = f"{stem} ({number}){ending}"
    return replace(file, reference=replace(file.reference, name=name))


def measure(connection: Connection, *, owners: Collection[str]) -> int:
    """The bytes that the files of these owners use together."""
    return _sum(connection, _f.owner.in_(list(owners)))


def _sum(connection: Connection, *where: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(_counted).where(*where)) or 0)


def send_files(connection: Connection, *, files: Sequence[SentFile], message: str, owner: str, flow_id: str) -> None:
    """Makes the files part of the message, if it is stored. Returns nothing, so it can be written together with the
    turn's begin."""
    for file in files:
        into = {"kept": file.kept, "into": message}
        if file.kept == file.reference.id:
            _MOVE.run(connection, into)
        else:
            new = {"new": file.reference.id, "whose": owner, "at": time.time(), "of_flow": flow_id}
            _COPY.run(connection, into | new)


def find_file(connection: Connection, *, key: str, owners: Collection[str]) -> StoredFile | None:
    """A file of these owners, by its id."""
    wanted = select(*_COLUMNS).where(_f.id == make_storable(key), _f.owner.in_(list(owners)))
    return next((_read_row(row) for row in connection.execute(wanted)), None)


def find_present(connection: Connection, *, keys: Collection[str]) -> set[str]:
    """Those of these file ids that still exist."""
    return set(connection.scalars(select(_f.id).where(_f.id.in_(list(keys)))))


def find_named(
    connection: Connection, *, owners: Collection[str], flow_id: str | None, name: str, second: int | None = None
) -> StoredFile | None:
    """The newest file of this name that these owners have not sent: for this flow (None: for every flow), and of this
    `second`, if given."""
    wanted = [_f.owner.in_(list(owners)), _f.name == make_storable(name), _f.message.is_(None), _f.flow_id == flow_id]
    if second is not None:
        wanted += [_f.created_at >= second, _f.created_at < second + 1]
    found = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc()).limit(1))
    return next((_read_row(row) for row in found), None)


def list_unsent(
    connection: Connection, *, owners: Collection[str], flow_id: str | None, limit: int = 1_000
) -> list[StoredFile]:
    """These owners' unsent files for this flow (None: for every flow), newest first."""
    wanted = (_f.owner.in_(list(owners)), _f.message.is_(None), _f.flow_id == flow_id)
    rows = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc()).limit(limit))
    return [_read_row(row) for row in rows]


def list_page(
    connection: Connection, *, owners: Collection[str], words: str = "", limit: int, offset: int = 0
) -> tuple[list[StoredFile], int]:
    """A page of all files of these owners, newest first; and the number on all pages."""
    wanted = (_f.owner.in_(list(owners)), has_words(connection, words, _f.name))
    found = select(*_COLUMNS).where(*wanted).order_by(_f.created_at.desc(), _f.id)
    return fetch_page(connection, found, _read_row, limit=limit, offset=offset)


def rename_file(connection: Connection, *, key: str, owners: Collection[str], name: str) -> bool:
    """Renames the file. False where these owners have no such file."""
    mine = (_f.id == make_storable(key), _f.owner.in_(list(owners)))
    return connection.execute(update(tables.files).where(*mine).values(name=make_storable(name))).rowcount > 0


def delete_file(connection: Connection, *, key: str, owners: Collection[str]) -> bool:
    """Deletes the file; its message still names it. False where these owners have no such file."""
    return delete_rows(connection, _f.id == make_storable(key), _f.owner.in_(list(owners))) > 0


def delete_of_owners(connection: Connection, *, owners: Collection[str]) -> int:
    """Deletes some files of these owners; returns their number, 0 when none is left."""
    return delete_rows(connection, _f.owner.in_(list(owners)))


def delete_unsent(connection: Connection, *, before: float) -> int:
    """Deletes some files that were added on pages before then (seconds since 1970) and never sent."""
    on_pages = or_(*(_f.owner.startswith(kind) for kind in ("member:", "visitor:", "local:")))
    return delete_rows(connection, _f.message.is_(None), _f.created_at < before, on_pages)


def delete_old(connection: Connection, *, before: float) -> int:
    """Deletes some files without message and knowledge that were added before then (seconds since 1970)."""
    return delete_rows(connection, _f.message.is_(None), _f.created_at < before, ~_f.owner.startswith(OF_KNOWLEDGE))


def delete_rows(connection: Connection, *where: ColumnElement[bool]) -> int:
    """Deletes at most 200 of these rows and marks their bytes as loose; returns the number."""
    rows = connection.execute(select(_f.id, _f.sha256).where(*where).limit(_STEP)).all()
    if rows:
        note_loose(connection, digests=[row.sha256 for row in rows], look_at=time.time())
        connection.execute(delete(tables.files).where(_f.id.in_([row.id for row in rows])))
    return len(rows)


def delete_of_messages(connection: Connection, *, messages: Sequence[str]) -> None:
    """Deletes all files of these messages, which are deleted too."""
    while messages and delete_rows(connection, _f.message.in_(list(messages))):
        pass


def list_loose(connection: Connection, *, at: float) -> dict[str, float]:
    """Digests of loose bytes that are due, with the time from which they are."""
    wanted = select(_l.sha256, _l.look_at).where(_l.look_at <= at).order_by(_l.look_at).limit(_STEP)
    return {row.sha256: row.look_at for row in connection.execute(wanted)}


def find_kept(connection: Connection, *, digests: Collection[str]) -> set[str]:
    """Those of these digests that a row has."""
    return set(connection.scalars(select(_f.sha256).where(_f.sha256.in_(list(digests))).distinct()))


def end_loose(connection: Connection, *, looked_at: Mapping[str, float]) -> int:
    """Deletes the loose marks of `list_loose`, except those that were renewed since; returns the number."""
    done = delete(tables.loose_files).where(tuple_(_l.sha256, _l.look_at).in_(looked_at.items()))
    return connection.execute(done).rowcount


def _read_row(row: Any) -> StoredFile:
    key, name, media_type, size, sha256, owner, flow_id, message, at = row
    return StoredFile(FileReference(key, name, media_type, size, sha256), owner, flow_id, message, read_moment(at))


@dataclass(frozen=True, slots=True)
class AddedFiles:
    """The files that authors added to the knowledge at an address: `size` in bytes, `newest` the time of the last."""

    address: str
    count: int
    size: int
    newest: datetime


def list_added(connection: Connection) -> Sequence[AddedFiles]:
    """The added files of every knowledge, by address, whether a flow uses it or not."""
    figures = (func.count(), func.sum(_f.size), func.max(_f.created_at))
    mine = _f.owner.startswith(OF_KNOWLEDGE)
    rows = connection.execute(select(_f.owner, *figures).where(mine).group_by(_f.owner).order_by(_f.owner))
    return [
        AddedFiles(owner.removeprefix(OF_KNOWLEDGE), number, int(size), read_moment(newest))
        for owner, number, size, newest in rows
    ]


def add_knowledge_file(connection: Connection, *, file: StoredFile, most: int, by: str) -> StoredFile:
    """Adds the row in place of an older one of the same name, if the knowledge then has at most `most` bytes; 0: no
    limit. `by` is an `Owner`. Raises FilesFull."""
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
    """Deletes a file of a knowledge. False where the knowledge has no file of this id."""
    file = find_file(connection, key=key, owners=[owner])
    if file is None or not delete_file(connection, key=key, owners=[owner]):
        return False
    audit.record(connection, actor=by, action="knowledge.file_removed", subject=_write_subject(file))
    return True


def remove_knowledge_files(connection: Connection, *, owner: str, by: str) -> int:
    """Deletes all files of a knowledge; returns their number."""
    number = 0
    while gone := delete_of_owners(connection, owners=[owner]):
        number += gone
    if number:
        subject = f"{owner.removeprefix(OF_KNOWLEDGE)}: all {number}"
        audit.record(connection, actor=by, action="knowledge.file_removed", subject=subject)
    return number


def _write_subject(file: StoredFile) -> str:
    return f"{file.owner.removeprefix(OF_KNOWLEDGE)}: {file.reference.name}"
