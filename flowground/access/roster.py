"""Everyone who may sign in: members of the database, members of config.yaml, and one-time links that set a password.

config.yaml has its members in streamlit-authenticator's own format (`credentials: {usernames: {ada: {…}}}`).
"""

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flowground.access.passwords import (
    LEAST_COST,
    MOST_COST,
    Attempts,
    Bcrypt,
    clean_name,
    clean_password,
    is_hash,
    read_cost,
)
from flowground.core.caller import LOCAL_OWNER, Role
from flowground.core.errors import ConfigError, InvalidRequest, NotAllowed, NotSignedIn
from flowground.core.words import fold, read_name
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import config_entries, members, sign_ins
from flowground.store.people.config_entries import ConfigEntry, What
from flowground.store.people.members import Member
from flowground.store.people.sign_ins import LinkKind, PasswordLink
from flowground.store.people.tokens import hash_secret

_log = logging.getLogger(__name__)
GOOD_FOR_SECONDS: dict[LinkKind, float] = {"invitation": 7 * 86_400, "reset": 86_400}
NAME_CHARS = 100
"""Characters of the name that others see."""
_CHANGES: dict[What, str] = {
    "gone": "config.yaml no longer names %s: their sign-ins, links and tokens have ended; "
    "what they said stays until the name comes with another password",
    "back": "config.yaml names %s again, with the password of before: what they said is theirs, and they sign in anew",
    "new_password": "config.yaml has another password for %s: "
    "their sign-ins, links, tokens and an older password of the app have ended, what they said stays",
    "replaced": "config.yaml names %s with another password, and another email or after a time without the name: "
    "taken for somebody else, who inherits nothing",
}
_ID = re.compile(r"[a-z0-9][a-z0-9._@+~-]{0,79}\Z")
_ROLES: tuple[Role, ...] = ("admin", "author", "member")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}\Z")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_@+-]+")
_PROPOSED_CHARS = 64


def find_name(names: Mapping[str, str], member: str) -> str:
    """The shown name of a member, from what `find_names` returned; for a removed member, the name in their id."""
    return names.get(member) or member.partition("~")[0]


def suggest_name(shown: str) -> str:
    """A user name for somebody with this display name: "Lena Hoff" → "lena.hoff". Empty where none can be made."""
    return _NOT_IN_NAMES.sub(".", fold(shown)).strip("._@+-")[:_PROPOSED_CHARS].rstrip("._@+-")


