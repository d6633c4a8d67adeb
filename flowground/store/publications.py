"""Which flows are shared, with whom and until when; and which flows and providers an admin switched off.

What is switched on has no row.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, literal_column, or_, select

from flowground.store import audit, tables
from flowground.store.sql import (
    Statement,
    add_row,
    has_row,
    make_storable,
    mark_rights_change,
    read_moment,
    read_moment_or_none,
    write_moment_or_none,
)

Audience = Literal["organization", "people", "public"]
SwitchKind = Literal["flow", "provider"]
SAYS_CHARS = 300
"""Most characters of the admin's sentence for people."""
_p = tables.publications.c
_a = tables.audiences.c
_g = tables.group_members.c
_COLUMNS = (_p.flow_id, _p.shared, _p.audience, _p.api, _p.expires_at)
_NAMED = or_(
    select(_a.name)
    .where(_a.flow_id == _p.flow_id, _a.kind == literal_column("'member'"), _a.name == bindparam("person"))
    .correlate(tables.publications)
    .exists(),
    select(_a.name)
    .join_from(tables.audiences, tables.group_members, _g.group_id == _a.name)
    .where(_a.flow_id == _p.flow_id, _a.kind == literal_column("'group'"), _g.member == bindparam("person"))
    .correlate(tables.publications)
    .exists(),
)
_LIST = select(*_COLUMNS, _NAMED.label("names_person")).order_by(_p.flow_id)
_FIND_ONE = Statement(_LIST.where(_p.flow_id == bindparam("flow_id")))
_FIND_ALL = Statement(_LIST)
_w = tables.switches.c


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether a flow's shareable playground is on, and for whom.

    `shares_api`: whoever may open the flow may also run it over the API. `names_person`: the audience names the person
    for whom this was read, directly or by a group.
    """

    flow_id: str
    is_shared: bool
    audience: Audience
    shares_api: bool
    expires_at: datetime | None
    names_person: bool

    @property
    def is_in_force(self) -> bool:
        """Whether the flow is shared and the sharing has not expired."""
        return self.is_shared and not _is_past(self.expires_at)


@dataclass(frozen=True, slots=True)
class Sharing:
    """The owner's choices for a flow. `members` and `groups` are ids; both count for the audience "people" only."""

    is_shared: bool
    audience: Audience = "organization"
    members: frozenset[str] = field(default_factory=frozenset)
    groups: frozenset[str] = field(default_factory=frozenset)
    shares_api: bool = False
    expires_at: datetime | None = None

    @property
    def is_expired(self) -> bool:
        """Whether the expiry has passed: then the flow counts as not shared."""
        return _is_past(self.expires_at)


def find(connection: Connection, *, flow_id: str, person: str | None = None) -> Publication | None:
    """How a flow is shared; None for one that never was. One SELECT by key, because every action asks."""
    found = _FIND_ONE.fetch(connection, {"flow_id": flow_id, "person": person or ""})
    return _read_publication(found[0]) if found else None


def was_used(connection: Connection, *, flow_id: str) -> bool:
    """Whether a flow of this id was ever shared or run, even one that is gone."""
    return has_row(connection, _p.flow_id == flow_id) or has_row(connection, tables.runs.c.flow_id == flow_id)


def list_publications(connection: Connection, *, person: str | None = None) -> list[Publication]:
    return [_read_publication(row) for row in _FIND_ALL.fetch(connection, {"person": person or ""})]


def count_names(connection: Connection, *, flows: Collection[str]) -> dict[str, tuple[int, int]]:
    """How many people and how many groups each flow's audience names; flows without any are absent."""
    found = connection.execute(
        select(_a.flow_id, _a.kind, func.count()).where(_a.flow_id.in_(list(flows))).group_by(_a.flow_id, _a.kind)
    )
    counts: dict[str, tuple[int, int]] = {}
    for flow_id, kind, number in found:
        people, named_groups = counts.get(flow_id, (0, 0))
        counts[flow_id] = (number, named_groups) if kind == "member" else (people, number)
    return counts


def read_sharing(connection: Connection, *, flow_id: str) -> Sharing:
    """The owner's choices for a flow; "not shared" for one that never was."""
    found = find(connection, flow_id=flow_id)
    if found is None:
        return Sharing(is_shared=False)
    members, groups = _list_names(connection, flow_id, "member"), _list_names(connection, flow_id, "group")
    return Sharing(found.is_shared, found.audience, members, groups, found.shares_api, found.expires_at)


@mark_rights_change
def set_shared(connection: Connection, *, flow_id: str, is_shared: bool, by: str) -> None:
    """Turns sharing on or off and leaves the rest as it was; turning it on removes an expiry that has passed."""
    before = read_sharing(connection, flow_id=flow_id)
    expires_at = None if is_shared and before.is_expired else before.expires_at
    sharing = replace(before, is_shared=is_shared, expires_at=expires_at)
    change(connection, flow_id=flow_id, sharing=sharing, by=by)


