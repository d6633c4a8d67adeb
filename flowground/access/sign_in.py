"""Sign-in: from password to ticket to cookie to `Caller`, and what ends a sign-in.

While no account was ever created the app is in local mode: it serves this computer only, and whoever enters the owner
code from the terminal is its owner. The first account ends local mode for good.
"""

import hmac
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

from flowground.access.passwords import (
    Attempts,
    Bcrypt,
    Compare,
    clean_attempt_name,
    compare_by_bcrypt,
    locked_out_error,
)
from flowground.access.roster import PasswordLinks, Roster
from flowground.core.caller import Caller
from flowground.core.errors import ConfigError, InvalidRequest, NotAllowed
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import members, sign_ins
from flowground.store.people.members import Member
from flowground.store.people.tokens import hash_secret
from flowground.store.sql import make_storable

TICKET_SECONDS = 30
_CODE_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_AGENT_CHARS = 300
_KEY_FILE = "cookie.key"
_KEY_CHARS = 32


class SignedCookies:
    """Writes and verifies the values of sign-in cookies.

    The value has streamlit-authenticator's token format (`username`, `exp_date`; HS256) plus `jti`. It has no `exp`
    claim, whose expiry would be raised through the authenticator's form.
    """

    def __init__(self, settings: Settings) -> None:
        """Creates the key file where no key is configured. Raises ConfigError when the configured key is too short."""
        configured = settings.cookie.key.get_secret_value() if settings.cookie.key else None
        if configured is not None and len(configured.encode()) < _KEY_CHARS:
            raise ConfigError(
                f"cookie.key: at least {_KEY_CHARS} characters",
                hint="Leave it out, and a key is generated into the data folder.",
            )
        self.key = configured or _make_key(settings.data / _KEY_FILE)

    def write_sign_in(self, *, username: str, sign_in_id: str, expires_at: float) -> str:
        import jwt  # noqa: PLC0415 - its cryptography has 3 MB, and a server that only runs flows reads no cookie

        claims = {"username": username, "exp_date": expires_at, "jti": sign_in_id}
        return jwt.encode(claims, self.key, algorithm="HS256")

    def read_sign_in(self, value: str) -> tuple[str, str] | None:
        """The user name, "" for the local owner, and the sign-in's id; None where the signature is not ours, or the
        cookie has expired."""
        import jwt  # noqa: PLC0415 - as above

        try:
            claims: dict[str, Any] = jwt.decode(value, self.key, algorithms=["HS256"])
        except (jwt.PyJWTError, UnicodeError):
            return None
        username, expires, key = claims.get("username"), claims.get("exp_date"), claims.get("jti")
        if not isinstance(username, str) or not isinstance(key, str) or not isinstance(expires, (int, float)):
            return None
        return (username, key) if expires > time.time() else None