class Roster:
    """Members by id, or by the clean name they sign in with. Members of config.yaml are copied into the database."""

    def __init__(self, settings: Settings, *, store: Store, bcrypt: Bcrypt, key: str) -> None:
        """`key` is the cookie key. Raises ConfigError for mistakes in config.yaml's members."""
        self._store = store
        self._bcrypt = bcrypt
        self._config = read_config_members(settings.credentials.usernames, key)
        hashes = [entry.password for entry in self._config if entry.password and not entry.is_plain]
        bcrypt.cost = max([bcrypt.cost, *map(read_cost, hashes)])

    @property
    def has_configured_admin(self) -> bool:
        """Whether config.yaml names an admin with a password."""
        return any(entry.role == "admin" and entry.password for entry in self._config)

    async def start(self) -> None:
        """Copies the members of config.yaml into the database; the log names changes.

        Members who left the file, or have another password in it, lose sign-ins, links and tokens. Raises ConfigError
        where a name or id in the file belongs to another member.
        """
        if names := [entry.name for entry in self._config if entry.is_plain]:
            _log.warning(
                "config.yaml has the plain password of %s: write its bcrypt hash instead "
                "(streamlit_authenticator.Hasher.hash makes it)",
                ", ".join(names),
            )
        entries = self._config
        changes, unhashed = await self._store.write(config_entries.import_entries, entries=entries)
        while unhashed:
            plain = [entry for entry in entries if entry.name in unhashed]
            hashed = {entry.name: entry for entry in await asyncio.gather(*map(self._hash_entry, plain))}
            entries = [hashed.get(entry.name, entry) for entry in entries]
            changes, unhashed = await self._store.write(config_entries.import_entries, entries=entries)
        for name, what in sorted(changes.items()):
            if (sentence := _CHANGES.get(what)) is not None:
                _log.warning(sentence, name)

    async def _hash_entry(self, entry: ConfigEntry) -> ConfigEntry:
        return replace(entry, password=await self.hash(entry.password or ""), is_plain=False)

    async def list_members(self) -> list[Member]:
        """All members, by name."""
        return await self._store.read(members.list_members)

    async def find(self, member: str) -> Member | None:
        """The member with this id."""
        return await self._store.read(members.find, member=member)

    async def find_names(self, ids: Collection[str]) -> dict[str, str]:
        """Member id -> the name that colleagues see; unknown ids are left out."""
        return await self._store.read(members.find_display_names, members=ids)

    async def find_named(self, name: str) -> Member | None:
        """The member who signs in with this name."""
        return await self._store.read(members.find_named, name=clean_name(name))

    async def find_login(self, name: str) -> tuple[Member | None, str | None]:
        """The active member who signs in with this clean name, and the hash of their password."""
        member, hashed = await self._store.read(members.find_login, name=name)
        return (member, hashed) if member and member.is_active else (None, None)

    async def add(
        self,
        name: str,
        *,
        display_name: str = "",
        role: Role = "member",
        password: str | None = None,
        email: str | None = None,
        by: str,
    ) -> Member:
        """Adds a member. Raises InvalidRequest for an invalid name or password, and when the name is taken."""
        account = await self._make_account(name, display_name, password)
        return await self._store.write(members.add, **account, email=email, role=role, by=by)

    async def add_first(
        self,
        name: str,
        display_name: str,
        password: str,
        *,
        email: str | None = None,
        shares: str | None = None,
        by: str = str(LOCAL_OWNER.owner),
    ) -> Member:
        """Adds the first account, an admin, who gets the local owner's conversations; ends local mode and the local
        owner's sign-ins.

        The flow `shares` is shared in the same transaction. Raises NotAllowed when there was an account before,
        InvalidRequest like `add`.
        """
        account = await self._make_account(name, display_name, password)
        return await self._store.write(members.add_first, **account, email=email, shares=shares, by=by)

    async def _make_account(self, name: str, display_name: str, password: str | None) -> dict[str, Any]:
        name = require_name(name)
        if any(entry.name == name for entry in self._config):
            raise InvalidRequest(f"There is already a member {name}, of config.yaml.")
        shown = _clean_display_name(display_name) if display_name.strip() else name
        hashed = None if password is None else await self.hash(password)
        return {"name": name, "display_name": shown, "password": hashed}

    async def set_password(self, member: str, password: str, *, by: str) -> None:
        """Sets the password of any member, and signs them out everywhere. Raises InvalidRequest."""
        if await self.find(member) is None:
            raise InvalidRequest(f"There is no member {member}.")
        await self._store.write(members.set_password, member=member, password=await self.hash(password), by=by)

    async def rename(self, member: str, name: str, *, by: str) -> str:
        """Gives a member of the database another name to sign in with, and returns it. Sign-ins stay. Raises as
        `change`, and InvalidRequest for a name that is invalid or taken."""
        name = require_name(name)
        await self.change(member, members.rename, name=name, by=by)
        return name

    async def show_as(self, member: str, display_name: str, *, by: str) -> None:
        """Changes the name that colleagues see, of a member of the database. Raises like `rename`."""
        await self.change(member, members.show_as, display_name=_clean_display_name(display_name), by=by)

    async def change(self, member: str, job: Callable[..., bool], **options: Any) -> None:
        """Has the store change a member of the database. Raises NotAllowed for members of config.yaml, InvalidRequest
        where there is no such member."""
        await self.require_stored(member)
        if not await self._store.write(job, member=member, **options):
            raise InvalidRequest(f"There is no member {member}.")

    async def hash(self, password: str) -> str:
        """The bcrypt hash of a password. Raises InvalidRequest when the password breaks a rule."""
        return await asyncio.wrap_future(self._bcrypt.start_hash(clean_password(password)))

    async def require_stored(self, member: str) -> None:
        """Raises NotAllowed for an active member whom config.yaml names: the app cannot change them."""
        found = await self.find(member)
        if found is not None and found.source == "config" and found.is_active:
            raise NotAllowed(
                f"{found.name} is defined in config.yaml.",
                hint=f"Change the entry there, or take it out, then restart. `id: {found.id}` in it allows a new name.",
            )


def require_name(name: str) -> str:
    """The clean user name. Raises InvalidRequest where it is not valid."""
    name = clean_name(name)
    if not _NAME.match(name):
        raise InvalidRequest(
            "A user name is made of small letters, digits and . _ @ + -, without spaces. It begins with a letter "
            "or a digit, and has 64 characters at most.",
            hint=f"For example {suggest_name(name) or 'lena.hoff'}.",
        )
    return name


def _clean_display_name(written: str) -> str:
    """The name that others see. Raises InvalidRequest where it is not valid."""
    name = read_name(written, most=NAME_CHARS)
    if name is None:
        raise InvalidRequest(f"A name that others see is one line of 1 to {NAME_CHARS} characters.")
    return name


