"""Groups of members. Audiences know a group by its id, so a new group under an old name inherits nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, delete, func, literal_column, select, update

from flowground.core.errors import InvalidRequest
from flowground.core.words import read_name
from flowground.store import audit, publications, tables
from flowground.store.sql import add_row, fetch_page, has_row, has_words, mark_rights_change, write_insert

NAME_CHARS = 60
_g = tables.member_groups.c
_m = tables.group_members.c
_SIZE = select(func.count()).where(_m.group_id == _g.id).scalar_subquery()
_GROUPS = select(_g.id, _g.name, _SIZE).order_by(_g.folded)


@dataclass(frozen=True, slots=True)
class Group:
    """A group; `size` is the number of its members."""

    id: str
    name: str
    size: int = 0


def add(connection: Connection, *, name: str, by: str) -> Group:
    """Makes a group. Raises InvalidRequest when the name is empty, too long or taken."""
    name = _clean_free_name(connection, name)
    group = Group(str(uuid4()), name)
    add_row(connection, tables.member_groups, id=group.id, name=name, folded=name.casefold())
    audit.record(connection, actor=by, action="group.added", subject=f"{group.id} {name}")
    return group


def rename(connection: Connection, *, group_id: str, name: str, by: str) -> bool:
    """Renames the group. False when there is no such group. Raises InvalidRequest like `add`."""
    name = _clean_free_name(connection, name, besides=group_id)
    renamed = update(tables.member_groups).where(_g.id == group_id).values(name=name, folded=name.casefold())
    return audit.execute(connection, renamed, actor=by, action="group.renamed", subject=f"{group_id} {name}")


@mark_rights_change
def remove(connection: Connection, *, group_id: str, by: str) -> bool:
    """Deletes the group, also from every audience. False when there is no such group."""
    removed = delete(tables.member_groups).where(_g.id == group_id)
    if not audit.execute(connection, removed, actor=by, action="group.removed", subject=group_id):
        return False
    publications.forget(connection, kind="group", name=group_id)
    return True


@mark_rights_change
def change_members(
    connection: Connection, *, group_id: str, added: Collection[str] = (), removed: Collection[str] = (), by: str
) -> bool:
    """Adds these people to the group and removes those, leaving all others. Open pages follow at once. False when there
    is no such group."""
    if not has_row(connection, _g.id == group_id):
        return False
    insert = write_insert(connection.dialect.name, tables.group_members).on_conflict_do_nothing()
    for member in sorted(added):
        if connection.execute(insert.values(group_id=group_id, member=member)).rowcount:
            audit.record(connection, actor=by, action="group.member_added", subject=f"{group_id} {member}")
    for member in sorted(removed):
        left = delete(tables.group_members).where(_m.group_id == group_id, _m.member == member)
        audit.execute(connection, left, actor=by, action="group.member_removed", subject=f"{group_id} {member}")
    return True


def find_page(
    connection: Connection,
    *,
    words: str = "",
    having: str | None = None,
    lacking: str | None = None,
    limit: int,
    offset: int = 0,
) -> tuple[list[Group], int]:
    """A page by name of the groups whose names contain all these words, and the number on all pages.

    `having` and `lacking` are member ids: only groups with this member, or without that one. No other groups' members
    are read.
    """
    wanted = [has_words(connection, words.casefold(), _g.folded)]
    wanted += [] if having is None else [_has_member(having)]
    wanted += [] if lacking is None else [~_has_member(lacking)]
    return fetch_page(connection, _GROUPS.where(*wanted), lambda row: Group(*row), limit=limit, offset=offset)


def list_by_ids(connection: Connection, *, ids: Collection[str]) -> list[Group]:
    """The existing groups of these ids, by name."""
    return [Group(*row) for row in connection.execute(_GROUPS.where(_g.id.in_(list(ids))))]


def list_first_members(connection: Connection, *, ids: Collection[str], most: int) -> dict[str, list[str]]:
    """For each group, the ids of its first members."""
    first = select(_m.member).order_by(_m.member).limit(most)
    return {key: list(connection.scalars(first.where(_m.group_id == key))) for key in ids}


def list_names_of(connection: Connection, *, members: Collection[str]) -> dict[str, list[str]]:
    """For each of these members who is in a group, the names of their groups."""
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


def _has_member(member: str) -> ColumnElement[bool]:
    return select(literal_column("1")).where(_m.group_id == _g.id, _m.member == member).exists()


def _clean_free_name(connection: Connection, name: str, *, besides: str = "") -> str:
    """The name on one line. Raises InvalidRequest unless it fits and no other group (except `besides`) has it."""
    free = read_name(name, most=NAME_CHARS)
    if free is None:
        raise InvalidRequest(f"A group's name has 1 to {NAME_CHARS} characters.")
    if has_row(connection, _g.folded == free.casefold(), _g.id != besides):
        raise InvalidRequest(f"There is already a group {free}.")
    return free
