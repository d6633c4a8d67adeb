"""Lists of members: searched, counted and read a page at a time, however many there are."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, false, func, literal_column, or_, select, true

from flowground.store import tables
from flowground.store.people.identities import everyone
from flowground.store.people.members import MEMBERS, Member, read_member
from flowground.store.sql import has_words

_m = everyone.c
_g = tables.group_members.c
_NAMES = (_m.name, _m.display_name, func.coalesce(_m.email, ""))


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Whom a list is of: in whose names or address all these words stand. `is_member_only`: active, and neither author
    nor admin. `not_in`: who is not in the group of this id."""

    words: str = ""
    is_member_only: bool = False
    not_in: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """For whom a flow is open: `is_open_to_all`, else to these members and groups, by their ids. Whoever sees the
    inside opens it always."""

    is_open_to_all: bool
    members: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


_EVERYONE = MemberFilter()


def find_members(
    connection: Connection, *, wanted: MemberFilter = _EVERYONE, limit: int, offset: int = 0
) -> list[Member]:
    """By name."""
    found = MEMBERS.where(*_is_wanted(connection, wanted)).order_by(_m.name).limit(limit).offset(offset)
    return [read_member(row) for row in connection.execute(found)]


def count_members(connection: Connection, *, wanted: MemberFilter = _EVERYONE) -> int:
    """As `find_members` finds them, on all pages."""
    counted = select(func.count()).select_from(everyone)
    return connection.scalar(counted.where(*_is_wanted(connection, wanted))) or 0


def find_group_members(
    connection: Connection, *, group_id: str, words: str = "", limit: int, offset: int = 0
) -> tuple[list[str], int]:
    """A page of the ids of who is in the group and has all these words in a name or the address; and how many those
    are on all pages.

    Without words, no other row is read than the page's: by id, which an index has in order.
    """
    found = select(_g.member).where(_g.group_id == group_id)
    if words.split():
        known = found.join_from(tables.group_members, everyone, _m.id == _g.member)
        found = known.where(has_words(connection, words, *_NAMES))
    count = connection.scalar(select(func.count()).select_from(found.subquery()))
    return list(connection.scalars(found.order_by(_g.member).limit(limit).offset(offset))), count or 0


def list_by_ids(connection: Connection, *, ids: Collection[str]) -> list[Member]:
    """Those of these ids that are somebody's, by name."""
    found = connection.execute(MEMBERS.where(_m.id.in_(list(ids))).order_by(_m.name))
    return [read_member(row) for row in found]


def list_openers(connection: Connection, *, opening: Opening, limit: int) -> list[Member]:
    """The first by name of those who may open the flow."""
    found = MEMBERS.where(_may_open(opening)).order_by(_m.name).limit(limit)
    return [read_member(row) for row in connection.execute(found)]


def count_openers(connection: Connection, *, opening: Opening) -> int:
    """How many may open the flow."""
    return connection.scalar(select(func.count()).select_from(everyone).where(_may_open(opening))) or 0


def _may_open(opening: Opening) -> ColumnElement[bool]:
    named = or_(
        _m.id.in_(list(opening.members)) if opening.members else false(),
        _m.id.in_(select(_g.member).where(_g.group_id.in_(list(opening.groups)))) if opening.groups else false(),
    )
    return and_(_m.active, or_(_m.role != "member", true() if opening.is_open_to_all else named))


def _is_wanted(connection: Connection, wanted: MemberFilter) -> Iterator[ColumnElement[bool]]:
    yield has_words(connection, wanted.words, *_NAMES)
    if wanted.is_member_only:
        yield and_(_m.active, _m.role == "member")
    if wanted.not_in is not None:
        yield ~select(literal_column("1")).where(_g.group_id == wanted.not_in, _g.member == _m.id).exists()
