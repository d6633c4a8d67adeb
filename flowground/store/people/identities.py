"""The ids of all members, and the names they sign in with.

Two tables hold members: those added in the app or on the command line, and those of config.yaml as it named them last
(`config_entries`). `everyone` joins both. A name can change and pass to somebody else; an id is one person's forever:
the name that the member was made with if it never was an id, else the name, `~` and random letters.
"""

import hashlib
import secrets
import time
from collections.abc import Collection
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    delete,
    func,
    literal_column,
    select,
    union_all,
)

from flowground.core.caller import Owner
from flowground.store import tables
from flowground.store.sql import add_row, has_row

IdentityProvider = Literal["config", "password"]
ID_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_RANDOM_LETTERS = 4
_i = tables.identities.c
_m = tables.members.c
_c = tables.config_entries.c
entries = tables.config_entries.join(tables.identities, (_i.provider == "config") & (_i.subject == _c.name))
everyone = union_all(
    select(
        _m.id.label("id"),
        _i.subject.label("name"),
        _m.display_name,
        _m.email,
        _m.role,
        _m.active,
        literal_column("'database'").label("source"),
    ).join_from(tables.members, tables.identities, (_i.member == _m.id) & (_i.provider == "password")),
    select(_i.member, _c.name, _c.display_name, _c.email, _c.role, _c.present, literal_column("'config'")).select_from(
        entries
    ),
).subquery("everyone")
"""Members with their sign-in names. `active` is False for deactivated members, and for those who left config.yaml."""
_e = everyone.c


def select_present_role(member: ColumnElement[str | None]) -> ColumnElement[str | None]:
    """The role of the active member with this id; NULL where there is none. Read by keys, because every request
    asks."""
    stored: ScalarSelect[str] = select(_m.role).where(_m.id == member, _m.active).scalar_subquery()
    entry = select(_c.role).select_from(entries).where(_i.member == member, _c.present)
    return func.coalesce(stored, entry.scalar_subquery())


def choose_id(connection: Connection, *, name: str, others: Collection[str] = ()) -> str:
    """An id that nobody ever had, for a person of this name. `others` count as taken."""
    chosen = name
    while chosen in others or _was_used(connection, chosen):
        chosen = f"{name}~{''.join(secrets.choice(ID_LETTERS) for _ in range(_RANDOM_LETTERS))}"
    return chosen


def end(connection: Connection, *, member: str) -> None:
    """Ends the member's identities. The id is remembered as used, the name becomes free."""
    named = select(_i.subject).where(_i.member == member, _i.provider == "config")
    connection.execute(delete(tables.config_entries).where(_c.name.in_(named)))
    connection.execute(delete(tables.identities).where(_i.member == member))
    if not has_row(connection, tables.used_ids.c.digest == _digest(member)):
        add_row(connection, tables.used_ids, digest=_digest(member), used_at=time.time())


def find_id(connection: Connection, *, name: str) -> str | None:
    """The member who signs in by this name; None where there is none."""
    wanted = select(_e.id).where(_e.name == name)
    found: str | None = connection.scalar(wanted.order_by(_e.id == name).limit(1))
    return found


def find_name(connection: Connection, *, member: str) -> str:
    """The name by which a member signs in."""
    return connection.scalar(select(_i.subject).where(_i.member == member).limit(1)) or member


def list_names(connection: Connection) -> dict[str, str]:
    """The sign-in name of each id."""
    return {row.id: row.name for row in connection.execute(select(_e.id, _e.name))}


def set_name(connection: Connection, provider: IdentityProvider, *, member: str, name: str) -> None:
    """Gives the member this free name to sign in with; the earlier one becomes free."""
    stale = (_i.provider == provider) & ((_i.member == member) | (_i.subject == name))
    connection.execute(delete(tables.identities).where(stale))
    add_row(connection, tables.identities, provider=provider, subject=name, member=member, made_at=time.time())


def is_retired(connection: Connection, *, member: str) -> bool:
    """Whether the id was a removed member's."""
    return has_row(connection, tables.used_ids.c.digest == _digest(member))


def _was_used(connection: Connection, member: str) -> bool:
    """Whether somebody has or had this id. Of people who were removed long ago only their data may tell that."""
    owners = [str(Owner("member", member)), str(Owner("programs", member))]
    return (
        has_row(connection, _i.member == member)
        or is_retired(connection, member=member)
        or has_row(connection, _c.name == member)
        or has_row(connection, tables.tokens.c.owner == member)
        or has_row(connection, tables.sessions.c.owner.in_(owners))
    )


def _digest(member: str) -> str:
    return hashlib.sha256(member.encode()).hexdigest()
