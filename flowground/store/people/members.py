"""Members: finding all of them, and changing those that were added in the app or on the command line.

Members of config.yaml are changed in the file (`config_entries`).
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, literal_column, or_, select, true, update

from flowground.core.caller import LOCAL_OWNER, Owner, Role
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.store import audit, publications, tables
from flowground.store.people import identities, removals, sign_ins, tokens
from flowground.store.publications import Sharing
from flowground.store.runs import transcripts
from flowground.store.sql import add_row, fetch_page, has_row, has_words, make_storable, mark_rights_change

MemberSource = Literal["config", "database"]
_ACCOUNT_CREATED = "account_created"
_m = tables.members.c
_e = identities.everyone.c
_g = tables.group_members.c
_p = tables.passwords.c
_NAMES = (_e.name, _e.display_name, func.coalesce(_e.email, ""))
MEMBERS = select(identities.everyone, _p.member.label("password_of")).outerjoin_from(
    identities.everyone, tables.passwords, _p.member == _e.id
)


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the organization. A member who is not `is_active` can do nothing, and may be activated again; a
    member of config.yaml is inactive while the file does not have them.

    `id` is the member's forever; `name` is for signing in, `display_name` for colleagues. Both names can change.
    """

    id: str
    name: str
    display_name: str
    email: str | None
    role: Role
    has_password: bool
    source: MemberSource
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members to list: all these words stand in their names or email. `is_member_only`: active members who are
    neither author nor admin. `not_in`: the id of a group whose members are left out."""

    words: str = ""
    is_member_only: bool = False
    not_in: str | None = None


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
    """Adds a member with an unused id. `password` is a bcrypt hash. Raises InvalidRequest when the name is taken."""
    _require_free(connection, name)
    member, now = identities.choose_id(connection, name=name), time.time()
    row = {"id": member, "display_name": display_name, "email": email, "role": role, "active": True, "created_at": now}
    add_row(connection, tables.members, **row)
    identities.set_name(connection, "password", member=member, name=name)
    if password is not None:
        add_row(connection, tables.passwords, member=member, hash=password, changed_at=now)
    mark_account_created(connection)
    audit.record(connection, actor=by, action="member.added", subject=member)
    return Member(member, name, display_name, email, role, password is not None, "database")


@mark_rights_change
def add_first(connection: Connection, /, *, by: str, shares: str | None, **account: Any) -> Member:
    """Adds the account that ends local mode, and the local owner's sign-ins: an admin, who gets the local owner's
    conversations and data.

    `shares` is a flow to share in the same transaction, `account` the other arguments of `add`. Raises NotAllowed when
    there was an account before.
    """
    if has_had_account(connection):
        raise NotAllowed("The first account was created already.", hint="Sign in instead.")
    member = add(connection, role="admin", by=by, **account)
    new = Owner("member", member.id)
    for old, to in ((LOCAL_OWNER.owner, new), (Owner("programs", LOCAL_OWNER.id), Owner("programs", member.id))):
        transcripts.hand_over(connection, old=str(old), new=str(to), by=by)
    if shares is not None:
        publications.set_shared(connection, flow_id=shares, is_shared=True, by=str(new))
    sign_ins.revoke_all(connection, member=None, by=by)
    return member


def find(connection: Connection, *, member: str) -> Member | None:
    row = connection.execute(MEMBERS.where(_e.id == member)).first()
    return _read_member(row) if row else None


def find_named(connection: Connection, *, name: str) -> Member | None:
    """Like `find`, by the member's sign-in name."""
    return find(connection, member=identities.find_id(connection, name=name) or "")  # the same work for an unknown name


def find_login(connection: Connection, *, name: str) -> tuple[Member | None, str | None]:
    """Like `find_named`, with the bcrypt hash of the password."""
    member = find_named(connection, name=name)
    return member, connection.scalar(select(_p.hash).where(_p.member == (member.id if member else "")))


def list_members(connection: Connection) -> list[Member]:
    """All members by name."""
    return [_read_member(row) for row in connection.execute(MEMBERS.order_by(_e.name))]


def find_page(connection: Connection, *, wanted: MemberFilter, limit: int, offset: int = 0) -> tuple[list[Member], int]:
    """A page of members by name, and the number on all pages."""
    found = MEMBERS.where(*_is_wanted(connection, wanted)).order_by(_e.name)
    return fetch_page(connection, found, _read_member, limit=limit, offset=offset)


