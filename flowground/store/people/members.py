"""Members that were invited in the app or on the command line, and passwords set there.

Members of config.yaml are not stored; `sign_in` puts the two together. A password set in the app for a config member
is stored here, under the same name.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, select, update

from flowground.caller import Role
from flowground.errors import InvalidRequest, NotAllowed
from flowground.store import audit, tables
from flowground.store.flows import publications
from flowground.store.people import access_requests, groups, password_links, sign_ins, tokens
from flowground.store.runs import transcripts
from flowground.store.sql import add_row, has_row

MemberSource = Literal["config", "database"]
_ACCOUNT_CREATED = "account_created"
_m = tables.members.c
_p = tables.passwords.c
_e = tables.config_entries.c
_MEMBERS = select(_m.name, _m.display_name, _m.email, _m.role, _m.active, _p.name.label("password_of")).outerjoin_from(
    tables.members, tables.passwords, _p.name == _m.name
)


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the organization. One that is not `is_active` can do nothing, and may be made active again."""

    name: str
    display_name: str
    email: str | None
    role: Role
    has_password: bool
    source: MemberSource
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class StoredMember:
    """What the database knows under one name; `password` is a bcrypt hash."""

    member: Member | None
    password: str | None


def add(
    connection: Connection,
    *,
    name: str,
    display_name: str,
    role: Role,
    email: str | None = None,
    password: str | None = None,
    by: str,
) -> Member:
    """`password` is a bcrypt hash. Raises InvalidRequest when the name is taken."""
    if has_row(connection, _m.name == name):
        raise InvalidRequest(f"There is already a member {name}.")
    forget(connection, name=name, by=by)
    now = time.time()
    row = {"name": name, "display_name": display_name, "email": email, "role": role, "active": True, "created_at": now}
    add_row(connection, tables.members, **row)
    if password is not None:
        add_row(connection, tables.passwords, name=name, hash=password, changed_at=now)
    mark_account_created(connection)
    audit.record(connection, actor=by, action="member.added", subject=name)
    return Member(name, display_name, email, role, password is not None, "database")


def add_first(connection: Connection, *, name: str, display_name: str, password: str, by: str) -> Member:
    """The account that ends local mode: an admin, with what `by` said and kept so far.

    Raises NotAllowed when there was one before.
    """
    if has_had_account(connection):
        raise NotAllowed("The first account was created already.", hint="Sign in instead.")
    member = add(connection, name=name, display_name=display_name, role="admin", password=password, by=by)
    transcripts.hand_over(connection, old=by, new=f"member:{name}", by=by)
    return member


def find(connection: Connection, *, name: str) -> StoredMember:
    row = connection.execute(_MEMBERS.where(_m.name == name)).first()
    password = connection.execute(select(_p.hash).where(_p.name == name)).scalar()
    return StoredMember(_read_member(row) if row else None, password)


def list_members(connection: Connection) -> list[Member]:
    """By name."""
    return [_read_member(row) for row in connection.execute(_MEMBERS.order_by(_m.name))]


def list_names_with_password(connection: Connection) -> frozenset[str]:
    return frozenset(connection.execute(select(_p.name)).scalars())


def remove(connection: Connection, *, name: str, by: str, keep_admin: bool = False) -> bool:
    """Removes the member with their conversations, ends their sign-ins, revokes their tokens.

    False when there is no such member. `keep_admin`: raises NotAllowed when nobody else could administer.
    """
    if keep_admin:
        _require_another_admin(connection, name)
    if connection.execute(delete(tables.members).where(_m.name == name)).rowcount == 0:
        return False
    forget(connection, name=name, by=by)
    audit.record(connection, actor=by, action="member.removed", subject=name)
    return True


