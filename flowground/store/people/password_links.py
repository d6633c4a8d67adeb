"""One-time links that set a password: an invitation for somebody new, a reset for somebody who forgot theirs.

A link is 256 random bits, kept as a hash. Whoever has it may choose the member's password, once, for as long as it
is good; a new link ends the member's earlier ones.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update

from flowground.store import audit, tables
from flowground.store.sql import to_moment

Kind = Literal["invitation", "reset"]
_l = tables.password_links.c
_COLUMNS = (_l.id, _l.kind, _l.member, _l.created_by, _l.created_at, _l.expires_at)


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link without its secret. `member` is whose password it sets; `created_by` is a `Caller.key`."""

    id: str
    kind: Kind
    member: str
    created_by: str
    created_at: datetime
    expires_at: datetime


def add(connection: Connection, *, kind: Kind, member: str, hashed: str, expires_at: float, by: str) -> PasswordLink:
    """Ends the member's earlier links: one is enough, and the last is the one that was sent."""
    end_all(connection, member=member)
    link = PasswordLink(str(uuid4()), kind, member, by, to_moment(time.time()), to_moment(expires_at))
    connection.execute(
        insert(tables.password_links).values(
            id=link.id,
            hash=hashed,
            kind=kind,
            member=member,
            created_by=by,
            created_at=link.created_at.timestamp(),
            expires_at=expires_at,
        )
    )
    audit.record(connection, actor=by, action=f"{kind}.created", subject=member)
    return link


def find(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """The link that is still good; None when unknown, expired, used or revoked."""
    row = connection.execute(_good().where(_l.hash == hashed)).first()
    return _link(row) if row else None


def use(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """As `find`, and the link is over: of several tries at once, one gets it."""
    ended = update(tables.password_links).where(_l.hash == hashed, _l.ended_at.is_(None), _l.expires_at > time.time())
    row = connection.execute(ended.values(ended_at=time.time()).returning(*_COLUMNS)).first()
    if row is None:
        return None
    link = _link(row)
    audit.record(connection, actor=f"member:{link.member}", action=f"{link.kind}.used", subject=link.member)
    return link


def list_links(connection: Connection) -> list[PasswordLink]:
    """Those that are still good, newest first."""
    return [_link(row) for row in connection.execute(_good().order_by(_l.created_at.desc(), _l.id))]


def revoke(connection: Connection, *, link_id: str, by: str) -> bool:
    """False when there is no such link that is still good."""
    ended = update(tables.password_links).where(_l.id == link_id, _l.ended_at.is_(None), _l.expires_at > time.time())
    row = connection.execute(ended.values(ended_at=time.time()).returning(_l.kind, _l.member)).first()
    if row is None:
        return False
    audit.record(connection, actor=by, action=f"{row[0]}.revoked", subject=row[1])
    return True


def end_all(connection: Connection, *, member: str) -> None:
    """Ends every link of a member."""
    ended = update(tables.password_links).where(_l.member == member, _l.ended_at.is_(None))
    connection.execute(ended.values(ended_at=time.time()))


def _good() -> Any:
    return select(*_COLUMNS).where(_l.ended_at.is_(None), _l.expires_at > time.time())


def _link(row: Any) -> PasswordLink:
    key, kind, member, created_by, created_at, expires_at = row
    return PasswordLink(key, kind, member, created_by, to_moment(created_at), to_moment(expires_at))
