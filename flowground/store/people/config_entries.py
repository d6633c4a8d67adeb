"""What config.yaml said of its members at the last start, so that a start can end the rights of those who changed.

A name that the file no longer has keeps its row: if it comes back with the same password, it is the same person, as
after a start with the wrong file.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, select

from flowground.store import audit, tables
from flowground.store.people import members
from flowground.store.sql import add_row, has_row

_BY = "config.yaml"
_KNOWN = "config_entries_known"
_c = tables.config_entries.c

What = Literal["gone", "back", "new_password", "replaced", "new"]
_OTHERS: tuple[What, ...] = ("new", "replaced")
"""Changes after which a name is somebody else's."""
_Kept = Mapping[str, Any]
"""Name -> its row, as it was at the last start that named it; `present`: that was the last start of all."""


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """`fingerprint` changes with the password, and tells nothing of it."""

    fingerprint: str
    email: str | None


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What became of a name since the last start; its rights of before have ended."""

    name: str
    what: What


def reconcile(connection: Connection, *, entries: Mapping[str, ConfigEntry]) -> list[ConfigChange]:
    """Compares the file's members, by clean name, with those of the last start, and ends what no longer holds.

    The first start that remembers them ends nothing. Processes that start together agree: one of them finds the change.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE config_entries IN EXCLUSIVE MODE")
    kept: _Kept = {row.name: row for row in connection.execute(select(tables.config_entries))}
    changes: list[ConfigChange] = []
    if has_row(connection, tables.marks.c.name == _KNOWN):
        changes = list(_compare(kept, entries))
        for change in changes:
            _end_rights(connection, change)
    else:
        add_row(connection, tables.marks, name=_KNOWN, made_at=time.time())
    _replace_kept(connection, kept, entries, others={change.name for change in changes if change.what in _OTHERS})
    return changes


def _compare(kept: _Kept, entries: Mapping[str, ConfigEntry]) -> Iterator[ConfigChange]:
    for name in sorted(kept.keys() | entries.keys()):
        before, entry = kept.get(name), entries.get(name)
        if entry is None:
            if before is not None and before.present:
                yield ConfigChange(name, "gone")
        elif before is None:
            yield ConfigChange(name, "new")
        elif not before.present:
            yield ConfigChange(name, "back" if before.fingerprint == entry.fingerprint else "new")
        elif before.fingerprint != entry.fingerprint:
            is_other = before.email and entry.email and before.email.casefold() != entry.email.casefold()
            yield ConfigChange(name, "replaced" if is_other else "new_password")


def _end_rights(connection: Connection, change: ConfigChange) -> None:
    """Ends sign-ins, links, tokens and a password set in the app. What was said is deleted where the name is somebody
    else's now; of a name that is gone it stays, in case the same person comes back."""
    name = change.name
    if change.what == "gone" and has_row(connection, tables.members.c.name == name):
        return  # the name is one of the database's by now, and began anew when it was added
    if change.what in _OTHERS:
        members.forget(connection, name=name, by=_BY)
    else:
        members.end_rights(connection, name=name, by=_BY)
    audit.record(connection, actor=_BY, action=f"member.{change.what}", subject=name)


def _replace_kept(
    connection: Connection,
    kept: _Kept,
    entries: Mapping[str, ConfigEntry],
    *,
    others: Collection[str],
) -> None:
    """Keeps the file's members, and those it no longer has whose name is nobody's in the database.

    An entry without an email keeps the one of before, unless the name is one of `others`: somebody else's now.
    """
    gone = {
        name: entry
        for name, entry in kept.items()
        if name not in entries and not has_row(connection, tables.members.c.name == name)
    }
    connection.execute(delete(tables.config_entries))
    for name, entry in {**gone, **entries}.items():
        email = entry.email
        if not email and name in kept and name not in others:
            email = kept[name].email
        present, fingerprint = name in entries, entry.fingerprint
        add_row(connection, tables.config_entries, name=name, fingerprint=fingerprint, email=email, present=present)
