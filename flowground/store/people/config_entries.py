"""The members of config.yaml, imported into the database when a process starts.

From then on only the database says who they are: somebody who left the file, or has a new password there, is signed out
in every process at once. A name that left the file keeps its row, which is not `present`: if the name returns with the
same password, it is the same person, as after a start with the wrong file. `identities` has the ids of entries.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection, delete, select

from flowground.core.caller import Role
from flowground.core.errors import ConfigError
from flowground.store import audit, tables
from flowground.store.people import identities, members, sign_ins
from flowground.store.sql import add_row, has_row, mark_rights_change

What = Literal["gone", "back", "new_password", "replaced", "new"]
_BY = "config.yaml"
_c = tables.config_entries.c
_e = identities.everyone.c
_p = tables.passwords.c


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A member as the file has them. `fingerprint` changes with the password, and reveals nothing of it.

    `id` is the member's, where the file has it: then the entry is the same person under any name. `password` is a
    bcrypt hash, or plain text that meets the rules and is not hashed yet (`is_plain`), or None.
    """

    name: str
    display_name: str
    role: Role
    email: str | None
    fingerprint: str
    id: str | None = None
    password: str | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """An entry as the database has it; `id` is the member's."""

    id: str
    name: str
    fingerprint: str
    email: str | None
    present: bool
    display_name: str
    role: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """An entry of the file, and the stored entry of the same person or of the name's earlier owner.

    `what` None: no right ends. `sets_password`: the file's password is stored; otherwise one that was set in the app
    may stay.
    """

    entry: ConfigEntry
    before: _Kept | None
    what: What | None
    sets_password: bool


