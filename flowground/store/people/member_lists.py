"""Lists of the database's members: searched, counted and read a page at a time, however many there are."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select, true

from flowground.store import tables
from flowground.store.people import identities
from flowground.store.people.members import MEMBERS, Member, read_member

_MOST_WORDS = 5
_m = tables.members.c
_g = tables.group_members.c


@dataclass(frozen=True, slots=True)
class Opening:
    """For whom a flow is open: `is_open_to_all`, else to these members and groups, by their ids. Whoever sees the
    inside opens it always."""

    is_open_to_all: bool
    members: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def find_members(
    connection: Connection, *, words: str = "", is_member_only: bool = False, limit: int, offset: int = 0
) -> list[Member]:
    """By name, those in whose names or address all these words stand. `is_member_only`: active, and neither author
    nor admin."""
    wanted = MEMBERS.where(_has_words(words), _is_plain_member() if is_member_only else true())
    ordered = wanted.order_by(identities.sign_in_name).limit(limit).offset(offset)
    return [read_member(row) for row in connection.execute(ordered)]


def count_members(connection: Connection, *, words: str = "", is_member_only: bool = False) -> int:
    """As `find_members` finds them, on all pages."""
    counted = select(func.count()).select_from(identities.with_identities)
    return connection.scalar(counted.where(_has_words(words), _is_plain_member() if is_member_only else true())) or 0


def list_by_ids(connection: Connection, *, ids: Collection[str]) -> list[Member]:
    """Those of these whom the database knows, by name."""
    found = connection.execute(MEMBERS.where(_m.id.in_(list(ids))).order_by(identities.sign_in_name))
    return [read_member(row) for row in found]


def list_openers(connection: Connection, *, opening: Opening, limit: int) -> list[Member]:
    """The first by name of those who may open the flow."""
    found = MEMBERS.where(_may_open(opening)).order_by(identities.sign_in_name).limit(limit)
    return [read_member(row) for row in connection.execute(found)]


def count_openers(connection: Connection, *, opening: Opening) -> int:
    """How many may open the flow."""
    return connection.scalar(select(func.count()).select_from(tables.members).where(_may_open(opening))) or 0


def find_grouped(connection: Connection, *, groups: Collection[str], ids: Collection[str]) -> frozenset[str]:
    """Those of these ids that are in one of these groups."""
    found = select(_g.member).where(_g.group_id.in_(list(groups)), _g.member.in_(list(ids)))
    return frozenset(connection.scalars(found))


def _may_open(opening: Opening) -> ColumnElement[bool]:
    named = or_(
        _m.id.in_(list(opening.members)) if opening.members else false(),
        _m.id.in_(select(_g.member).where(_g.group_id.in_(list(opening.groups)))) if opening.groups else false(),
    )
    return and_(_m.active, or_(_m.role != "member", true() if opening.is_open_to_all else named))


def _is_plain_member() -> ColumnElement[bool]:
    return and_(_m.active, _m.role == "member")


def _has_words(words: str) -> ColumnElement[bool]:
    columns = (identities.sign_in_name, _m.display_name, func.coalesce(_m.email, ""))
    wanted = words.split()[:_MOST_WORDS]
    return and_(true(), *(or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in wanted))