class SignIn:
    """Sign-in of one process. What outlives the process, or acts in other processes, is in the store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Creates the cookie's key file. Raises ConfigError for mistakes in config.yaml's members or cookie key."""
        self._store = store
        self._days = settings.cookie.expiry_days
        self.cookies = SignedCookies(settings)
        self._bcrypt = Bcrypt()
        self.roster = Roster(settings, store=store, bcrypt=self._bcrypt, key=self.cookies.key)
        self.attempts = Attempts(store)
        self.links = PasswordLinks(store, self.roster, self.attempts)
        self.knows_an_account = False
        """Whether this process knows that an account was ever created; it never becomes False again."""
        code = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(12))
        self.owner_code = f"{code[:4]}-{code[4:8]}-{code[8:]}"
        """The code that the terminal prints at the start; whoever enters it is the local owner."""

    def close(self) -> None:
        """Ends the threads that hash passwords."""
        self._bcrypt.close()

    # Local mode

    async def is_local_mode(self) -> bool:
        """Whether no account was ever created, by any process."""
        if not self.knows_an_account:
            self.knows_an_account = await self._store.read(members.has_had_account)
        return not self.knows_an_account

    def check_owner_code(self, code: str) -> bool:
        """Whether this is the owner code; case, spaces and hyphens do not matter."""
        entered, right = ("".join(filter(str.isalnum, text.lower())) for text in (code, self.owner_code))
        return hmac.compare_digest(entered.encode(), right.encode())

    async def has_admin(self) -> bool:
        """Whether an admin can sign in: active, and with a password."""
        everyone = await self.roster.list_members()
        return any(member.role == "admin" and member.is_active and member.has_password for member in everyone)

    # Passwords

    async def check_password(
        self, name: str, password: str, address: str, *, compare: Compare = compare_by_bcrypt
    ) -> Member | None:
        """The member; None when name or password is wrong, after the same work in both cases.

        `compare` is called with password and hash, off the event loop. Raises NotSignedIn with code `locked_out` for a
        while after too many wrong passwords, or `sign_in_busy`, which counts no attempt.
        """
        with self._bcrypt.wait_in_line():
            name = clean_attempt_name(name)
            member, hashed = await self.roster.find_login(name)
            wait = await self.attempts.count(name, address)
            if wait:
                raise locked_out_error(wait)
            if not await self._bcrypt.matches(password, hashed, compare) or member is None:
                return None
            await self.attempts.note_success(name, address)
            return member

    # Sign-in sessions

    async def issue_ticket(self, member: str | None, browser: str) -> str:
        """A ticket that this browser may redeem once within 30 s.

        `member` is an id; None: the local owner, who entered the code. `browser` is a secret that only this browser
        sends (its visitor cookie). Raises InvalidRequest when it is empty, NotAllowed when local mode is over.
        """
        if not browser:
            raise InvalidRequest("This browser sends no cookies.", hint="Allow cookies for this address.")
        if member is None and not await self.is_local_mode():
            raise NotAllowed("This app has accounts.", hint="Sign in with yours.")
        ticket = secrets.token_urlsafe(32)
        await self._store.write(
            sign_ins.add_ticket,
            ticket=hash_secret(ticket),
            member=member,
            browser=hash_secret(browser),
            expires_at=time.time() + TICKET_SECONDS,
        )
        return ticket

    async def redeem(self, ticket: str, browser: str, agent: str | None = None) -> str | None:
        """The cookie's value; None when the ticket is not, or no longer, valid in this browser.

        `agent` is what the browser calls itself, for the list of sign-ins.
        """
        if not ticket or not browser:
            return None
        sign_in_id = str(uuid4())
        expires_at = time.time() + self._days * 86_400
        username = await self._store.write(
            sign_ins.redeem,
            ticket=hash_secret(ticket),
            browser=hash_secret(browser),
            sign_in_id=sign_in_id,
            expires_at=expires_at,
            agent=make_storable(agent[:_AGENT_CHARS]) if agent else None,
        )
        if username is None:
            return None
        return self.cookies.write_sign_in(username=username, sign_in_id=sign_in_id, expires_at=expires_at)

    async def verify_cookie(self, value: str) -> Caller | None:
        """The caller who sends this cookie; sign-in, member and role are read from the database."""
        username, sign_in_id = self.cookies.read_sign_in(value) or ("", "")
        caller = await self.find_caller(sign_in_id) if sign_in_id else None
        named = caller.id if caller and caller.kind == "member" else ""
        return caller if named == username else None

    async def find_caller(self, sign_in_id: str) -> Caller | None:
        """The caller of this sign-in with their present role; None once it ended. Called at every action."""
        state = await self._store.read(sign_ins.check, sign_in_id=sign_in_id)
        if state is None:
            return None
        if state.member is None:
            return None if state.has_had_account else Caller("local", "owner", "admin", sign_in_id=sign_in_id)
        return None if state.role is None else Caller("member", state.member, state.role, sign_in_id=sign_in_id)

    async def verify_token(self, secret: str, *, counts_use: bool = True) -> Caller | None:
        """The caller of this application token, with its owner's present role. `counts_use`: the use is recorded."""
        token = await self._store.use_token(secret, counts_use=counts_use)
        if token is None:
            return None
        role = "admin" if token.owner is None else token.owner_role
        flows = None if token.flows is None else frozenset(token.flows)
        if role is None:
            return None
        return Caller("token", token.id, role, flows=flows, person=token.owner, sees=token.sees, sets=token.sets)

    async def revoke(self, sign_in_id: str, *, member: str | None = None) -> bool:
        """Signs one browser out, which ends its cookie. False when it was not signed in, or is not `member`'s."""
        return await self._store.write(sign_ins.revoke, sign_in_id=sign_in_id, member=member)


def _make_key(file: Path) -> str:
    """The key in the data folder, created once: replicas that start together agree on one key."""
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
