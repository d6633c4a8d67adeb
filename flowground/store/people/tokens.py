"""Application tokens: random, shown once, stored as a hash.

A token is 256 random bits, so one round of SHA-256 keeps it as safe as a slow hash would.
"""

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from flowground.core.caller import Role, Sees, Sets
from flowground.store import audit, tables
from flowground.store.people.identities import select_present_role
from flowground.store.sql import (
    Statement,
    fetch_page,
    has_row,
    has_words,
    mark_job,
    mark_rights_change,
    read_moment,
    read_moment_or_none,
    write_moment_or_none,
)

ORGANIZATION = "the organization"
"""The name for the owner of tokens without one: made on the command line, or before the first account."""
_SHAPE = re.compile(r"fg_[A-Za-z0-9_-]{43}\Z")
_PREFIX_CHARS = 8
_FLUSH_SECONDS = 1.0
_t = tables.tokens.c
_COLUMNS = tuple(column for column in _t if column.name != "hash")
_FIND = Statement(select(*_COLUMNS, select_present_role(_t.owner)).where(_t.hash == bindparam("hash")))
_COUNT = Statement(
    update(tables.tokens)
    .where(_t.id == bindparam("token_id"))
    .values(
        uses=_t.uses + bindparam("more", type_=_t.uses.type), last_used_at=bindparam("last", type_=_t.last_used_at.type)
    )
)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token without its secret. `prefix` is the secret's beginning, by which people recognize it.

    `owner` is a member's id, None for the organization's own; `flows` is the scope, None for all flows. Only `find`
    fills `owner_role`, the present role of an active owner.
    """

    id: str
    name: str
    prefix: str
    owner: str | None
    flows: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    uses: int
    sees: Sees
    sets: Sets
    owner_role: Role | None = None

    @property
    def is_in_force(self) -> bool:
        """Whether the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at.timestamp() > time.time())


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """Which tokens to list, revoked ones excluded: the owner's (None: the organization's), or everyone's (`is_of_all`).

    All `words` stand in a token's name, prefix or owner's id. `flow_id`: tokens that reach this flow. `sets`: valid
    tokens with exactly this right.
    """

    owner: str | None = None
    is_of_all: bool = False
    words: str = ""
    flow_id: str | None = None
    sets: Sets | None = None


def create(
    connection: Connection,
    *,
    name: str,
    owner: str | None,
    flows: tuple[str, ...] | None,
    expires_at: datetime | None,
    by: str,
    sees: Sees = "inside",
    sets: Sets = "unprotected",
) -> tuple[StoredToken, str]:
    """The new token and its secret, which is stored nowhere and cannot be shown again."""
    secret = "fg_" + secrets.token_urlsafe(32)
    made = insert(tables.tokens).values(
        id=str(uuid4()),
        name=name,
        prefix=secret[:_PREFIX_CHARS],
        hash=hash_secret(secret),
        owner=owner,
        flows=None if flows is None else json.dumps(flows),
        created_at=time.time(),
        expires_at=write_moment_or_none(expires_at),
        uses=0,
        sees=sees,
        sets=sets,
    )
    token = _read_token(connection.execute(made.returning(*_COLUMNS)).one())
    audit.record(connection, actor=by, action="token.created", subject=token.id)
    return token, secret


def find(connection: Connection, *, secret: str) -> StoredToken | None:
    """The valid token with this secret; None when it is unknown, expired or revoked. One SELECT by index."""
    token = find_any(connection, secret=secret)
    return token if token and token.is_in_force else None


def find_any(connection: Connection, *, secret: str) -> StoredToken | None:
    """Like `find`, but expired and revoked tokens too, to explain why one is refused."""
    found = _FIND.fetch(connection, {"hash": hash_secret(secret)}) if _SHAPE.match(secret) else ()
    return _read_token(found[0]) if found else None


