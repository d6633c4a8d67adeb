"""Members of config.yaml, in streamlit-authenticator's own format (`credentials: {usernames: {ada: {…}}}`)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flowground.caller import Role
from flowground.errors import ConfigError, InvalidRequest
from flowground.sign_in.passwords import LEAST_COST, MOST_COST, clean_name, clean_password, is_hash, read_cost
from flowground.store.people.members import Member

_ID = re.compile(r"[a-z0-9][a-z0-9._@+~-]{0,79}\Z")
_ROLES: tuple[Role, ...] = ("admin", "author", "member")


class _Entry(BaseModel):
    """The fields we read; the authenticator knows more and lets people add theirs. `id` is ours."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str | None = None
    password: str | None = None
    email: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    roles: list[str] | str | None = None


@dataclass(frozen=True, slots=True)
class ConfigMember:
    """`password` is a bcrypt hash, or plain text that fits the rules, or None.

    `id` is the member's, where the file says so; until it is settled what others have, `member.id` is the name.
    """

    member: Member
    password: str | None
    id: str | None = None

    @property
    def is_plain(self) -> bool:
        return self.password is not None and not is_hash(self.password)

    def make_fingerprint(self, key: str) -> str:
        """Changes with the password. A plain one is kept from guessing by the cookie's key, which no database has."""
        name = self.id or self.member.name
        if self.password is None:
            return "none"
        if not self.is_plain:
            return f"hash {hashlib.sha256(self.password.encode()).hexdigest()}"
        return f"plain {hmac.digest(key.encode(), f'{name} {self.password}'.encode(), hashlib.sha256).hex()}"


def read_config_members(usernames: Mapping[str, Any]) -> dict[str, ConfigMember]:
    """By clean name. Raises ConfigError naming the entry that is wrong."""
    members: dict[str, ConfigMember] = {}
    for written, fields in usernames.items():
        place = f"credentials.usernames.{written}"
        name = clean_name(str(written))
        if not name or any(character.isspace() for character in name):
            raise ConfigError(f"{place}: a name has no spaces")
        if name in members:
            raise ConfigError(f"{place}: there is another {name}; names do not differ by upper and lower case")
        members[name] = _read_member(name, fields, place)
        same = [other for other, entry in members.items() if entry.id and entry.id == members[name].id]
        if len(same) > 1:
            raise ConfigError(f"{place}.id: {same[0]} has this id too", hint="An id is one person's.")
    return members


def _read_member(name: str, fields: Any, place: str) -> ConfigMember:
    try:
        entry = _Entry.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in (place, *problem["loc"]))
        raise ConfigError(f"{where}: {problem['msg']}") from None
    password = entry.password
    if password is not None and not is_hash(password):
        try:
            password = clean_password(password)
        except InvalidRequest as error:
            raise ConfigError(f"{place}.password: {error.message}", hint=error.hint) from None
    elif password is not None and not LEAST_COST <= read_cost(password) <= MOST_COST:
        raise ConfigError(
            f"{place}.password: a bcrypt hash of cost {read_cost(password)}; it may be {LEAST_COST} to {MOST_COST}",
            hint="One step more is twice the work, of every sign-in.",
        )
    if entry.id is not None and not _ID.match(entry.id):
        raise ConfigError(f"{place}.id: an id has 1 to 80 of the characters a–z, 0–9, and . _ @ + ~ - after the first")
    full_name = f"{entry.first_name or ''} {entry.last_name or ''}".strip()
    member = Member(
        id=entry.id or name,
        name=name,
        display_name=full_name or entry.name or name,
        email=entry.email,
        role=_choose_role(entry.roles),
        has_password=password is not None,
        source="config",
    )
    return ConfigMember(member, password, entry.id)


def _choose_role(roles: list[str] | str | None) -> Role:
    """The highest we know; the organization's own words for roles are no concern of ours."""
    said = [roles] if isinstance(roles, str) else roles or []
    words = {role.lower().strip() for role in said}
    return next((role for role in _ROLES if role in words), "member")