class PasswordLinks:
    """One-time links that set a password. Unknown, used, expired and revoked links get the same error."""

    def __init__(self, store: Store, roster: Roster, attempts: Attempts) -> None:
        self._store = store
        self._roster = roster
        self._attempts = attempts

    async def create(self, kind: LinkKind, member: str, *, by: str) -> tuple[PasswordLink, str]:
        """A new link for a member, by id, and its secret, which is not stored. Ends the member's earlier links.

        Raises InvalidRequest when there is no such active member.
        """
        found = await self._roster.find(member)
        if found is None or not found.is_active:
            raise InvalidRequest(f"There is no active member {member}.")
        secret = secrets.token_urlsafe(32)
        link = await self._store.write(
            sign_ins.add_link,
            kind=kind,
            member=member,
            hashed=hash_secret(secret),
            expires_at=time.time() + GOOD_FOR_SECONDS[kind],
            by=by,
        )
        return link, secret

    async def find(self, secret: str, address: str) -> tuple[PasswordLink, Member]:
        """The link, and the member whose password it sets. Raises NotSignedIn for invalid links, counted by address."""
        link = await self._store.read(sign_ins.find_link, hashed=hash_secret(secret)) if secret else None
        member = await self._roster.find(link.member) if link else None
        if link is None or member is None or not member.is_active or not await self._is_by_admin(link):
            await self._attempts.count_bad_link(address)
            raise _link_error()
        return link, member

    async def _is_by_admin(self, link: PasswordLink) -> bool:
        """Whether the maker of the link may still make links."""
        kind, _, member = link.created_by.partition(":")
        maker = await self._roster.find(member) if kind == "member" else None
        return kind != "member" or (maker is not None and maker.is_active and maker.role == "admin")

    async def was_used_by(self, secret: str, member: str) -> bool:
        """Whether this member, by id, set their password with this link; False for everybody else's links."""
        return bool(secret) and await self._store.read(sign_ins.was_link_of, hashed=hash_secret(secret), member=member)

    async def redeem(self, secret: str, password: str, address: str) -> Member:
        """Sets the password; every sign-in and every other link of the member ends.

        Raises NotSignedIn like `find`, InvalidRequest for a password that breaks a rule (the link stays valid).
        """
        _, member = await self.find(secret, address)
        hashed = await self._roster.hash(password)
        if not await self._store.write(members.set_password_by_link, link=hash_secret(secret), password=hashed):
            raise _link_error()
        return member


def _link_error() -> NotSignedIn:
    return NotSignedIn("This link no longer works.", code="link_over", hint="Ask whoever sent it to you for a new one.")


class _Entry(BaseModel):
    """The fields of an entry that are read; the authenticator knows more. `id` is Flowground's own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str | None = None
    password: str | None = None
    email: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    roles: list[str] | str | None = None


def read_config_members(usernames: Mapping[str, Any], key: str) -> list[ConfigEntry]:
    """The members of config.yaml. `key` protects the fingerprints of plain passwords: the database does not have it.

    Raises ConfigError, which names the wrong entry.
    """
    found: dict[str, ConfigEntry] = {}
    for written, fields in usernames.items():
        place = f"credentials.usernames.{written}"
        name = clean_name(str(written))
        if not name or any(character.isspace() for character in name):
            raise ConfigError(f"{place}: a name has no spaces")
        if name in found:
            raise ConfigError(f"{place}: there is another {name}; names do not differ by upper and lower case")
        entry = _read_member(name, fields, place, key)
        same = [other.name for other in found.values() if entry.id and other.id == entry.id]
        if same:
            raise ConfigError(f"{place}.id: {same[0]} has this id too", hint="An id is one person's.")
        found[name] = entry
    return list(found.values())


def _read_member(name: str, fields: Any, place: str, key: str) -> ConfigEntry:
    try:
        entry = _Entry.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in (place, *problem["loc"]))
        raise ConfigError(f"{where}: {problem['msg']}") from None
    is_plain = entry.password is not None and not is_hash(entry.password)
    password = _check_password(entry.password, place) if entry.password is not None else None
    if entry.id is not None and not _ID.match(entry.id):
        raise ConfigError(f"{place}.id: an id has 1 to 80 of the characters a–z, 0–9, and . _ @ + ~ - after the first")
    full_name = f"{entry.first_name or ''} {entry.last_name or ''}".strip()
    return ConfigEntry(
        name,
        display_name=full_name or entry.name or name,
        role=_choose_role(entry.roles),
        email=entry.email,
        fingerprint=_make_fingerprint(entry.id or name, password, key),
        id=entry.id,
        password=password,
        is_plain=is_plain,
    )


def _check_password(password: str, place: str) -> str:
    """The bcrypt hash unchanged, or the cleaned plain password. Raises ConfigError."""
    if not is_hash(password):
        try:
            return clean_password(password)
        except InvalidRequest as error:
            raise ConfigError(f"{place}.password: {error.message}", hint=error.hint) from None
    if not LEAST_COST <= read_cost(password) <= MOST_COST:
        raise ConfigError(
            f"{place}.password: a bcrypt hash of cost {read_cost(password)}; it may be {LEAST_COST} to {MOST_COST}",
            hint="One step more is twice the work, of every sign-in.",
        )
    return password


def _make_fingerprint(name: str, password: str | None, key: str) -> str:
    """A digest that changes with the password."""
    if password is None:
        return "none"
    if is_hash(password):
        return f"hash {hashlib.sha256(password.encode()).hexdigest()}"
    return f"plain {hmac.digest(key.encode(), f'{name} {password}'.encode(), hashlib.sha256).hex()}"


def _choose_role(roles: list[str] | str | None) -> Role:
    """The highest of Flowground's roles in the list; other words are ignored. Without one, `member`."""
    words = {role.lower().strip() for role in ([roles] if isinstance(roles, str) else roles or [])}
    return next((role for role in _ROLES if role in words), "member")
