"""Passwords that were tried are counted, so that guessing stays slow and nobody is shut out for good."""

import math
from typing import Any

from flowground.errors import NotSignedIn
from flowground.sign_in.devices import Device
from flowground.sign_in.passwords import clean_name
from flowground.store import Store
from flowground.store.people import attempts
from flowground.store.sql import make_storable

_NAME_CHARS = 254
_LINKS = "a link"
_REQUESTS = "requests of"
_BROWSER = "browser"
"""With a space: no member is called so, and nobody comes from "access" or from "browser …"."""


class Tries:
    """By name and address. What is counted lies in the store, for all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, name: str, address: str, device: Device | None = None) -> float:
        """Counts a password for a name. 0: it may be looked at; else the seconds to wait."""
        return await self._store.write(attempts.begin, **_place_of(name, address, device))

    async def begin_link(self, address: str) -> None:
        """Counts a link that is not good. Raises NotSignedIn after too many from one address; links are too long to
        guess, so no number of addresses shuts them for all."""
        wait = await self._store.write(attempts.begin, name=_LINKS, address=address, per_name=None)
        if wait:
            raise locked_out(wait, "links")

    async def begin_request(self, member: str) -> float:
        """Counts a request for access. 0: it may be made; else the seconds to wait."""
        name = attempt_name(f"{_REQUESTS} {member}")
        return await self._store.write(attempts.begin, name=name, address="access", per_name=None)

    async def note_success(self, name: str, address: str, device: Device | None = None) -> None:
        """Forgets the wrong tries of this name from here, and remembers the address as the member's."""
        place = _place_of(name, address, device)
        await self._store.write(attempts.note_success, name=place["name"], address=address, counted_as=place["address"])

    async def lockout(self, name: str, address: str, device: Device | None = None) -> float:
        """Seconds until this name may be tried from here again; 0: now."""
        return await self._store.read(attempts.find_wait, **_place_of(name, address, device))


def _place_of(name: str, address: str, device: Device | None) -> dict[str, Any]:
    """Where a try is counted, as arguments of `store.attempts`.

    A browser in which this member signed in before has a count of its own, which no stranger's tries enter.
    """
    name = attempt_name(name)
    if device is not None and device.knows(name):
        return {"name": name, "address": f"{_BROWSER} {device.id}", "per_name": None}
    return {"name": name, "address": address, "in_all": attempts.IN_ALL}


def attempt_name(name: str) -> str:
    """No attempt is kept under more than a name's length."""
    return make_storable(clean_name(name)[:_NAME_CHARS])


def locked_out(wait: float, what: str = "passwords") -> NotSignedIn:
    """The error that says how long."""
    minutes = max(1, math.ceil(wait / 60))
    return NotSignedIn(
        f"Too many wrong {what}. Try again in {minutes} minute{'s' if minutes > 1 else ''}.", code="locked_out"
    )
