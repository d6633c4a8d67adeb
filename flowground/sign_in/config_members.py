"""Members of config.yaml, in streamlit-authenticator's own format (`credentials: {usernames: {ada: {…}}}`)."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flowground.caller import Role
from flowground.errors import ConfigError, InvalidRequest
from flowground.sign_in.passwords import LEAST_COST, MOST_COST, clean_name, clean_password, is_hash, read_cost
from flowground.store.people.config_entries import ConfigEntry

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


def read_config_members(usernames: Mapping[str, Any], key: str) -> list[ConfigEntry]:
    """Entries by clean names. `key` keeps the fingerprints of plain passwords from being guessed: no database has it.

    Raises ConfigError naming the entry that is wrong.
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
        _require_own_id(entry, found.values(), place)
        found[name] = entry
    return list(found.values())


def _require_own_id(entry: ConfigEntry, others: Iterable[ConfigEntry], place: str) -> None:
    same = [other.name for other in others if entry.id and other.id == entry.id]
    if same:
        raise ConfigError(f"{place}.id: {same[0]} has this id too", hint="An id is one person's.")


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
    """A bcrypt hash, or plain text as it is hashed. Raises ConfigError."""
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
    """Changes with the password."""
    if password is None:
        return "none"
    if is_hash(password):
        return f"hash {hashlib.sha256(password.encode()).hexdigest()}"
    return f"plain {hmac.digest(key.encode(), f'{name} {password}'.encode(), hashlib.sha256).hex()}"


def _choose_role(roles: list[str] | str | None) -> Role:
    """The highest we know; the organization's own words for roles are no concern of ours."""
    said = [roles] if isinstance(roles, str) else roles or []
    words = {role.lower().strip() for role in said}
    return next((role for role in _ROLES if role in words), "member")
