"""One-time links that set a password: an invitation for somebody new, a reset for somebody who forgot theirs.

A link is 256 random bits, kept as a hash. Whoever has it may choose the member's password, once, for as long as it
is good; a new link ends the member's earlier ones.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, insert, select, update

from flowground.caller import Owner
from flowground.store import audit, tables
from flowground.store.sql import has_row, read_moment

LinkKind = Literal["invitation", "reset"]
_l = tables.password_links.c
_COLUMNS = (_l.id, _l.kind, _l.member, _l.created_by, _l.created_at, _l.expires_at)


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link without its secret. `member` is whose password it sets; `created_by` is an `Owner`."""

    id: str
    kind: LinkKind
    member: str
    created_by: str
    created_at: datetime
    expires_at: datetime


def add(
    connection: Connection, *, kind: LinkKind, member: str, hashed: str, expires_at: float, by: str
) -> PasswordLink:
    """Ends the member's earlier links: one is enough, and the last is the one that was sent."""
    end_all(connection, member=member)
    made = insert(tables.password_links).values(
        id=str(uuid4()),
        hash=hashed,
        kind=kind,
        member=member,
        created_by=by,
        created_at=time.time(),
        expires_at=expires_at,
    )
    link = _read_link(connection.execute(made.returning(*_COLUMNS)).one())
    audit.record(connection, actor=by, action=f"{kind}.created", subject=member)
    return link


def find(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """The link that is still good; None when unknown, expired, used or revoked."""
    row = connection.execute(select(*_COLUMNS).where(_is_good(), _l.hash == hashed)).first()
    return _read_link(row) if row else None


def was_used_by(connection: Connection, *, hashed: str, member: str) -> bool:
    """Whether this was a link of this member's that is over."""
    return has_row(connection, _l.hash == hashed, _l.member == member, _l.ended_at.is_not(None))


def use(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """As `find`, and the link is over: of several tries at once, one gets it."""
    link = _end(connection, _l.hash == hashed)
    if link is not None:
        audit.record(
            connection, actor=str(Owner("member", link.member)), action=f"{link.kind}.used", subject=link.member
        )
    return link


def list_links(connection: Connection, *, members: Collection[str] | None = None) -> list[PasswordLink]:
    """Those that are still good, newest first; of these members, where they are given."""
    wanted = select(*_COLUMNS).where(_is_good()).order_by(_l.created_at.desc(), _l.id)
    if members is not None:
        wanted = wanted.where(_l.member.in_(list(members)))
    return [_read_link(row) for row in connection.execute(wanted)]


def revoke(connection: Connection, *, link_id: str, by: str) -> bool:
    """False when there is no such link that is still good."""
    link = _end(connection, _l.id == link_id)
    if link is not None:
        audit.record(connection, actor=by, action=f"{link.kind}.revoked", subject=link.member)
    return link is not None


def end_all(connection: Connection, *, member: str) -> None:
    """Ends every link of a member."""
    ended = update(tables.password_links).where(_l.member == member, _l.ended_at.is_(None))
    connection.execute(ended.values(ended_at=time.time()))


def end_made(connection: Connection, *, by: str) -> None:
    """Ends every link that this member made, for whomever: who may administer no more has kept no way in."""
    ended = update(tables.password_links).where(_l.created_by == str(Owner("member", by)), _is_good())
    connection.execute(ended.values(ended_at=time.time()))


def _end(connection: Connection, which: ColumnElement[bool]) -> PasswordLink | None:
    """The link, which was good until now; None where it was not."""
    ended = update(tables.password_links).where(which, _is_good()).values(ended_at=time.time())
    row = connection.execute(ended.returning(*_COLUMNS)).first()
    return _read_link(row) if row else None


def _is_good() -> ColumnElement[bool]:
    return _l.ended_at.is_(None) & (_l.expires_at > time.time())


def _read_link(row: Any) -> PasswordLink:
    key, kind, member, created_by, created_at, expires_at = row
    return PasswordLink(key, kind, member, created_by, read_moment(created_at), read_moment(expires_at))
