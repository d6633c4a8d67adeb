"""Passwords that were tried are counted, so that guessing stays slow and nobody is shut out for good."""

import math
from typing import Any

from flowground.errors import NotSignedIn
from flowground.sign_in.passwords import clean_name
from flowground.sign_in.signed_cookies import Device
from flowground.store import Store
from flowground.store.people import attempts
from flowground.store.sql import make_storable
from flowground.words import count

_NAME_CHARS = 254
# What else is counted stands beside the passwords in one table. No member's name holds a space, and no address is
# "access" or begins with "browser ": so none of these is counted together with somebody's passwords.
_LINKS = "a link"
_BROWSER = "browser"
_ACTS = "access"


class Tries:
    """By name, as it was typed, and address. What is counted lies in the store, for all processes.

    `device` is a browser in which whoever has the name signed in before.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, name: str, address: str, device: Device | None = None) -> float:
        """Counts a password for a name. 0: it may be looked at; else the seconds to wait."""
        return await self._store.write(attempts.begin, **_locate_count(name, address, device))

    async def count_bad_link(self, address: str) -> None:
        """Counts a link that is not good. Raises NotSignedIn after too many from one address; links are too long to
        guess, so no number of addresses shuts them for all."""
        wait = await self._store.write(attempts.begin, name=_LINKS, address=address, per_name=None)
        if wait:
            raise describe_lockout(wait, "links")

    async def count_request(self, member: str) -> float:
        """Counts an access request. 0: it may be made; else the seconds to wait."""
        name = clean_attempt_name(f"{attempts.REQUESTS} {member}")
        return await self._store.write(attempts.begin, name=name, address=_ACTS, per_name=None)

    async def count_copy(self, member: str) -> float:
        """As `count_request`, for a copy of a shared chat."""
        most, name = attempts.MOST_COPIES, clean_attempt_name(f"{attempts.COPIES} {member}")
        return await self._store.write(attempts.begin, name=name, address=_ACTS, per_address=most, per_name=None)

    async def note_success(self, name: str, address: str, device: Device | None = None) -> None:
        """Forgets the wrong tries of this name from here, and remembers the address as the member's."""
        count = _locate_count(name, address, device)
        await self._store.write(attempts.note_success, name=count["name"], address=address, counted_as=count["address"])

    async def find_wait(self, name: str, address: str, device: Device | None = None) -> float:
        """Seconds until this name may be tried from here again; 0: now."""
        return await self._store.read(attempts.find_wait, **_locate_count(name, address, device))


def _locate_count(name: str, address: str, device: Device | None) -> dict[str, Any]:
    """Where a try is counted, as arguments of `store.people.attempts`.

    A browser in which this member signed in before has a count of its own, which no stranger's tries enter.
    """
    name = clean_attempt_name(name)
    if device is not None:
        return {"name": name, "address": f"{_BROWSER} {device.id}", "per_name": None}
    return {"name": name, "address": address, "in_all": attempts.IN_ALL}


def clean_attempt_name(name: str) -> str:
    """No attempt is kept under more than a name's length."""
    return make_storable(clean_name(name)[:_NAME_CHARS])


def describe_lockout(wait: float, what: str = "passwords") -> NotSignedIn:
    """The error that says how long one has to wait; `wait` are seconds."""
    minutes = max(1, math.ceil(wait / 60))
    return NotSignedIn(f"Too many wrong {what}. Try again in {count(minutes, 'minute')}.", code="locked_out")
