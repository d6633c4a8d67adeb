"""Browsers in which somebody signed in before: strangers' wrong passwords for that name do not shut these out.

A browser knows it from a signed cookie of its own, which opens nothing: it only gives its tries a count of their own.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

import jwt

from flowground.caller import Caller

_NAMES = 8
"""Members whom one browser is known for; the last ones."""
DAYS = 180


@dataclass(frozen=True, slots=True)
class Device:
    """`names` are digests: the cookie tells nobody's name."""

    id: str
    names: tuple[str, ...] = ()

    def knows(self, name: str) -> bool:
        """Whether this member signed in here; `name` is clean."""
        return self._digest(name) in self.names

    def with_member(self, name: str) -> "Device":
        mine = self._digest(name)
        return Device(self.id, (*(known for known in self.names if known != mine), mine)[-_NAMES:])

    def _digest(self, name: str) -> str:
        return hmac.digest(self.id.encode(), name.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:16]


class Devices:
    """The cookie's value: signed like the sign-in cookie, and with other claims, so that neither passes for the
    other."""

    def __init__(self, key: str) -> None:
        self._key = key

    def write(self, device: Device) -> str:
        claims = {"device": device.id, "names": device.names, "until": time.time() + DAYS * 86_400}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, value: str) -> Device | None:
        """None for anything we did not sign, and after its time."""
        try:
            claims = jwt.decode(value, self._key, algorithms=["HS256"]) if value else {}
        except (jwt.PyJWTError, UnicodeError):
            return None
        device, names, until = claims.get("device"), claims.get("names"), claims.get("until")
        if not isinstance(device, str) or not isinstance(names, list) or not isinstance(until, (int, float)):
            return None
        return Device(device, tuple(map(str, names))) if until > time.time() else None

    def remember(self, value: str, caller: Caller | None) -> str | None:
        """The cookie's next value once this member signed in; `value` is what the browser sent, good or not. None for
        who is no member."""
        if caller is None or caller.kind != "member":
            return None
        return self.write((self.read(value) or Device(secrets.token_hex(16))).with_member(caller.name))