def set_password(connection: Connection, *, name: str, password: str, by: str) -> None:
    """`password` is a bcrypt hash. Ends all sign-ins of the member, and the links that could set another."""
    password_links.end_all(connection, member=name)
    connection.execute(delete(tables.passwords).where(_p.name == name))
    add_row(connection, tables.passwords, name=name, hash=password, changed_at=time.time())
    sign_ins.revoke_all(connection, member=name, by=by)
    audit.record(connection, actor=by, action="member.password_set", subject=name)


def set_password_by_link(connection: Connection, *, link: str, password: str) -> bool:
    """As `set_password`, for whoever has the link (its hash); of several tries at once, one succeeds."""
    used = password_links.use(connection, hashed=link)
    if used is None:
        return False
    set_password(connection, name=used.member, password=password, by=f"member:{used.member}")
    return True


def set_role(connection: Connection, *, name: str, role: Role, by: str, keep_admin: bool = False) -> bool:
    """Acts at once, on open pages too. False when there is no such member; `keep_admin` as in `remove`."""
    if keep_admin and role != "admin":
        _require_another_admin(connection, name)
    changed = update(tables.members).where(_m.name == name).values(role=role)
    return audit.execute(connection, changed, actor=by, action=f"member.role_{role}", subject=name)


def set_active(connection: Connection, *, name: str, is_active: bool, by: str, keep_admin: bool = False) -> bool:
    """A member that is not active is signed out everywhere. False when there is no such member."""
    if keep_admin and not is_active:
        _require_another_admin(connection, name)
    changed = update(tables.members).where(_m.name == name).values(active=is_active)
    if connection.execute(changed).rowcount == 0:
        return False
    if not is_active:
        password_links.end_all(connection, member=name)
        sign_ins.revoke_all(connection, member=name, by=by)
    action = "member.activated" if is_active else "member.deactivated"
    audit.record(connection, actor=by, action=action, subject=name)
    return True


def has_had_account(connection: Connection) -> bool:
    """Once true it stays so: a database whose members are gone does not go back to local mode."""
    return has_row(connection, tables.marks.c.name == _ACCOUNT_CREATED)


def mark_account_created(connection: Connection) -> None:
    if not has_had_account(connection):
        add_row(connection, tables.marks, name=_ACCOUNT_CREATED, made_at=time.time())


def _require_another_admin(connection: Connection, name: str) -> None:
    """In the transaction of the change itself: two admins cannot remove each other at once."""
    able = select(_m.name).join_from(tables.members, tables.passwords, _p.name == _m.name)
    admins = set(connection.scalars(able.where(_m.role == "admin", _m.active)))
    if admins == {name}:
        raise NotAllowed(f"Without {name} nobody could administer.", hint="Make somebody else an admin first.")


def forget(connection: Connection, *, name: str, by: str) -> None:
    """Deletes all that belongs to a name, so that whoever gets the name next finds none of it.

    `add` calls it too: a name that left config.yaml was never removed.
    """
    keys = tokens.list_owner_keys(connection, member=name)
    connection.execute(delete(tables.sessions).where(tables.sessions.c.owner.in_(keys)))
    connection.execute(delete(tables.presets).where(tables.presets.c.owner == f"member:{name}"))
    connection.execute(delete(tables.config_entries).where(_e.name == name, _e.present.is_(False)))
    publications.forget(connection, kind="member", name=name)
    groups.forget_member(connection, name=name)
    access_requests.forget(connection, member=name)
    end_rights(connection, name=name, by=by)


def end_rights(connection: Connection, *, name: str, by: str) -> None:
    """Ends sign-ins, links, tokens and the password that was set in the app; where they signed in from is forgotten."""
    connection.execute(delete(tables.passwords).where(_p.name == name))
    connection.execute(delete(tables.known_addresses).where(tables.known_addresses.c.name == name))
    password_links.end_all(connection, member=name)
    sign_ins.revoke_all(connection, member=name, by=by)
    tokens.revoke_all(connection, owner=name, by=by)


def _read_member(row: Any) -> Member:
    name, display_name, email, role, active, password_of = row
    return Member(name, display_name, email, role, password_of is not None, "database", active)