@mark_rights_change
def change(connection: Connection, *, flow_id: str, sharing: Sharing, by: str) -> None:
    """Replaces how a flow is shared. Open pages and tokens follow at once."""
    before = read_sharing(connection, flow_id=flow_id)
    connection.execute(delete(tables.publications).where(_p.flow_id == flow_id))
    add_row(
        connection,
        tables.publications,
        flow_id=flow_id,
        shared=sharing.is_shared,
        changed_by=by,
        changed_at=time.time(),
        audience=sharing.audience,
        api=sharing.shares_api,
        expires_at=write_moment_or_none(sharing.expires_at),
    )
    connection.execute(delete(tables.audiences).where(_a.flow_id == flow_id))
    for kind, names in (("member", sharing.members), ("group", sharing.groups)):
        for name in sorted(names):
            add_row(connection, tables.audiences, flow_id=flow_id, kind=kind, name=name)
    for action, subject in _describe_changes(flow_id, before, sharing):
        audit.record(connection, actor=by, action=action, subject=subject)


@mark_rights_change
def add_person(connection: Connection, *, flow_id: str, member: str, by: str) -> None:
    """Adds a person to the audience where the audience is "people"; every other audience has them already.

    Whether the flow is shared does not change.
    """
    sharing = read_sharing(connection, flow_id=flow_id)
    if sharing.audience == "people" and member not in sharing.members:
        change(connection, flow_id=flow_id, sharing=replace(sharing, members=sharing.members | {member}), by=by)


def forget(connection: Connection, *, kind: Literal["member", "group"], name: str) -> None:
    """Removes a person or a group, by id, from every audience."""
    connection.execute(delete(tables.audiences).where(_a.kind == kind, _a.name == name))


def _describe_changes(flow_id: str, before: Sharing, after: Sharing) -> Iterator[tuple[str, str]]:
    """The audit trail's actions and subjects for a change."""
    if before == after or before.is_shared != after.is_shared:
        yield "flow.shared" if after.is_shared else "flow.unshared", flow_id
    if before.audience != after.audience:
        yield f"flow.audience_{after.audience}", flow_id
    if before.shares_api != after.shares_api:
        yield "flow.api_shared" if after.shares_api else "flow.api_unshared", flow_id
    if before.expires_at != after.expires_at:
        yield "flow.expiry_set" if after.expires_at else "flow.expiry_removed", flow_id
    for kind, old, new in (("member", before.members, after.members), ("group", before.groups, after.groups)):
        for name in sorted(new - old):
            yield "flow.opened_to", f"{flow_id} {kind}:{name}"
        for name in sorted(old - new):
            yield "flow.closed_to", f"{flow_id} {kind}:{name}"


def _list_names(connection: Connection, flow_id: str, kind: str) -> frozenset[str]:
    return frozenset(connection.scalars(select(_a.name).where(_a.flow_id == flow_id, _a.kind == kind)))


def _is_past(at: datetime | None) -> bool:
    return at is not None and at.timestamp() <= time.time()


def _read_publication(row: Any) -> Publication:
    flow_id, shared, audience, api, expires_at, names_person = row
    return Publication(flow_id, bool(shared), audience, bool(api), read_moment_or_none(expires_at), bool(names_person))


@dataclass(frozen=True, slots=True)
class Switch:
    """A flow (by id) or a provider (by name) that is off; who switched it off (an `Owner`, or "cli"), and when.

    `says` is the admin's sentence for people, or "".
    """

    kind: SwitchKind
    name: str
    changed_by: str
    changed_at: datetime
    says: str


def list_switches(connection: Connection) -> list[Switch]:
    """All that is switched off, flows first, by name."""
    found = connection.execute(select(tables.switches).order_by(_w.kind, _w.name))
    return [Switch(kind, name, by, read_moment(at), says) for kind, name, by, at, says in found]


def switch_off(connection: Connection, *, kind: SwitchKind, name: str, says: str, by: str) -> None:
    """Switches it off; where it is off already, replaces the sentence."""
    connection.execute(delete(tables.switches).where(_w.kind == kind, _w.name == name))
    row = {"kind": kind, "name": name, "changed_by": by, "changed_at": time.time(), "says": make_storable(says)}
    add_row(connection, tables.switches, **row)
    audit.record(connection, actor=by, action=f"{kind}.switched_off", subject=name)


def switch_on(connection: Connection, *, kind: SwitchKind, name: str, by: str) -> bool:
    """Switches it on. False when it was on."""
    gone = delete(tables.switches).where(_w.kind == kind, _w.name == name)
    return audit.execute(connection, gone, actor=by, action=f"{kind}.switched_on", subject=name)
