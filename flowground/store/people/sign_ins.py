"""Sign-in sessions and the tickets that begin them, failed passwords, and one-time links that set a password.

A page cannot set an HttpOnly cookie: it hands the browser a ticket, and the browser fetches the cookie with it.

A password attempt is counted before the password is compared, so that many at once cannot pass the limit together, and
removed when the password was right. Refused attempts are not counted: a lockout ends by itself, however long somebody
keeps trying. Attempts from elsewhere never lock out an address from which the member signed in before.

A link (an invitation, or a reset) is 256 random bits, stored as a hash. Whoever has it may choose the member's password
once, while it is valid; a new link ends the member's earlier ones.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal_column, select, update

from flowground.core.caller import LOCAL_OWNER, Owner, Role
from flowground.store import audit, tables
from flowground.store.people.identities import select_present_role
from flowground.store.sql import Statement, add_row, fetch_page, has_row, has_words, mark_rights_change, read_moment

WINDOW_SECONDS = 300.0
"""How long a wrong password counts."""
PER_ADDRESS = 5
"""Wrong passwords for one name from one address within the window."""
PER_NAME = 50
"""Wrong passwords for one name from all addresses; known addresses are exempt."""
IN_ALL = 30
"""Wrong passwords from one address for all names together, so that trying one password with many names is slow too."""
REQUESTS = "requests of"
"""Access requests are counted as attempts under this text and the member's id: no name contains a blank."""
LinkKind = Literal["invitation", "reset"]
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
_KNOWN_SECONDS = 90 * 86_400
_a = tables.attempts.c
_k = tables.known_addresses.c
_l = tables.password_links.c
_LINK_COLUMNS = (_l.id, _l.kind, _l.member, _l.created_by, _l.created_at, _l.expires_at)


@dataclass(frozen=True, slots=True)
class SignInState:
    """A sign-in that is neither expired nor revoked, and the present state of its member.

    `member` None is the local owner. `role` is None for a member who is inactive or removed.
    """

    member: str | None
    role: Role | None
    has_had_account: bool


@dataclass(frozen=True, slots=True)
class BrowserSignIn:
    """One browser's sign-in, for lists; `id` is the cookie's `jti`, `agent` the browser's User-Agent at that time."""

    id: str
    created_at: datetime
    expires_at: datetime
    agent: str | None = None


def add_ticket(connection: Connection, *, ticket: str, member: str | None, browser: str, expires_at: float) -> None:
    """Stores a ticket. `ticket` and `browser` are hashes."""
    add_row(connection, tables.tickets, hash=ticket, member=member, browser=browser, expires_at=expires_at)


def redeem(
    connection: Connection, *, ticket: str, browser: str, sign_in_id: str, expires_at: float, agent: str | None = None
) -> str | None:
    """Begins the sign-in of the ticket's member, whose id is returned, "" for the local owner; None for an invalid
    ticket.

    A ticket works once, and is deleted by a try from another browser.
    """
    used = delete(tables.tickets).where(_t.hash == ticket).returning(_t.member, _t.browser, _t.expires_at)
    found = connection.execute(used).first()
    now = time.time()
    if found is None or found.browser != browser or found.expires_at < now:
        return None
    row = {"id": sign_in_id, "member": found.member, "created_at": now, "expires_at": expires_at, "agent": agent}
    add_row(connection, tables.sign_ins, **row)
    audit.record(connection, actor=_write_actor(found.member), action="signed_in", subject=sign_in_id)
    return found.member or ""


def check(connection: Connection, *, sign_in_id: str) -> SignInState | None:
    """The sign-in; None when it is unknown, expired or revoked. One SELECT by key, because every action asks."""
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
    """A page of the member's valid sign-ins whose User-Agent contains all these words, newest first; and the number on
    all pages."""
    is_theirs = (_s.member == member) & _s.revoked_at.is_(None) & (_s.expires_at > time.time())
    wanted = is_theirs & has_words(connection, words, func.coalesce(_s.agent, ""))
    found = select(_s.id, _s.created_at, _s.expires_at, _s.agent).where(wanted).order_by(_s.created_at.desc(), _s.id)
    return fetch_page(connection, found, _read_sign_in, limit=limit, offset=offset)


