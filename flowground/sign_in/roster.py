"""Everyone who may sign in: the members of config.yaml and those of the database, as one list."""

import asyncio
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from flowground.caller import Role
from flowground.errors import ConfigError, InvalidRequest, NotAllowed
from flowground.settings import Settings
from flowground.sign_in.config_members import ConfigMember, read_config_members
from flowground.sign_in.passwords import Bcrypt, clean_name, clean_password, read_cost
from flowground.store import Store
from flowground.store.people import config_entries, identities, members
from flowground.store.people.config_entries import ConfigEntry, What
from flowground.store.people.members import Member, StoredMember
from flowground.words import fold, read_name

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
NAME_CHARS = 100
"""Of the name that others see."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}\Z")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_@+-]+")
_PROPOSED_CHARS = 64


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against: an active member with a password."""

    member: Member
    password: str


def find_name(names: Mapping[str, str], member: str) -> str:
    """How somebody is shown whom `find_names` was asked for; of one who is gone, what their id tells of it."""
    return names.get(member) or member.partition("~")[0]


def suggest_name(shown: str) -> str:
    """What somebody of this name could sign in with: "Lena Hoff" → "lena.hoff". Empty where none can be made."""
    return _NOT_IN_NAMES.sub(".", fold(shown)).strip("._@+-")[:_PROPOSED_CHARS].rstrip("._@+-")