def list_tokens(connection: Connection, *, owner: str | None = None, everyone: bool = False) -> list[StoredToken]:
    """The owner's tokens (None: the organization's), or everyone's; newest first."""
    wanted = select(*_COLUMNS).order_by(_t.created_at.desc(), _t.id)
    if not everyone:
        wanted = wanted.where(_t.owner == owner)  # None: IS NULL
    return [_read_token(row) for row in connection.execute(wanted)]


def find_page(
    connection: Connection, *, only: TokenFilter, limit: int, offset: int = 0
) -> tuple[list[StoredToken], int]:
    """A page of the matching tokens, newest first; and the number on all pages."""
    found = select(*_COLUMNS).where(*_find_wanted(connection, only)).order_by(_t.created_at.desc(), _t.id)
    return fetch_page(connection, found, _read_token, limit=limit, offset=offset)


def _find_wanted(connection: Connection, only: TokenFilter) -> Iterator[ColumnElement[bool]]:
    yield _t.revoked_at.is_(None)
    yield has_words(connection, only.words, _t.name, _t.prefix, func.coalesce(_t.owner, ORGANIZATION))
    if not only.is_of_all:
        yield _t.owner == only.owner  # None: IS NULL
    if only.flow_id is not None:
        yield _t.flows.is_(None) | _t.flows.contains(json.dumps(only.flow_id), autoescape=True)
    if only.sets is not None:
        yield (_t.sets == only.sets) & _is_in_force()


def count_in_force(connection: Connection, *, owner: str | None) -> int:
    """The number of the owner's valid tokens (None: the organization's)."""
    counted = select(func.count()).where(_t.owner == owner, _t.revoked_at.is_(None), _is_in_force())
    return connection.scalar(counted) or 0


def _is_in_force() -> ColumnElement[bool]:
    """The condition that a token, which is not revoked, has not expired."""
    return _t.expires_at.is_(None) | (_t.expires_at > time.time())


def is_of(connection: Connection, *, token_id: str, member: str) -> bool:
    """Whether the token is or was this member's."""
    return has_row(connection, _t.id == token_id, _t.owner == member)


@mark_rights_change
def revoke(connection: Connection, *, token_id: str, by: str) -> bool:
    """Revokes a token in every process at once. False when there is no such token, or it was revoked before."""
    ended = update(tables.tokens).where(_t.id == token_id, _t.revoked_at.is_(None)).values(revoked_at=time.time())
    return audit.execute(connection, ended, actor=by, action="token.revoked", subject=token_id)


def revoke_all(connection: Connection, *, owner: str, by: str) -> None:
    for token in list_tokens(connection, owner=owner):
        revoke(connection, token_id=token.id, by=by)


@mark_job()
def count_uses(connection: Connection, *, uses: Mapping[str, int]) -> None:
    """Adds buffered uses, by token id; the last was just now."""
    for token_id, times in uses.items():
        _COUNT.run(connection, {"token_id": token_id, "more": times, "last": time.time()})


def hash_secret(secret: str) -> str:
    """The stored hash of a random secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _read_token(row: Any) -> StoredToken:
    key, name, prefix, owner, flows, created, expires, revoked, last, uses, *rights = row
    scope = None if flows is None else tuple(json.loads(flows))
    begin, end = read_moment(created), read_moment_or_none(expires)
    ended, used = read_moment_or_none(revoked), read_moment_or_none(last)
    return StoredToken(key, name, prefix, owner, scope, begin, end, ended, used, uses, *rights)


class TokenUses:
    """Uses of tokens, counted in memory and written together, so that no request costs an UPDATE.

    `write` is called with the counts about once a second while tokens are used. A killed process loses its counts.
    """

    def __init__(self, write: Callable[[Mapping[str, int]], None]) -> None:
        self._write = write
        self._lock = Lock()
        self._uses = Counter[str]()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop whose timer will flush; None when no timer runs."""

    def note(self, token_id: str) -> None:
        """Counts one use, now. Call it on an event loop."""
        with self._lock:
            self._uses[token_id] += 1
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.get_running_loop()
                self._loop.call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes the counts, if there are any."""
        with self._lock:
            uses, self._uses, self._loop = self._uses, Counter(), None
        if uses:
            self._write(uses)
