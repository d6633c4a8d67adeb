"""What config.yaml said of its members at the last start: what was taken out or replaced there ends here.

The file has no history and nobody is told when it changes; so each start compares. A name that the file no longer has
keeps its row: who comes back with the same password is the same person, as after a start with the wrong file.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from flowground.store import audit, tables
from flowground.store.people import members, password_links, sign_ins, tokens

_BY = "config.yaml"
_KNOWN = "config_entries_known"
_c = tables.config_entries.c

What = Literal["gone", "back", "new_password", "replaced", "new"]


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """`fingerprint` changes with the password, and tells nothing of it."""

    fingerprint: str
    email: str | None


@dataclass(frozen=True, slots=True)
class _Stored(ConfigEntry):
    """As it was at the last start that named it; `present`: that was the last start of all."""

    present: bool


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What became of a name since the last start; its rights of before have ended."""

    name: str
    what: What


def settle(connection: Connection, *, entries: Mapping[str, ConfigEntry]) -> list[ConfigChange]:
    """Compares the file's members, by clean name, with those of the last start, and ends what no longer holds.

    The first start that remembers them ends nothing. Processes that start together agree: one of them finds the change.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE config_entries IN EXCLUSIVE MODE")
    stored = {
        row.name: _Stored(row.fingerprint, row.email, row.present)
        for row in connection.execute(select(_c.name, _c.fingerprint, _c.email, _c.present))
    }
    is_first = connection.execute(select(tables.marks.c.name).where(tables.marks.c.name == _KNOWN)).first() is None
    changes = [] if is_first else list(_changes(stored, entries))
    for change in changes:
        _end(connection, change)
    if is_first:
        connection.execute(insert(tables.marks).values(name=_KNOWN, made_at=time.time()))
    missing = {
        name: kept for name, kept in stored.items() if name not in entries and not _is_in_database(connection, name)
    }
    connection.execute(delete(tables.config_entries))
    others = {change.name for change in changes if change.what in ("new", "replaced")}
    rows = [
        {"name": name, "fingerprint": entry.fingerprint, "email": entry.email, "present": name in entries}
        for name, entry in {**missing, **entries}.items()
    ]
    for row in rows:  # a start that leaves the email out forgets none, unless the name is somebody else's now
        name = str(row["name"])
        if not row["email"] and name in stored and name not in others:
            row["email"] = stored[name].email
    if rows:
        connection.execute(insert(tables.config_entries), rows)
    return changes


def _changes(stored: Mapping[str, _Stored], entries: Mapping[str, ConfigEntry]) -> Iterator[ConfigChange]:
    for name in sorted(stored.keys() | entries.keys()):
        kept, entry = stored.get(name), entries.get(name)
        if entry is None:
            if kept is not None and kept.present:
                yield ConfigChange(name, "gone")
        elif kept is None:
            yield ConfigChange(name, "new")
        elif not kept.present:
            yield ConfigChange(name, "back" if kept.fingerprint == entry.fingerprint else "new")
        elif kept.fingerprint != entry.fingerprint:
            is_other = kept.email and entry.email and kept.email.casefold() != entry.email.casefold()
            yield ConfigChange(name, "replaced" if is_other else "new_password")


def _is_in_database(connection: Connection, name: str) -> bool:
    return members.find(connection, name=name).member is not None


def _end(connection: Connection, change: ConfigChange) -> None:
    """Ends sign-ins, links, tokens and a password set in the app. What was said is deleted where the name is somebody
    else's now; of a name that is gone it stays, in case the same person comes back."""
    name = change.name
    if change.what == "gone" and _is_in_database(connection, name):
        return  # the name is one of the database's by now, and began anew when it was added
    if change.what in ("new", "replaced"):
        members.forget(connection, name=name, by=_BY)
    else:
        members.forget_password(connection, name=name)
        password_links.end_all(connection, member=name)
        sign_ins.revoke_all(connection, member=name, by=_BY)
        tokens.revoke_all(connection, owner=name, by=_BY)
    audit.record(connection, actor=_BY, action=f"member.{change.what}", subject=name)
