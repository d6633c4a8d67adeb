"""Small rows that are worth nothing after some time: the table of them, and the one step that deletes some."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Connection, delete, select, tuple_

from flowground.store import tables

_STEP = 200
"""Rows that one step deletes at most."""

Expiring = Literal[
    "audit",
    "access_requests",
    "attempts",
    "known_addresses",
    "tickets",
    "sign_ins",
    "ended_sign_ins",
    "password_links",
]


@dataclass(frozen=True, slots=True)
class _Rows:
    """`at` counts: the moment from which a row grows old, in seconds since 1970. It has an index."""

    key: tuple[Column[Any], ...]
    at: Column[Any]


_audit, _attempts, _known = tables.audit.c, tables.attempts.c, tables.known_addresses.c
_requests = tables.access_requests.c
_tickets, _sign_ins, _links = tables.tickets.c, tables.sign_ins.c, tables.password_links.c
_EXPIRING: Mapping[Expiring, _Rows] = {
    "audit": _Rows((_audit.id,), _audit.at),
    "access_requests": _Rows((_requests.id,), _requests.decided_at),
    "attempts": _Rows((_attempts.id,), _attempts.at),
    "known_addresses": _Rows((_known.name, _known.address), _known.at),
    "tickets": _Rows((_tickets.hash,), _tickets.expires_at),
    "sign_ins": _Rows((_sign_ins.id,), _sign_ins.expires_at),
    "ended_sign_ins": _Rows((_sign_ins.id,), _sign_ins.revoked_at),
    "password_links": _Rows((_links.id,), _links.expires_at),
}


def delete_expired(connection: Connection, *, kind: Expiring, before: float) -> int:
    """Deletes the oldest of them from before then (seconds since 1970); how many. 0: there is none left."""
    rows = _EXPIRING[kind]
    oldest = select(*rows.key).where(rows.at < before).order_by(rows.at).limit(_STEP)
    meant = delete(rows.at.table).where(tuple_(*rows.key).in_(connection.execute(oldest).all()))
    return connection.execute(meant).rowcount
