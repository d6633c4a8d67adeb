"""Everyone who may sign in: the members of config.yaml and those of the database, as one list."""

import asyncio
import logging
import re
from concurrent.futures import Future
from dataclasses import dataclass, replace

from flowground.caller import Role
from flowground.errors import ConfigError, InvalidRequest, NotAllowed
from flowground.settings import Settings
from flowground.sign_in.config_members import read_config_members
from flowground.sign_in.passwords import Bcrypt, clean_name, clean_password, read_cost
from flowground.store import Store
from flowground.store.people import config_entries, members
from flowground.store.people.config_entries import ConfigEntry, What
from flowground.store.people.members import Member, StoredMember

_log = logging.getLogger(__name__)
_SAID: dict[What, str] = {
    "gone": "config.yaml no longer names %s: their sign-ins, links and tokens have ended; "
    "what they said stays until the name comes with another password",
    "back": "config.yaml names %s again, with the password of before: what they said is theirs, and they sign in anew",
    "new_password": "config.yaml has another password for %s: "
    "their sign-ins, links, tokens and an older password of the app have ended, what they said stays",
    "replaced": "config.yaml has another password and another email for %s: "
    "taken for somebody else, who inherits nothing",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against: an active member with a password."""

    member: Member
    password: str


class Roster:
    """Members by clean name. One of config.yaml counts as long as the file names them."""

    def __init__(self, settings: Settings, *, store: Store, bcrypt: Bcrypt) -> None:
        """Raises ConfigError when config.yaml's members are wrong."""
        self._store = store
        self._bcrypt = bcrypt
        self._config = read_config_members(settings.credentials.usernames)
        hashes = [entry.password for entry in self._config.values() if entry.password and not entry.is_plain]
        bcrypt.cost = max([bcrypt.cost, *map(read_cost, hashes)])
        self._hashes: dict[str, Future[str]] = {}

    async def start(self) -> None:
        """To be awaited once, on the loop that serves. Raises ConfigError: a name in config.yaml and database."""
        for member in await self._store.read(members.list_members):
            if member.name in self._config:
                raise ConfigError(
                    f"credentials.usernames.{member.name}: the database has a member of this name too",
                    hint=f"Take it out of config.yaml, or run: python -m flowground members remove {member.name}",
                )
        if self._config:
            await self._store.write(members.mark_account_created)
        plain = {name: entry.password for name, entry in self._config.items() if entry.is_plain}
        if plain:
            _log.warning(
                "config.yaml has the plain password of %s: write its bcrypt hash instead "
                "(streamlit_authenticator.Hasher.hash makes it)",
                ", ".join(plain),
            )
        self._hashes = {name: self._bcrypt.start_hash(password) for name, password in plain.items() if password}

    async def end_rights_of_before(self, key: str) -> None:
        """Ends the sign-ins, links and tokens of members whom config.yaml no longer names as it did at the last start.

        The log says which. `key` is the cookie's. For the process that serves, once, before it does. A command beside a
        server must not compare: the server, which still has the older file, would not notice the change any more.
        """
        entries = {
            name: ConfigEntry(entry.make_fingerprint(name, key), entry.member.email)
            for name, entry in self._config.items()
        }
        for change in await self._store.write(config_entries.reconcile, entries=entries):
            if (sentence := _SAID.get(change.what)) is not None:
                _log.warning(sentence, change.name)

    def find_config_role(self, name: str) -> Role | None:
        """The role of a member of config.yaml; None for others."""
        found = self._config.get(name)
        return found.member.role if found else None

    async def list_members(self) -> list[Member]:
        """Those of config.yaml and of the database, by name."""
        stored = await self._store.read(members.list_members)
        with_password = await self._store.read(members.list_names_with_password)
        configured = [
            replace(entry.member, has_password=entry.member.has_password or name in with_password)
            for name, entry in self._config.items()
        ]
        return sorted([*stored, *configured], key=lambda member: member.name)

    async def find(self, name: str) -> Member | None:
        return (await self._find_stored(clean_name(name))).member

    async def find_login(self, name: str) -> Login | None:
        """None: unknown, deactivated, or without a password. `name` is clean."""
        found = await self._find_stored(name)
        if found.member is None or not found.member.is_active:
            return None
        password = found.password or await self._hash_config_password(name)
        return Login(found.member, password) if password else None

    async def _find_stored(self, name: str) -> StoredMember:
        """What the database knows under the clean name, its member the one of config.yaml where that has one."""
        stored = await self._store.read(members.find, name=name)
        configured = self._config.get(name)
        if configured is None:
            return stored
        has_password = bool(configured.password or stored.password)
        return replace(stored, member=replace(configured.member, has_password=has_password))

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
        """Raises InvalidRequest when the name or the password may not be one, or the name is taken."""
        name = self._require_free(name)
        hashed = None if password is None else await self.hash(password)
        return await self._store.write(
            members.add,
            name=name,
            display_name=display_name.strip() or name,
            role=role,
            email=email,
            password=hashed,
            by=by,
        )

    async def add_first(self, name: str, *, display_name: str, password: str, by: str) -> Member:
        """The first account, an admin. Raises NotAllowed when there was one, InvalidRequest like `add`."""
        name = self._require_free(name)
        hashed = await self.hash(password)
        shown = display_name.strip() or name
        return await self._store.write(members.add_first, name=name, display_name=shown, password=hashed, by=by)

    async def set_password(self, name: str, password: str, *, by: str) -> None:
        """For all members; signs them out everywhere. Raises InvalidRequest: no such name, or no good password."""
        name = clean_name(name)
        if await self.find(name) is None:
            raise InvalidRequest(f"There is no member {name}.")
        await self._store.write(members.set_password, name=name, password=await self.hash(password), by=by)

    async def hash(self, password: str) -> str:
        """Raises InvalidRequest when it may not be a password."""
        return await asyncio.wrap_future(self._bcrypt.start_hash(clean_password(password)))

    def require_stored(self, name: str, *, hint: str | None = None) -> str:
        """The clean name of somebody who is changed in the database. Raises NotAllowed for members of config.yaml."""
        name = clean_name(name)
        if name in self._config:
            hint = hint or "Take the entry out there, then restart."
            raise NotAllowed(f"{name} is a member by config.yaml.", hint=hint)
        return name

    @property
    def has_configured_admin(self) -> bool:
        """Whether an admin of config.yaml can sign in, so that the last one of the database may go."""
        return any(entry.member.role == "admin" and entry.password for entry in self._config.values())

    def _require_free(self, name: str) -> str:
        name = clean_name(name)
        if not _NAME.match(name):
            raise InvalidRequest(
                "A name has 1 to 64 of the characters a–z, 0–9, and . _ @ + - after the first.",
            )
        if name in self._config:
            raise InvalidRequest(f"There is already a member {name}, in config.yaml.")
        return name

    async def _hash_config_password(self, name: str) -> str | None:
        """None where config.yaml has none."""
        if (hashing := self._hashes.get(name)) is None:
            return self._config[name].password if name in self._config else None
        # Shielded: a visitor who leaves must not cancel the hash everyone needs.
        hashed: str = await asyncio.shield(asyncio.wrap_future(hashing))
        return hashed