def find_openers(connection: Connection, *, sharing: Sharing, limit: int) -> tuple[list[Member], int]:
    """The first members by name who may open a flow shared like this, and the number of all."""
    return fetch_page(connection, MEMBERS.where(_may_open(sharing)).order_by(_e.name), _read_member, limit=limit)


def find_group_members(
    connection: Connection, *, group_id: str, words: str = "", limit: int, offset: int = 0
) -> tuple[list[str], int]:
    """A page of the ids of a group's members whose names or email contain all these words, and the number on all pages.

    Without words, only the page's rows are read: by id, which an index has in order.
    """
    found = select(_g.member).where(_g.group_id == group_id)
    if words.split():
        known = found.join_from(tables.group_members, identities.everyone, _e.id == _g.member)
        found = known.where(has_words(connection, words, *_NAMES))
    return fetch_page(connection, found.order_by(_g.member), itemgetter(0), limit=limit, offset=offset)


def list_by_ids(connection: Connection, *, ids: Collection[str]) -> list[Member]:
    """The existing members of these ids, by name."""
    found = connection.execute(MEMBERS.where(_e.id.in_(list(ids))).order_by(_e.name))
    return [_read_member(row) for row in found]


def _may_open(sharing: Sharing) -> ColumnElement[bool]:
    """The condition that a member may open such a flow; people who see the inside always may."""
    of_groups = select(_g.member).where(_g.group_id.in_(sharing.groups))
    named: ColumnElement[bool] = or_(_e.id.in_(sharing.members), _e.id.in_(of_groups))
    if not sharing.is_shared or sharing.is_expired:
        named = false()
    elif sharing.audience != "people":
        named = true()
    return and_(_e.active, or_(_e.role != "member", named))


def _is_wanted(connection: Connection, wanted: MemberFilter) -> Iterator[ColumnElement[bool]]:
    yield has_words(connection, wanted.words, *_NAMES)
    if wanted.is_member_only:
        yield and_(_e.active, _e.role == "member")
    if wanted.not_in is not None:
        yield ~select(literal_column("1")).where(_g.group_id == wanted.not_in, _g.member == _e.id).exists()


def find_display_names(connection: Connection, *, members: Collection[str]) -> dict[str, str]:
    """The display names of the existing members of these ids."""
    found = connection.execute(select(_e.id, _e.display_name).where(_e.id.in_(list(members))))
    return {row.id: row.display_name for row in found}


def remove(connection: Connection, *, member: str, by: str, keep_admin: bool = False) -> bool:
    """Removes the member, ends their sign-ins, revokes their tokens; the rest follows in steps (`removals`).

    False when there is no such member. `keep_admin`: raises NotAllowed when no other admin would be left.
    """
    if keep_admin:
        _require_another_admin(connection, member)
    if find(connection, member=member) is None:
        return False
    forget(connection, member=member, by=by)
    connection.execute(delete(tables.members).where(_m.id == member))
    audit.record(connection, actor=by, action="member.removed", subject=member)
    return True


def rename(connection: Connection, *, member: str, name: str, by: str) -> bool:
    """Gives the member another sign-in name; the earlier one becomes free. False when there is no such member.

    Raises InvalidRequest when the name is taken.
    """
    found = find(connection, member=member)
    if found is None or found.name == name:
        return found is not None
    _require_free(connection, name)
    identities.set_name(connection, "password", member=member, name=name)
    sign_ins.rename_attempts(connection, old=found.name, new=name)
    audit.record(connection, actor=by, action="member.renamed", subject=f"{member} {name}")
    return True


def show_as(connection: Connection, *, member: str, display_name: str, by: str) -> bool:
    """Changes the display name. False when there is no such member."""
    changed = update(tables.members).where(_m.id == member).values(display_name=make_storable(display_name))
    return audit.execute(connection, changed, actor=by, action="member.shown_as", subject=member)


