"""The signed cookie of a browser's sign-in.

It is in streamlit-authenticator's token format (`username`, `exp_date`; HS256) plus `jti`. It has no `exp` claim: the
authenticator would raise its expiry through the form.
"""

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jwt

from flowground.errors import ConfigError
from flowground.settings import Settings

_KEY_FILE = "cookie.key"
_KEY_CHARS = 32


@dataclass(frozen=True, slots=True)
class Claims:
    """What a sign-in cookie says, its signature checked and its time not over. `username` "" is the local owner."""

    username: str
    sign_in_id: str


class SignedCookies:
    """Writes the cookie's value, and reads one that is signed with our key and whose time is not over."""

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
        claims = {"username": username, "exp_date": expires_at, "jti": sign_in_id}
        return jwt.encode(claims, self.key, algorithm="HS256")

    def read_sign_in(self, value: str) -> Claims | None:
        """None where we did not sign it, or its time is over."""
        try:
            claims: dict[str, Any] = jwt.decode(value, self.key, algorithms=["HS256"])
        except (jwt.PyJWTError, UnicodeError):
            return None
        username, expires, key = claims.get("username"), claims.get("exp_date"), claims.get("jti")
        if not isinstance(username, str) or not isinstance(key, str) or not isinstance(expires, (int, float)):
            return None
        return Claims(username, key) if expires > time.time() else None


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
