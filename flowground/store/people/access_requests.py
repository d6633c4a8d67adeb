"""Members' requests to open a flow, and the owners' decisions."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, func, or_, select, update

from flowground.core.caller import Owner
from flowground.store import audit, publications, tables
from flowground.store.people.identities import everyone
from flowground.store.publications import Sharing
from flowground.store.sql import add_row, fetch_page, has_words, make_storable, read_moment

RequestState = Literal["open", "approved", "denied"]
NOTE_CHARS = 500
MOST_OPEN = 50
"""Most open requests of one person; further ones are not kept."""
_r = tables.access_requests.c
_e = everyone.c
_COLUMNS = (_r.id, _r.flow_id, _r.member, _r.note, _r.created_at)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """`flow_id` is the requested address: a flow's id, its endpoint name, or the address of no flow. `note` is the
    member's plain text of at most 500 characters."""

    id: str
    flow_id: str
    member: str
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LastAsked:
    """A member's last request for an address: it is open, or was denied, and the member may ask again."""

    asked_at: datetime
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class SearchedWord:
    """A word to look for in requests, and the flows in whose names it stands."""

    word: str
    flows: Collection[str] = ()


def ask(connection: Connection, *, flow_id: str, member: str, note: str) -> bool:
    """Keeps a request; False where the member has an open one for this flow, or too many open ones."""
    last = find_last(connection, flow_id=flow_id, member=member)
    if last is not None and not last.is_denied:
        return False
    open_now = select(func.count()).where(_r.member == member, _r.state == "open")
    if connection.execute(open_now).scalar_one() >= MOST_OPEN:
        return False
    add_row(
        connection,
        tables.access_requests,
        id=str(uuid4()),
        flow_id=flow_id,
        member=member,
        note=make_storable(note[:NOTE_CHARS]),
        state="open",
        created_at=time.time(),
    )
    audit.record(connection, actor=str(Owner("member", member)), action="access.requested", subject=flow_id)
    return True


def find_last(connection: Connection, *, flow_id: str, member: str) -> LastAsked | None:
    """The member's last request for the flow; None where there is none, or it was approved."""
    wanted = select(_r.state, _r.created_at).where(_r.member == member, _r.flow_id == flow_id)
    row = connection.execute(wanted.order_by(_r.created_at.desc()).limit(1)).first()
    if row is None or row.state == "approved":
        return None
    return LastAsked(read_moment(row.created_at), is_denied=row.state == "denied")


def find_open(connection: Connection, *, request_id: str) -> AccessRequest | None:
    row = connection.execute(select(*_COLUMNS).where(_r.id == request_id, _r.state == "open")).first()
    return _read_request(row) if row else None


def find_page(
    connection: Connection, *, flows: Collection[str], words: Sequence[SearchedWord] = (), limit: int, offset: int = 0
) -> tuple[list[AccessRequest], int]:
    """A page of the open requests for these flows that match all words, oldest first; and the number on all pages."""
    wanted = [_r.state == "open", _r.flow_id.in_(list(flows))]
    for one in words:
        askers = select(_e.id).where(has_words(connection, one.word, _e.name, _e.display_name))
        in_request = has_words(connection, one.word, _r.note, _r.member)
        wanted.append(or_(in_request, _r.member.in_(askers), _r.flow_id.in_(list(one.flows))))
    found = select(*_COLUMNS).where(*wanted).order_by(_r.created_at, _r.id)
    return fetch_page(connection, found, _read_request, limit=limit, offset=offset)


def list_requests(connection: Connection, *, member: str) -> list[tuple[AccessRequest, RequestState]]:
    """The member's requests, newest first."""
    wanted = select(*_COLUMNS, _r.state).where(_r.member == member).order_by(_r.created_at.desc(), _r.id)
    return [(_read_request(row), state) for *row, state in connection.execute(wanted)]


def decide(connection: Connection, *, request_id: str, is_approved: bool, by: str) -> AccessRequest | None:
    """Approves or denies the request; None when somebody decided before."""
    word = "approved" if is_approved else "denied"
    row = connection.execute(
        update(tables.access_requests)
        .where(_r.id == request_id, _r.state == "open")
        .values(state=word, decided_by=by, decided_at=time.time())
        .returning(*_COLUMNS)
    ).first()
    if row is None:
        return None
    request = _read_request(row)
    asker = Owner("member", request.member)
    audit.record(connection, actor=by, action=f"access.{word}", subject=f"{request.flow_id} {asker}")
    return request


def approve(connection: Connection, *, request_id: str, flow_id: str, by: str) -> bool:
    """Shares the flow with the requesting member, in the transaction of the decision. False when somebody decided
    before.

    A flow whose sharing is off or expired is shared with this person alone: the earlier audience stays out.
    """
    request = decide(connection, request_id=request_id, is_approved=True, by=by)
    if request is None:
        return False
    sharing = publications.read_sharing(connection, flow_id=flow_id)
    person = frozenset({request.member})
    if not sharing.is_shared or sharing.is_expired:
        sharing = Sharing(is_shared=True, audience="people", members=person)
    elif sharing.audience == "people":
        sharing = replace(sharing, members=sharing.members | person)
    else:
        return True
    publications.change(connection, flow_id=flow_id, sharing=sharing, by=by)
    return True


def _read_request(row: Any) -> AccessRequest:
    key, flow_id, member, note, created_at = row
    return AccessRequest(key, flow_id, member, note, read_moment(created_at))
