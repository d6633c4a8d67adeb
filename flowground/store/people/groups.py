"""Groups of members. Audiences know a group by its id, so a group made anew under an old name inherits nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection, delete, func, select, update

from flowground.errors import InvalidRequest
from flowground.store import audit, tables
from flowground.store.flows import publications
from flowground.store.sql import add_row, has_row, mark_rights_change
from flowground.words import read_name

NAME_CHARS = 60
_g = tables.member_groups.c
_m = tables.group_members.c


@dataclass(frozen=True, slots=True)
class Group:
    """`members` are ids, in order."""

    id: str
    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group, and how many are in it."""

    id: str
    name: str
    size: int


def add(connection: Connection, *, name: str, by: str) -> Group:
    """Raises InvalidRequest when the name is empty, too long or taken."""
    name = _clean_free_name(connection, name)
    group = Group(str(uuid4()), name)
    add_row(connection, tables.member_groups, id=group.id, name=name, folded=name.casefold())
    audit.record(connection, actor=by, action="group.added", subject=f"{group.id} {name}")
    return group


def rename(connection: Connection, *, group_id: str, name: str, by: str) -> bool:
    """False when there is no such group. Raises InvalidRequest like `add`."""
    name = _clean_free_name(connection, name, besides=group_id)
    renamed = update(tables.member_groups).where(_g.id == group_id).values(name=name, folded=name.casefold())
    return audit.execute(connection, renamed, actor=by, action="group.renamed", subject=f"{group_id} {name}")


@mark_rights_change
def remove(connection: Connection, *, group_id: str, by: str) -> bool:
    """Takes the group out of every audience. False when there is no such group."""
    removed = delete(tables.member_groups).where(_g.id == group_id)
    if not audit.execute(connection, removed, actor=by, action="group.removed", subject=group_id):
        return False
    publications.forget(connection, kind="group", name=group_id)
    return True


@mark_rights_change
def set_members(connection: Connection, *, group_id: str, members: Collection[str], by: str) -> bool:
    """Acts at once, on open pages too. False when there is no such group."""
    if not has_row(connection, _g.id == group_id):
        return False
    before = set(connection.scalars(select(_m.member).where(_m.group_id == group_id)))
    for name in sorted(set(members) - before):
        add_row(connection, tables.group_members, group_id=group_id, member=name)
        audit.record(connection, actor=by, action="group.member_added", subject=f"{group_id} {name}")
    for name in sorted(before - set(members)):
        connection.execute(delete(tables.group_members).where(_m.group_id == group_id, _m.member == name))
        audit.record(connection, actor=by, action="group.member_removed", subject=f"{group_id} {name}")
    return True


def list_groups(connection: Connection) -> list[Group]:
    """By name, with their members."""
    members: dict[str, list[str]] = {}
    for group_id, member in connection.execute(select(_m.group_id, _m.member).order_by(_m.member)):
        members.setdefault(group_id, []).append(member)
    found = connection.execute(select(_g.id, _g.name).order_by(_g.folded))
    return [Group(key, name, tuple(members.get(key, ()))) for key, name in found]


def list_sizes(connection: Connection) -> list[GroupSize]:
    """By name, without reading who is in them."""
    size = select(func.count()).where(_m.group_id == _g.id).correlate(tables.member_groups).scalar_subquery()
    found = connection.execute(select(_g.id, _g.name, size.label("size")).order_by(_g.folded))
    return [GroupSize(row.id, row.name, row.size) for row in found]


def list_names_of(connection: Connection, *, members: Collection[str]) -> dict[str, list[str]]:
    """Member -> the names of their groups, of these members who are in one."""
    found = connection.execute(
        select(_m.member, _g.name)
        .join_from(tables.group_members, tables.member_groups, _g.id == _m.group_id)
        .where(_m.member.in_(list(members)))
        .order_by(_g.folded)
    )
    names: dict[str, list[str]] = {}
    for member, name in found:
        names.setdefault(member, []).append(name)
    return names


def forget_member(connection: Connection, *, member: str) -> None:
    """Takes a person out of every group."""
    connection.execute(delete(tables.group_members).where(_m.member == member))


def _clean_free_name(connection: Connection, name: str, *, besides: str = "") -> str:
    """The name on one line. Raises InvalidRequest unless it fits and no group (but `besides`) is called so."""
    said = read_name(name, most=NAME_CHARS)
    if said is None:
        raise InvalidRequest(f"A group's name has 1 to {NAME_CHARS} characters.")
    if has_row(connection, _g.folded == said.casefold(), _g.id != besides):
        raise InvalidRequest(f"There is already a group {said}.")
    return said