@mark_rights_change
def import_entries(connection: Connection, *, entries: Sequence[ConfigEntry]) -> tuple[dict[str, What], frozenset[str]]:
    """Replaces the stored entries by the file's, and ends rights that no longer hold; returns the changed names with
    the reasons.

    Where plain passwords have to be hashed first, nothing is changed, and the second value has the names of these
    entries. Of processes that start together, one finds the change. Raises ConfigError for a name or id of somebody
    else.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE config_entries IN EXCLUSIVE MODE")
    kept = _read_kept(connection)
    _refuse_shared(connection, kept, entries)
    pairs = list(_match_entries(connection, kept, entries))
    if plain := frozenset(pair.entry.name for pair in pairs if pair.sets_password and pair.entry.is_plain):
        return {}, plain
    met = {pair.before.id for pair in pairs if pair.before is not None}
    names, claimed = {entry.name for entry in entries}, {entry.id for entry in entries if entry.id}
    gone = [entry for entry in kept if entry.id not in met]
    changes: dict[str, What] = {pair.entry.name: pair.what for pair in pairs if pair.what is not None}
    for entry in gone:
        if entry.present or entry.name in names:
            changes[entry.name] = "replaced" if entry.name in names else "gone"
            _end(connection, entry, changes[entry.name])
    now = [_store_entry(connection, pair, claimed) for pair in pairs]
    following = [*now, *(replace(entry, present=False) for entry in gone if entry.name not in names)]
    if {*following} != {*kept}:
        _write_kept(connection, following)  # only changes are written, so that a full disk does not prevent the start
    if entries:
        members.mark_account_created(connection)
    return changes, frozenset()


def _refuse_shared(connection: Connection, kept: Sequence[_Kept], entries: Sequence[ConfigEntry]) -> None:
    """Raises ConfigError for names and ids of other people. Ids of removed people are refused too, since their data may
    not be deleted yet."""
    written = {entry.id: entry.name for entry in entries if entry.id}
    names = [entry.name for entry in entries]
    stored = select(_e.id, _e.name).where(_e.source == "database", _e.name.in_(names) | _e.id.in_(list(written)))
    for member, name in connection.execute(stored.order_by(_e.name)):
        if name in names:
            raise ConfigError(
                f"credentials.usernames.{name}: the database has a member of this name too",
                hint=f"Take it out of config.yaml, or run: python -m flowground members remove {name} "
                f"(or: members rename {name} NEW)",
            )
        raise ConfigError(
            f"credentials.usernames.{written[member]}.id: it is the id of {name} in the database",
            hint="Give the entry another id, or none.",
        )
    for member in sorted(written.keys() - {entry.id for entry in kept}):
        if identities.is_retired(connection, member=member):
            raise ConfigError(
                f"credentials.usernames.{written[member]}.id: it was the id of somebody who was removed",
                hint="Give the entry another id, or none.",
            )


def _read_kept(connection: Connection) -> list[_Kept]:
    rows = connection.execute(select(tables.identities.c.member, *_c).select_from(identities.entries))
    return [_Kept(*row) for row in rows]


def _match_entries(connection: Connection, kept: Sequence[_Kept], entries: Sequence[ConfigEntry]) -> Iterator[_Pair]:
    claimed = {entry.id for entry in entries}
    by_id = {entry.id: entry for entry in kept}
    by_name = {entry.name: entry for entry in kept if entry.id not in claimed}
    for entry in sorted(entries, key=lambda one: one.name):
        before = by_id.get(entry.id) if entry.id else by_name.get(entry.name)
        what = _compare(before, entry)
        has_password = before is not None and has_row(connection, _p.member == before.id)
        yield _Pair(entry, before, what, sets_password=what is not None or not has_password)


def _compare(before: _Kept | None, entry: ConfigEntry) -> What | None:
    if before is None:
        return "new"
    is_same = before.fingerprint == entry.fingerprint
    if not before.present:
        return "back" if is_same or entry.id else "replaced"
    if is_same:
        return None
    is_other = before.email and entry.email and before.email.casefold() != entry.email.casefold()
    return "replaced" if is_other and not entry.id else "new_password"


def _store_entry(connection: Connection, pair: _Pair, claimed: Collection[str]) -> _Kept:
    """Ends rights that ended, stores the password, and returns the entry as it is kept from now on.

    `claimed` are the ids in the file. An entry without an email keeps the earlier one, unless the name is somebody
    else's now.
    """
    entry, before = pair.entry, pair.before
    if before is not None and pair.what is not None:
        _end(connection, before, pair.what)
        before = None if pair.what == "replaced" else before
    if before is None:
        member = entry.id or identities.choose_id(connection, name=entry.name, others=claimed)
        audit.record(connection, actor=_BY, action="member.added", subject=member)
    else:
        member = before.id
        if before.name != entry.name:
            sign_ins.rename_attempts(connection, old=before.name, new=entry.name)
            audit.record(connection, actor=_BY, action="member.renamed", subject=f"{member} {entry.name}")
    if pair.sets_password and entry.password:
        connection.execute(delete(tables.passwords).where(_p.member == member))
        add_row(connection, tables.passwords, member=member, hash=entry.password, changed_at=time.time())
    email = entry.email or (before.email if before else None)
    return _Kept(member, entry.name, entry.fingerprint, email, True, entry.display_name, entry.role)


def _end(connection: Connection, before: _Kept, what: What) -> None:
    """Ends sign-ins, links, tokens and the password. Conversations are deleted where the name is somebody else's now;
    those of an absent name stay, in case the same person returns."""
    end = members.forget if what == "replaced" else members.end_rights
    end(connection, member=before.id, by=_BY)
    audit.record(connection, actor=_BY, action=f"member.{what}", subject=before.id)


def _write_kept(connection: Connection, entries: Sequence[_Kept]) -> None:
    connection.execute(delete(tables.config_entries))
    connection.execute(delete(tables.identities).where(tables.identities.c.provider == "config"))
    for entry in entries:
        row = {column.name: getattr(entry, column.name) for column in tables.config_entries.c}
        add_row(connection, tables.config_entries, **row)
        identities.set_name(connection, "config", member=entry.id, name=entry.name)
