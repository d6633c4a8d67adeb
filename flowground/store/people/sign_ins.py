"""Sign-in sessions, and the one-time tickets that begin them.

A page cannot set an HttpOnly cookie; it gives the browser a ticket, and the browser fetches the cookie with it.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, literal_column, select, update

from flowground.caller import LOCAL_OWNER, Owner, Role
from flowground.store import audit, tables
from flowground.store.people.identities import select_present_role
from flowground.store.sql import Statement, add_row, has_words, mark_rights_change, read_moment

_s = tables.sign_ins.c
_t = tables.tickets.c

_CHECK = Statement(
    select(
        _s.member,
        _s.expires_at,
        _s.revoked_at,
        select_present_role(_s.member),
        select(tables.marks.c.name).where(tables.marks.c.name == literal_column("'account_created'")).scalar_subquery(),
    ).where(_s.id == bindparam("id"))
)


@dataclass(frozen=True, slots=True)
class SignInState:
    """A sign-in that is neither expired nor revoked, and what the database says of its member now.

    `member` None is the local owner. `role` is None for a member who is not active or not there.
    """

    member: str | None
    role: Role | None
    has_had_account: bool


@dataclass(frozen=True, slots=True)
class BrowserSignIn:
    """One browser's sign-in, for lists; `id` is the cookie's `jti`, `agent` what the browser called itself then."""

    id: str
    created_at: datetime
    expires_at: datetime
    agent: str | None = None


def add_ticket(connection: Connection, *, ticket: str, member: str | None, browser: str, expires_at: float) -> None:
    """`ticket` and `browser` are hashes."""
    add_row(connection, tables.tickets, hash=ticket, member=member, browser=browser, expires_at=expires_at)


def redeem(
    connection: Connection, *, ticket: str, browser: str, sign_in_id: str, expires_at: float, agent: str | None = None
) -> str | None:
    """Begins the sign-in of the member whom this gives, "" for the local owner; None where the ticket is not good.

    Every ticket works once, and is gone after a try from another browser.
    """
    used = delete(tables.tickets).where(_t.hash == ticket).returning(_t.member, _t.browser, _t.expires_at)
    found = connection.execute(used).first()
    now = time.time()
    if found is None or found.browser != browser or found.expires_at < now:
        return None
    row = {"id": sign_in_id, "member": found.member, "created_at": now, "expires_at": expires_at, "agent": agent}
    add_row(connection, tables.sign_ins, **row)
    audit.record(connection, actor=_name_actor(found.member), action="signed_in", subject=sign_in_id)
    return found.member or ""


def check(connection: Connection, *, sign_in_id: str) -> SignInState | None:
    """None: unknown, expired or revoked. One SELECT by key: it is asked at every action."""
    found = _CHECK.fetch(connection, {"id": sign_in_id})
    if not found:
        return None
    member, expires_at, revoked_at, role, mark = found[0]
    if revoked_at is not None or expires_at < time.time():
        return None
    return SignInState(member, role, mark is not None)


def find_page(
    connection: Connection, *, member: str, words: str = "", limit: int, offset: int = 0
) -> tuple[list[BrowserSignIn], int]:
    """A page of the member's sign-ins that are in force and in whose browser's own name all these words stand, newest
    first; and how many those are on all pages."""
    is_theirs = (_s.member == member) & _s.revoked_at.is_(None) & (_s.expires_at > time.time())
    wanted = is_theirs & has_words(connection, words, func.coalesce(_s.agent, ""))
    found = select(_s.id, _s.created_at, _s.expires_at, _s.agent).where(wanted)
    rows = connection.execute(found.order_by(_s.created_at.desc(), _s.id).limit(limit).offset(offset))
    count = connection.scalar(select(func.count()).select_from(tables.sign_ins).where(wanted))
    return [
        BrowserSignIn(key, read_moment(created), read_moment(expires), agent) for key, created, expires, agent in rows
    ], count or 0


@mark_rights_change
def revoke(connection: Connection, *, sign_in_id: str, member: str | None = None) -> bool:
    """Signs this one browser out. False when it was not signed in, or not as `member` where one is given."""
    ended = update(tables.sign_ins).where(_s.id == sign_in_id, _s.revoked_at.is_(None)).values(revoked_at=time.time())
    if member is not None:
        ended = ended.where(_s.member == member)
    found = connection.execute(ended.returning(_s.member)).first()
    if found is None:
        return False
    audit.record(connection, actor=_name_actor(found.member), action="signed_out", subject=sign_in_id)
    return True


@mark_rights_change
def revoke_all(connection: Connection, *, member: str | None, by: str) -> int:
    """Signs a member (None: the local owner) out everywhere, tickets included; how many sign-ins that ended."""
    connection.execute(delete(tables.tickets).where(_t.member == member))  # None: IS NULL
    theirs = update(tables.sign_ins).where(_s.member == member, _s.revoked_at.is_(None))
    ended = connection.execute(theirs.values(revoked_at=time.time())).rowcount
    if ended:
        audit.record(connection, actor=by, action="signed_out_everywhere", subject=_name_actor(member))
    return ended


def _name_actor(member: str | None) -> str:
    """As the audit trail has them; None: the local owner."""
    return str(LOCAL_OWNER.owner if member is None else Owner("member", member))