def _read_sign_in(row: Any) -> BrowserSignIn:
    return BrowserSignIn(row.id, read_moment(row.created_at), read_moment(row.expires_at), row.agent)


@mark_rights_change
def revoke(connection: Connection, *, sign_in_id: str, member: str | None = None) -> bool:
    """Signs this browser out. False when it was not signed in, or not as `member`, if one is given."""
    ended = update(tables.sign_ins).where(_s.id == sign_in_id, _s.revoked_at.is_(None)).values(revoked_at=time.time())
    if member is not None:
        ended = ended.where(_s.member == member)
    found = connection.execute(ended.returning(_s.member)).first()
    if found is None:
        return False
    audit.record(connection, actor=_write_actor(found.member), action="signed_out", subject=sign_in_id)
    return True


@mark_rights_change
def revoke_all(connection: Connection, *, member: str | None, by: str) -> int:
    """Signs a member (None: the local owner) out everywhere, tickets included; returns the number of ended sign-ins."""
    connection.execute(delete(tables.tickets).where(_t.member == member))  # None: IS NULL
    theirs = update(tables.sign_ins).where(_s.member == member, _s.revoked_at.is_(None))
    ended = connection.execute(theirs.values(revoked_at=time.time())).rowcount
    if ended:
        audit.record(connection, actor=by, action="signed_out_everywhere", subject=_write_actor(member))
    return ended


def _write_actor(member: str | None) -> str:
    """The member as the audit trail names them; None is the local owner."""
    return str(LOCAL_OWNER.owner if member is None else Owner("member", member))


def begin_attempt(connection: Connection, *, name: str, address: str, is_password: bool = True) -> float:
    """Counts an attempt and returns 0 when the password may be compared; else returns the seconds to wait."""
    now = time.time()
    wait = find_wait(connection, name=name, address=address, is_password=is_password)
    if wait == 0:
        add_row(connection, tables.attempts, name=name, address=address, at=now)
    return wait


def record_success(connection: Connection, *, name: str, address: str) -> None:
    """Forgets the name's attempts from this address, whose password was right, and remembers the address."""
    now = time.time()
    connection.execute(delete(tables.attempts).where(_a.name == name, _a.address == address))
    outdated = (_k.address == address) | (_k.at < now - _KNOWN_SECONDS)
    connection.execute(delete(tables.known_addresses).where(_k.name == name, outdated))
    add_row(connection, tables.known_addresses, name=name, address=address, at=now)


def rename_attempts(connection: Connection, *, old: str, new: str) -> None:
    """Moves a member's known addresses to their new name, and forgets attempts for the old one, so that its next owner
    begins anew."""
    forget_addresses(connection, name=new)
    connection.execute(update(tables.known_addresses).where(_k.name == old).values(name=new))
    connection.execute(delete(tables.attempts).where(_a.name == old))


def forget_attempts(connection: Connection, *, name: str, member: str) -> None:
    """Forgets attempts for a sign-in name, and the access requests counted for its member."""
    names = [name, f"{REQUESTS} {member}"]
    connection.execute(delete(tables.attempts).where(_a.name.in_(names)))


def forget_addresses(connection: Connection, *, name: str) -> None:
    connection.execute(delete(tables.known_addresses).where(_k.name == name))


