"""The two cookies that are signed here: a browser's sign-in, and the members whom the browser is known for.

The sign-in is in streamlit-authenticator's token format (`username`, `exp_date`; HS256) plus `jti`. It has no `exp`
claim: the authenticator would raise its expiry through the form.

A browser that is known for a member has a count of its own for that member's wrong passwords, so that strangers' tries
do not shut it out. The cookie opens nothing. Its claims are others than a sign-in's: neither passes for the other.
"""

import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jwt

from flowground.caller import Caller
from flowground.errors import ConfigError
from flowground.settings import Settings

DEVICE_DAYS = 180
_DEVICE_NAMES = 8
"""Members whom one browser is known for; the last ones."""
_KEY_FILE = "cookie.key"
_KEY_CHARS = 32


@dataclass(frozen=True, slots=True)
class Claims:
    """What a sign-in cookie says, its signature checked and its time not over. `username` "" is the local owner."""

    username: str
    sign_in_id: str


@dataclass(frozen=True, slots=True)
class Device:
    """A browser and the members whom it is known for; `names` are digests of ids: the cookie tells nobody's."""

    id: str
    names: tuple[str, ...] = ()

    def knows(self, member: str) -> bool:
        """Whether this member signed in here."""
        return self._digest(member) in self.names

    def add_member(self, member: str) -> "Device":
        mine = self._digest(member)
        return Device(self.id, (*(known for known in self.names if known != mine), mine)[-_DEVICE_NAMES:])

    def _digest(self, member: str) -> str:
        return hmac.digest(self.id.encode(), member.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:16]


class SignedCookies:
    """Writes the cookies' values, and reads those that are signed with our key and whose time is not over."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when the configured key is too short. Makes the key file when there is neither."""
        given = settings.cookie.key.get_secret_value() if settings.cookie.key else None
        if given is not None and len(given.encode()) < _KEY_CHARS:
            raise ConfigError(
                f"cookie.key: at least {_KEY_CHARS} characters",
                hint="Leave it out, and a key is generated into the data folder.",
            )
        self.key = given or _make_key(settings.data / _KEY_FILE)

    def write_sign_in(self, *, username: str, sign_in_id: str, expires_at: float) -> str:
        return self._sign({"username": username, "exp_date": expires_at, "jti": sign_in_id})

    def read_sign_in(self, value: str) -> Claims | None:
        claims = self._read(value)
        username, expires, key = claims.get("username"), claims.get("exp_date"), claims.get("jti")
        if not isinstance(username, str) or not isinstance(key, str) or not isinstance(expires, (int, float)):
            return None
        return Claims(username, key) if expires > time.time() else None

    def read_device(self, value: str) -> Device | None:
        claims = self._read(value)
        device, names, until = claims.get("device"), claims.get("names"), claims.get("until")
        if not isinstance(device, str) or not isinstance(names, list) or not isinstance(until, (int, float)):
            return None
        return Device(device, tuple(map(str, names))) if until > time.time() else None

    def remember_member(self, value: str, caller: Caller | None) -> str | None:
        """The device cookie's next value once this member signed in; `value` is what the browser sent, good or not.
        None for a caller who is no member."""
        if caller is None or caller.kind != "member":
            return None
        device = (self.read_device(value) or Device(secrets.token_hex(16))).add_member(caller.id)
        until = time.time() + DEVICE_DAYS * 86_400
        return self._sign({"device": device.id, "names": device.names, "until": until})

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, algorithm="HS256")

    def _read(self, value: str) -> dict[str, Any]:
        """The claims; none where we did not sign them."""
        try:
            return jwt.decode(value, self.key, algorithms=["HS256"])
        except (jwt.PyJWTError, UnicodeError):
            return {}


def _make_key(file: Path) -> str:
    """The key in the data folder, made once: replicas that start together agree on one."""
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=file.parent, delete=False) as new:  # mode 0600
                new.write(secrets.token_hex(32))
            with suppress(FileExistsError):
                os.link(new.name, file)  # appears whole or not at all
            os.unlink(new.name)
        key = file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"data: cannot keep the cookie's key in {file.parent}: {error.strerror}") from None
    if len(key) < _KEY_CHARS:
        raise ConfigError(f"data: {file} holds no usable key", hint="Delete it; everyone signs in again.")
    return key
