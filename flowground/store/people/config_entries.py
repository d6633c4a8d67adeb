"""What config.yaml said of its members at the last start, so that a start can end the rights of those who changed.

A name that the file no longer has keeps its row: if it comes back with the same password, it is the same person, as
after a start with the wrong file. Which id an entry has stands in `identities`: the name's, until it became somebody
else's.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection, delete, select

from flowground.store import audit, tables
from flowground.store.people import attempts, identities, members
from flowground.store.sql import add_row, has_row, mark_rights_change

_BY = "config.yaml"
_KNOWN = "config_entries_known"
_c = tables.config_entries.c

What = Literal["gone", "back", "new_password", "replaced", "new"]
_OTHERS: tuple[What, ...] = ("new", "replaced")
"""Changes after which a name is somebody else's."""


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """`fingerprint` changes with the password, and tells nothing of it. `id` is the member's, where the file says so:
    then the entry is the same person under whatever name."""

    fingerprint: str
    email: str | None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What became of a name since the last start; its rights of before have ended."""

    name: str
    what: What


@dataclass(frozen=True, slots=True)
class _Kept:
    """An entry as it was at the last start that named it; `present`: that was the last start of all."""

    id: str
    name: str
    fingerprint: str
    email: str | None
    present: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """An entry of the file and what was kept of the same person, or of whoever had the name."""

    name: str
    entry: ConfigEntry
    before: _Kept | None
    what: What | None
    """None: nothing that ends a right."""


@mark_rights_change
def reconcile(connection: Connection, *, entries: Mapping[str, ConfigEntry]) -> list[ConfigChange]:
    """Compares the file's members, by clean name, with those of the last start, ends what no longer holds, and gives
    ids to those who are new (`identities.read_config_ids` has them then).

    The first start that remembers them ends nothing. Processes that start together agree: one of them finds the change.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE config_entries IN EXCLUSIVE MODE")
    kept = _read_kept(connection)
    is_known = has_row(connection, tables.marks.c.name == _KNOWN)
    if not is_known:
        add_row(connection, tables.marks, name=_KNOWN, made_at=time.time())
    pairs = list(_match_entries(connection, kept, entries, is_known=is_known))
    met = {pair.before.id for pair in pairs if pair.before is not None}
    gone = [entry for entry in kept if entry.id not in met]
    changes = [ConfigChange(entry.name, "gone") for entry in gone if entry.present]
    for entry in gone:
        if entry.present and not _is_stored(connection, entry):
            _end(connection, entry, "gone")
    claimed = {entry.id for entry in entries.values() if entry.id}
    now = [_settle(connection, pair, claimed) for pair in pairs]
    changes += [ConfigChange(pair.name, pair.what) for pair in pairs if pair.what is not None]
    names = {entry.name for entry in now}
    left = [entry for entry in gone if entry.name not in names and not _is_stored(connection, entry)]
    following = [*now, *(replace(entry, present=False) for entry in left)]
    if {*following} != {*kept} or len(identities.read_config_ids(connection)) != len(kept):
        _write_kept(connection, following)  # where nothing changed, nothing is written: the disk may be full
    return sorted(changes, key=lambda change: change.name)


def find_retired(connection: Connection, *, ids: Collection[str]) -> frozenset[str]:
    """Those of these ids whose members were removed. An entry that a release before gave such an id keeps it."""
    kept = {entry.id for entry in _read_kept(connection)}
    return frozenset(
        member for member in ids if member not in kept and identities.is_retired(connection, member=member)
    )


def _read_kept(connection: Connection) -> list[_Kept]:
    ids = identities.read_config_ids(connection)
    rows = connection.execute(select(_c.name, _c.fingerprint, _c.email, _c.present))
    return [_Kept(ids.get(name, name), name, *others) for name, *others in rows]


def _match_entries(
    connection: Connection, kept: list[_Kept], entries: Mapping[str, ConfigEntry], *, is_known: bool
) -> Iterator[_Pair]:
    by_id, by_name = {entry.id: entry for entry in kept}, {entry.name: entry for entry in kept}
    claimed = {entry.id for entry in entries.values()}
    for name, entry in sorted(entries.items()):
        before = by_id.get(entry.id) if entry.id else by_name.get(name)
        if not entry.id and before is not None and (before.id in claimed or _is_stored(connection, before)):
            before = None  # the id is another entry's by now, or of a member of the database
        what = _compare(before, entry) if is_known else None
        yield _Pair(name, entry, before, what)


def _compare(before: _Kept | None, entry: ConfigEntry) -> What | None:
    if before is None:
        return "new"
    is_same = before.fingerprint == entry.fingerprint
    if not before.present:
        return "back" if is_same or entry.id else "new"
    if is_same:
        return None
    is_other = before.email and entry.email and before.email.casefold() != entry.email.casefold()
    return "replaced" if is_other and not entry.id else "new_password"


def _settle(connection: Connection, pair: _Pair, claimed: Collection[str]) -> _Kept:
    """Ends what ended, and gives the entry as it is kept from now on. `claimed` are ids that entries say they have.

    One without an email keeps the one of before, unless the name is somebody else's now.
    """
    name, entry, before, what = pair.name, pair.entry, pair.before, pair.what
    if before is not None and what is not None:
        _end(connection, before, what)
    if what in _OTHERS:
        member = entry.id or identities.choose_id(connection, name=name, others=claimed)
        audit.record(connection, actor=_BY, action="member.added", subject=member)
        return _Kept(member, name, entry.fingerprint, entry.email, present=True)
    if before is None:
        member = entry.id or _choose_first_id(connection, name, claimed)
        return _Kept(member, name, entry.fingerprint, entry.email, present=True)
    if before.name != name:
        attempts.rename(connection, old=before.name, new=name)
        audit.record(connection, actor=_BY, action="member.renamed", subject=f"{before.id} {name}")
    return _Kept(entry.id or before.id, name, entry.fingerprint, entry.email or before.email, present=True)


def _choose_first_id(connection: Connection, name: str, claimed: Collection[str]) -> str:
    """At the first start that remembers entries: under the name may stand what this member has from releases before.

    Where the name is another person's id, it is theirs.
    """
    is_another = has_row(connection, tables.members.c.id == name) or identities.is_retired(connection, member=name)
    if is_another or name in claimed:
        return identities.choose_id(connection, name=name, others=claimed)
    return name


def _end(connection: Connection, before: _Kept, what: What) -> None:
    """Ends sign-ins, links, tokens and a password set in the app. What was said is deleted where the name is somebody
    else's now; of a name that is gone it stays, in case the same person comes back."""
    end = members.forget if what in _OTHERS else members.end_rights
    end(connection, member=before.id, by=_BY)
    audit.record(connection, actor=_BY, action=f"member.{'replaced' if what == 'new' else what}", subject=before.id)


def _is_stored(connection: Connection, entry: _Kept) -> bool:
    """Whether a release before made a member of the database under the id: it began anew then."""
    return has_row(connection, tables.members.c.id == entry.id)


def _write_kept(connection: Connection, entries: list[_Kept]) -> None:
    connection.execute(delete(tables.config_entries))
    connection.execute(delete(tables.identities).where(tables.identities.c.provider == "config"))
    for entry in entries:
        row = {"name": entry.name, "fingerprint": entry.fingerprint, "email": entry.email, "present": entry.present}
        add_row(connection, tables.config_entries, **row)
        identities.set_name(connection, "config", member=entry.id, name=entry.name)
