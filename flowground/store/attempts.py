"""Passwords that were tried: what keeps guessing slow without shutting a colleague out.

A try is counted before the password is looked at, so that many at once cannot pass the count together, and taken
back when it was right. Refused tries are not counted: a lockout ends by itself, however long somebody keeps trying.
Tries from elsewhere never shut out an address from which the member signed in before.
"""

import time

from sqlalchemy import Connection, delete, func, insert, select

from flowground.store import tables

WINDOW_SECONDS = 300.0
PER_ADDRESS = 5
"""Wrong passwords for one name from one address within the window."""
PER_NAME = 50
"""Wrong passwords for one name from all addresses; known addresses are exempt."""
_KNOWN_SECONDS = 90 * 86_400

_a = tables.attempts.c
_k = tables.known_addresses.c


def begin(connection: Connection, *, name: str, address: str, per_name: int | None = PER_NAME) -> float:
    """0 when the password may be looked at (the try is counted), else the seconds to wait."""
    now = time.time()
    wait = seconds_to_wait(connection, name=name, address=address, per_name=per_name)
    if wait == 0:
        connection.execute(delete(tables.attempts).where(_a.at < now - WINDOW_SECONDS))
        connection.execute(insert(tables.attempts).values(name=name, address=address, at=now))
    return wait


def succeeded(connection: Connection, *, name: str, address: str) -> None:
    """The password was right: the tries of this name from this address are forgotten, the address is known."""
    now = time.time()
    connection.execute(delete(tables.attempts).where(_a.name == name, _a.address == address))
    known = tables.known_addresses
    connection.execute(
        delete(known).where((_k.name == name) & ((_k.address == address) | (_k.at < now - _KNOWN_SECONDS)))
    )
    connection.execute(insert(known).values(name=name, address=address, at=now))


def seconds_to_wait(connection: Connection, *, name: str, address: str, per_name: int | None = PER_NAME) -> float:
    """How long this name stays shut from this address; 0 when it is open. `per_name` None: each address for itself."""
    now = time.time()
    recent = (_a.name == name) & (_a.at > now - WINDOW_SECONDS)
    # The try that must leave the window before there is room for another.
    here = connection.execute(
        select(_a.at).where(recent, _a.address == address).order_by(_a.at.desc()).offset(PER_ADDRESS - 1).limit(1)
    ).scalar()
    everywhere = None
    if per_name is not None:
        all_of_name = select(_a.at).where(recent).order_by(_a.at.desc())
        everywhere = connection.execute(all_of_name.offset(per_name - 1).limit(1)).scalar()
    if everywhere is not None and _is_known(connection, name=name, address=address, now=now):
        everywhere = None
    oldest = max(at for at in (here, everywhere, 0.0) if at is not None)
    return max(0.0, oldest + WINDOW_SECONDS - now)


def _is_known(connection: Connection, *, name: str, address: str, now: float) -> bool:
    known = select(func.count()).where(_k.name == name, _k.address == address, _k.at > now - _KNOWN_SECONDS)
    return connection.execute(known).scalar_one() > 0