@mark_rights_change
def set_password(connection: Connection, *, member: str, password: str, by: str) -> None:
    """Sets the bcrypt hash of the member's password. Ends all sign-ins of the member, and links that could set another
    password."""
    sign_ins.end_links(connection, member=member)
    connection.execute(delete(tables.passwords).where(_p.member == member))
    add_row(connection, tables.passwords, member=member, hash=password, changed_at=time.time())
    sign_ins.revoke_all(connection, member=member, by=by)
    audit.record(connection, actor=by, action="member.password_set", subject=member)


@mark_rights_change
def set_password_by_link(connection: Connection, *, link: str, password: str) -> bool:
    """Like `set_password`, for the owner of the link with this hash; of several tries at once, one succeeds."""
    used = sign_ins.use_link(connection, hashed=link)
    if used is None:
        return False
    set_password(connection, member=used.member, password=password, by=str(Owner("member", used.member)))
    return True


@mark_rights_change
def set_role(connection: Connection, *, member: str, role: Role, by: str, keep_admin: bool = False) -> bool:
    """Changes the role; open pages follow at once. False when there is no such member; `keep_admin` as in `remove`."""
    if keep_admin and role != "admin":
        _require_another_admin(connection, member)
    if role != "admin":
        sign_ins.end_made_links(connection, by=member)
    changed = update(tables.members).where(_m.id == member).values(role=role)
    return audit.execute(connection, changed, actor=by, action=f"member.role_{role}", subject=member)


@mark_rights_change
def set_active(connection: Connection, *, member: str, is_active: bool, by: str, keep_admin: bool = False) -> bool:
    """Activates or deactivates the member, who is signed out everywhere when deactivated. False when there is no such
    member."""
    if keep_admin and not is_active:
        _require_another_admin(connection, member)
    if not is_active:
        sign_ins.end_links(connection, member=member)
        sign_ins.end_made_links(connection, by=member)
        sign_ins.revoke_all(connection, member=member, by=by)
    changed = update(tables.members).where(_m.id == member).values(active=is_active)
    action = "member.activated" if is_active else "member.deactivated"
    return audit.execute(connection, changed, actor=by, action=action, subject=member)


def has_had_account(connection: Connection) -> bool:
    """Whether there ever was an account: a database whose members are gone does not return to local mode."""
    return has_row(connection, tables.marks.c.name == _ACCOUNT_CREATED)


def mark_account_created(connection: Connection) -> None:
    if not has_had_account(connection):
        add_row(connection, tables.marks, name=_ACCOUNT_CREATED, made_at=time.time())


def _require_free(connection: Connection, name: str) -> None:
    if identities.find_id(connection, name=name) is not None:
        raise InvalidRequest(f"There is already a member {name}.")


def _require_another_admin(connection: Connection, member: str) -> None:
    """Raises NotAllowed for the last admin. In the transaction of the change: two admins cannot remove each other at
    once."""
    able = select(_e.id).join_from(identities.everyone, tables.passwords, _p.member == _e.id)
    admins = set(connection.scalars(able.where(_e.role == "admin", _e.active)))
    if admins == {member}:
        name = identities.find_name(connection, member=member)
        raise NotAllowed(f"Without {name} nobody could administer.", hint="Make somebody else an admin first.")


def forget(connection: Connection, *, member: str, by: str) -> None:
    """Ends all that belongs to a member; conversations and the name in older records follow in steps (`removals`).

    The id is never used again, so nobody inherits from the member.
    """
    publications.forget(connection, kind="member", name=member)
    for column in (tables.group_members.c.member, tables.access_requests.c.member):
        connection.execute(delete(column.table).where(column == member))
    end_rights(connection, member=member, by=by)
    removals.begin_removal(connection, member=member)
    identities.end(connection, member=member)


def end_rights(connection: Connection, *, member: str, by: str) -> None:
    """Ends sign-ins, tokens, the password, links for and by the member, and forgets their known addresses."""
    connection.execute(delete(tables.passwords).where(_p.member == member))
    sign_ins.forget_addresses(connection, name=identities.find_name(connection, member=member))
    sign_ins.end_links(connection, member=member)
    sign_ins.end_made_links(connection, by=member)
    sign_ins.revoke_all(connection, member=member, by=by)
    tokens.revoke_all(connection, owner=member, by=by)


def _read_member(row: Any) -> Member:
    member, name, display_name, email, role, active, source, password_of = row
    return Member(member, name, display_name, email, role, password_of is not None, source, bool(active))