class Roster:
    """Members, by id or by the clean name they sign in with. Those of config.yaml count while the file names them."""

    def __init__(self, settings: Settings, *, store: Store, bcrypt: Bcrypt) -> None:
        """Raises ConfigError when config.yaml's members are wrong."""
        self._store = store
        self._bcrypt = bcrypt
        self._config = read_config_members(settings.credentials.usernames)
        hashes = [entry.password for entry in self._config.values() if entry.password and not entry.is_plain]
        bcrypt.cost = max([bcrypt.cost, *map(read_cost, hashes)])
        self._hashes: dict[str, Future[str]] = {}
        self._names: dict[str, str] = {}
        """Id -> name, of members of config.yaml."""
        self._take_ids({name: entry.member.id for name, entry in self._config.items()})

    async def start(self) -> None:
        """To be awaited once, on the loop that serves. Raises ConfigError: a name or id in config.yaml is another's."""
        stored = await self._store.read(members.list_members)
        written = {entry.id for entry in self._config.values() if entry.id}
        retired = await self._store.read(config_entries.find_retired, ids={*written, *self._config})
        self._refuse_shared(stored, retired)
        await self._read_ids(others={*retired, *(member.id for member in stored)})
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
            name: ConfigEntry(entry.make_fingerprint(key), entry.member.email, entry.id)
            for name, entry in self._config.items()
        }
        for change in await self._store.write(config_entries.reconcile, entries=entries):
            if (sentence := _SAID.get(change.what)) is not None:
                _log.warning(sentence, change.name)
        await self._read_ids()

    def _refuse_shared(self, stored: Iterable[Member], retired: Collection[str]) -> None:
        """`retired` are ids of people who were removed: what is left of theirs must reach nobody, and still goes."""
        ids = {entry.id: name for name, entry in self._config.items() if entry.id}
        for member_id in sorted({*ids} & {*retired}):
            raise ConfigError(
                f"credentials.usernames.{ids[member_id]}.id: it was the id of somebody who was removed",
                hint="Give the entry another id, or none.",
            )
        for member in stored:
            if member.name in self._config:
                raise ConfigError(
                    f"credentials.usernames.{member.name}: the database has a member of this name too",
                    hint=f"Take it out of config.yaml, or run: python -m flowground members remove {member.name} "
                    f"(or: members rename {member.name} NEW)",
                )
            if member.id in ids:
                raise ConfigError(
                    f"credentials.usernames.{ids[member.id]}.id: it is the id of {member.name} in the database",
                    hint="Give the entry another id, or none.",
                )

    async def _read_ids(self, *, others: Collection[str] = ()) -> None:
        """Which id each entry of config.yaml has. One that no server has seen yet is its name; where that is an id of
        `others` or of another entry, it has none that anybody could have."""
        known = await self._store.read(identities.read_config_ids)
        taken = {*others, *(entry.id for entry in self._config.values() if entry.id)}
        ids = {name: known.get(name, name) for name in self._config}
        free = {name: f"{name}~" if member in taken else member for name, member in ids.items()}
        self._take_ids({name: entry.id or free[name] for name, entry in self._config.items()})

    def _take_ids(self, ids: Mapping[str, str]) -> None:
        self._config = {
            name: replace(entry, member=replace(entry.member, id=ids[name])) for name, entry in self._config.items()
        }
        self._names = {member: name for name, member in ids.items()}

    def find_config_role(self, member: str) -> Role | None:
        """The role of a member of config.yaml, by id; None for others."""
        found = self._find_configured(member)
        return found.member.role if found else None

    def _find_configured(self, member: str) -> ConfigMember | None:
        return self._config.get(self._names.get(member, ""))

    async def list_members(self) -> list[Member]:
        """Those of config.yaml and of the database, by name."""
        stored = await self._store.read(members.list_members)
        return sorted([*stored, *await self.list_configured()], key=lambda member: member.name)

    async def list_configured(self) -> list[Member]:
        """Those of config.yaml, by name."""
        if not self._config:
            return []
        ids = [entry.member.id for entry in self._config.values()]
        with_password = await self._store.read(members.list_with_password, members=ids)
        configured = [
            replace(entry.member, has_password=entry.member.has_password or entry.member.id in with_password)
            for entry in self._config.values()
        ]
        return sorted(configured, key=lambda member: member.name)

    async def find(self, member: str) -> Member | None:
        """By id."""
        stored = await self._store.read(members.find, member=member)
        configured = self._find_configured(member)
        return _put_together(configured, stored).member if configured else stored.member

    async def find_names(self, ids: Collection[str]) -> dict[str, str]:
        """Id -> what colleagues see, of those of these ids that are somebody's."""
        stored = await self._store.read(members.find_display_names, members=ids)
        configured = {key: entry.member.display_name for key in ids if (entry := self._find_configured(key))}
        return stored | configured

    async def find_named(self, name: str) -> Member | None:
        """By the name they sign in with."""
        return (await self._find_stored(clean_name(name))).member

    async def find_login(self, name: str) -> Login | None:
        """None: unknown, deactivated, or without a password. `name` is clean."""
        found = await self._find_stored(name)
        if found.member is None or not found.member.is_active:
            return None
        password = found.password or await self._hash_config_password(name)
        return Login(found.member, password) if password else None

    async def _find_stored(self, name: str) -> StoredMember:
        """Who signs in by the clean name, and the password that was set in the app."""
        if (configured := self._config.get(name)) is None:
            return await self._store.read(members.find_named, name=name)
        return _put_together(configured, await self._store.read(members.find, member=configured.member.id))

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
        """Raises InvalidRequest when a name or the password may not be one, or the name is taken."""
        name = self.require_free(name)
        shown = _clean_display_name(display_name) if display_name.strip() else name
        hashed = None if password is None else await self.hash(password)
        return await self._store.write(
            members.add,
            name=name,
            display_name=shown,
            role=role,
            email=email,
            password=hashed,
            by=by,
        )

    async def add_first(
        self,
        name: str,
        *,
        display_name: str,
        password: str,
        email: str | None = None,
        by: str,
        shares: str | None = None,
    ) -> Member:
        """The first account, an admin, who shares the flow `shares`.

        Raises NotAllowed when there was one, InvalidRequest like `add`.
        """
        name = self.require_free(name)
        shown = _clean_display_name(display_name) if display_name.strip() else name
        hashed = await self.hash(password)
        return await self._store.write(
            members.add_first,
            name=name,
            display_name=shown,
            password=hashed,
            email=email,
            by=by,
            shares=shares,
        )

    async def set_password(self, member: str, password: str, *, by: str) -> None:
        """For all members, by id; signs them out everywhere. Raises InvalidRequest: no such id, or no good password."""
        if await self.find(member) is None:
            raise InvalidRequest(f"There is no member {member}.")
        await self._store.write(members.set_password, member=member, password=await self.hash(password), by=by)

    async def rename(self, member: str, name: str, *, by: str) -> str:
        """Gives a member of the database another name to sign in with, and returns it. Sign-ins stay.

        Raises InvalidRequest for a name that may not be one or is taken, NotAllowed for members of config.yaml.
        """
        self.require_stored(member, hint="Give the entry `id: …` there, and it may have another name.")
        name = self.require_free(name)
        if not await self._store.write(members.rename, member=member, name=name, by=by):
            raise InvalidRequest("This member no longer exists.")
        return name

    async def show_as(self, member: str, display_name: str, *, by: str) -> None:
        """Changes what colleagues see of a member of the database. Raises like `rename`."""
        self.require_stored(member, hint="Their name stands there.")
        said = _clean_display_name(display_name)
        if not await self._store.write(members.show_as, member=member, display_name=said, by=by):
            raise InvalidRequest("This member no longer exists.")

    async def hash(self, password: str) -> str:
        """Raises InvalidRequest when it may not be a password."""
        return await asyncio.wrap_future(self._bcrypt.start_hash(clean_password(password)))

    def require_stored(self, member: str, *, hint: str | None = None) -> None:
        """For somebody who is changed in the database, by id. Raises NotAllowed for members of config.yaml."""
        if member in self._names:
            hint = hint or "Take the entry out there, then restart."
            raise NotAllowed(f"{self._names[member]} is defined in config.yaml.", hint=hint)

    @property
    def has_configured_admin(self) -> bool:
        """Whether an admin of config.yaml can sign in, so that the last one of the database may go."""
        return any(entry.member.role == "admin" and entry.password for entry in self._config.values())

    def require_free(self, name: str) -> str:
        """The clean name, where it may be one and config.yaml has no other. Raises InvalidRequest."""
        name = clean_name(name)
        if not _NAME.match(name):
            raise InvalidRequest(
                "A user name is made of small letters, digits and . _ @ + -, without spaces. It begins with a letter "
                "or a digit, and has 64 characters at most.",
                hint=f"For example {suggest_name(name) or 'lena.hoff'}.",
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


def _clean_display_name(said: str) -> str:
    """Raises InvalidRequest when it may not be what others see."""
    name = read_name(said, most=NAME_CHARS)
    if name is None:
        raise InvalidRequest(f"A name that others see is one line of 1 to {NAME_CHARS} characters.")
    return name


def _put_together(configured: ConfigMember, stored: StoredMember) -> StoredMember:
    """A member of config.yaml, with the password that was set in the app, if one was."""
    has_password = bool(configured.password or stored.password)
    return replace(stored, member=replace(configured.member, has_password=has_password))
