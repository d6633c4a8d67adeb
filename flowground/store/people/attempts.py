"""Passwords that were tried: what keeps guessing slow without shutting a colleague out.

A try is counted before the password is looked at, so that many at once cannot pass the count together, and taken
back when it was right. Refused tries are not counted: a lockout ends by itself, however long somebody keeps trying.
Tries from elsewhere never shut out an address from which the member signed in before.
"""

import time

from sqlalchemy import ColumnElement, Connection, delete, select, update

from flowground.store import tables
from flowground.store.sql import add_row, has_row

WINDOW_SECONDS = 300.0
PER_ADDRESS = 5
"""Wrong passwords for one name from one address within the window."""
PER_NAME = 50
"""Wrong passwords for one name from all addresses; known addresses are exempt."""
IN_ALL = 30
"""Wrong passwords from one address for all names together: guessing one password for many names is slow, too."""
REQUESTS = "requests of"
"""Access requests are counted under this and the member's id: no name holds a space."""
_KNOWN_SECONDS = 90 * 86_400

_a = tables.attempts.c
_k = tables.known_addresses.c


def begin(
    connection: Connection,
    *,
    name: str,
    address: str,
    per_name: int | None = PER_NAME,
    in_all: int | None = None,
) -> float:
    """0 when the password may be looked at (the try is counted), else the seconds to wait."""
    now = time.time()
    wait = find_wait(connection, name=name, address=address, per_name=per_name, in_all=in_all)
    if wait == 0:
        add_row(connection, tables.attempts, name=name, address=address, at=now)
    return wait


def note_success(connection: Connection, *, name: str, address: str) -> None:
    """The password was right: the tries of this name from this address are forgotten, the address is known."""
    now = time.time()
    connection.execute(delete(tables.attempts).where(_a.name == name, _a.address == address))
    outdated = (_k.address == address) | (_k.at < now - _KNOWN_SECONDS)
    connection.execute(delete(tables.known_addresses).where(_k.name == name, outdated))
    add_row(connection, tables.known_addresses, name=name, address=address, at=now)


def rename(connection: Connection, *, old: str, new: str) -> None:
    """A member has another name: what is known of them goes along, so that whoever gets the old one begins anew."""
    forget_addresses(connection, name=new)
    connection.execute(update(tables.known_addresses).where(_k.name == old).values(name=new))
    connection.execute(delete(tables.attempts).where(_a.name == old))


def forget(connection: Connection, *, name: str, member: str) -> None:
    """Tries for a sign-in name, and what the member whose it is asked for."""
    names = [name, f"{REQUESTS} {member}"]
    connection.execute(delete(tables.attempts).where(_a.name.in_(names)))


def forget_addresses(connection: Connection, *, name: str) -> None:
    connection.execute(delete(tables.known_addresses).where(_k.name == name))


def find_wait(
    connection: Connection,
    *,
    name: str,
    address: str,
    per_name: int | None = PER_NAME,
    in_all: int | None = None,
) -> float:
    """How long this name stays shut from this address; 0 when it is open.

    `per_name` bounds the tries for the name from all addresses, `in_all` those from the address for all names;
    None: no such bound.
    """
    now = time.time()

    def find_nth(most: int, *where: ColumnElement[bool]) -> float:
        """When the try was that must leave the window before there is room for another; 0: there is room."""
        counted = select(_a.at).where(_a.at > now - WINDOW_SECONDS, *where).order_by(_a.at.desc())
        return connection.execute(counted.offset(most - 1).limit(1)).scalar() or 0.0

    of_name = _a.name == name
    oldest = find_nth(PER_ADDRESS, of_name, _a.address == address)
    if in_all is not None:
        oldest = max(oldest, find_nth(in_all, _a.address == address))
    everywhere = find_nth(per_name, of_name) if per_name is not None else 0.0
    if everywhere > oldest and not _is_known(connection, name=name, address=address, now=now):
        oldest = everywhere
    return max(0.0, oldest + WINDOW_SECONDS - now)


def _is_known(connection: Connection, *, name: str, address: str, now: float) -> bool:
    return has_row(connection, _k.name == name, _k.address == address, _k.at > now - _KNOWN_SECONDS)