def find_wait(connection: Connection, *, name: str, address: str, is_password: bool = True) -> float:
    """Seconds for which this name is locked for this address; 0 when it is not.

    `is_password`: attempts for the name from all addresses, and those from the address for all names, are bounded too.
    """
    now = time.time()

    def find_nth(most: int, *where: ColumnElement[bool]) -> float:
        """When the attempt was made that must leave the window before another may be made; 0 when another may be made
        now."""
        counted = select(_a.at).where(_a.at > now - WINDOW_SECONDS, *where).order_by(_a.at.desc())
        return connection.execute(counted.offset(most - 1).limit(1)).scalar() or 0.0

    of_name = _a.name == name
    oldest = find_nth(PER_ADDRESS, of_name, _a.address == address)
    if is_password:
        oldest = max(oldest, find_nth(IN_ALL, _a.address == address))
        everywhere = find_nth(PER_NAME, of_name)
        is_known = (_k.name == name, _k.address == address, _k.at > now - _KNOWN_SECONDS)
        if everywhere > oldest and not has_row(connection, *is_known):
            oldest = everywhere
    return max(0.0, oldest + WINDOW_SECONDS - now)


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link without its secret. `member` is the person whose password it sets; `created_by` is an `Owner`."""

    id: str
    kind: LinkKind
    member: str
    created_by: str
    created_at: datetime
    expires_at: datetime


def add_link(
    connection: Connection, *, kind: LinkKind, member: str, hashed: str, expires_at: float, by: str
) -> PasswordLink:
    """Makes a link and ends the member's earlier ones: the one that was sent last is enough."""
    end_links(connection, member=member)
    made = insert(tables.password_links).values(
        id=str(uuid4()),
        hash=hashed,
        kind=kind,
        member=member,
        created_by=by,
        created_at=time.time(),
        expires_at=expires_at,
    )
    link = _read_link(connection.execute(made.returning(*_LINK_COLUMNS)).one())
    audit.record(connection, actor=by, action=f"{kind}.created", subject=member)
    return link


def find_link(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """The valid link; None when it is unknown, expired, used or revoked."""
    row = connection.execute(select(*_LINK_COLUMNS).where(_is_link_good(), _l.hash == hashed)).first()
    return _read_link(row) if row else None


def was_link_of(connection: Connection, *, hashed: str, member: str) -> bool:
    """Whether this was a link for this member that has ended."""
    return has_row(connection, _l.hash == hashed, _l.member == member, _l.ended_at.is_not(None))


def use_link(connection: Connection, *, hashed: str) -> PasswordLink | None:
    """Like `find_link`, and ends the link: of several tries at once, one succeeds."""
    return _end_link(connection, _l.hash == hashed, "used")


def list_links(connection: Connection, *, members: Collection[str] | None = None) -> list[PasswordLink]:
    """All valid links, newest first; those of these members, if given."""
    wanted = select(*_LINK_COLUMNS).where(_is_link_good()).order_by(_l.created_at.desc(), _l.id)
    if members is not None:
        wanted = wanted.where(_l.member.in_(list(members)))
    return [_read_link(row) for row in connection.execute(wanted)]


def revoke_link(connection: Connection, *, link_id: str, by: str) -> bool:
    """Ends a link. False when there is no such valid link."""
    return _end_link(connection, _l.id == link_id, "revoked", by=by) is not None


def end_links(connection: Connection, *, member: str) -> None:
    """Ends every link for a member."""
    ended = update(tables.password_links).where(_l.member == member, _l.ended_at.is_(None))
    connection.execute(ended.values(ended_at=time.time()))


def end_made_links(connection: Connection, *, by: str) -> None:
    """Ends every link that this member made for anybody, so that a former admin keeps no access by them."""
    ended = update(tables.password_links).where(_l.created_by == str(Owner("member", by)), _is_link_good())
    connection.execute(ended.values(ended_at=time.time()))


def _end_link(
    connection: Connection, which: ColumnElement[bool], word: str, *, by: str | None = None
) -> PasswordLink | None:
    """The ended link; None where it was not valid. `by`: None is its member."""
    ended = update(tables.password_links).where(which, _is_link_good()).values(ended_at=time.time())
    row = connection.execute(ended.returning(*_LINK_COLUMNS)).first()
    if row is None:
        return None
    link = _read_link(row)
    actor = by or str(Owner("member", link.member))
    audit.record(connection, actor=actor, action=f"{link.kind}.{word}", subject=link.member)
    return link


def _is_link_good() -> ColumnElement[bool]:
    return _l.ended_at.is_(None) & (_l.expires_at > time.time())


def _read_link(row: Any) -> PasswordLink:
    key, kind, member, created_by, created_at, expires_at = row
    return PasswordLink(key, kind, member, created_by, read_moment(created_at), read_moment(expires_at))
