"""The list of one owner's conversations with a flow: a page at a time, the pinned ones apart, searched in all they say.

A page begins behind a `SessionPlace`, never at a count of rows, so the last page costs what the first one does.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    and_,
    cast,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from flowground.errors import InvalidRequest
from flowground.store import tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.sql import add_row, has_row, make_storable, read_moment
from flowground.words import fold

MOST_PINNED = 20
"""Pinned conversations of an owner with one flow: all of them are shown."""
SEARCH_SECONDS = 0.3
"""How long one step of a search reads."""
_BATCH = 300
"""Conversations that a search reads at once."""
_MOST_WORDS = 5
SEARCHED_CHARS = 100
"""Of what is searched for; what stands behind them is not looked for."""
_s = tables.sessions.c
_m = tables.messages.c
_p = tables.session_pins.c
_IS_PINNED = exists().where(_p.session == _s.id).correlate(tables.sessions)
_COLUMNS = (_s.id, _s.session_id, _s.title, _s.updated_at)


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """A conversation's place in the list: behind it the next page begins."""

    updated_at: float
    key: str


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A line of the list."""

    session_id: str
    title: str
    updated_at: datetime
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class SessionPage:
    """`sessions` without the pinned ones, the one used last first; `pinned` on the first page only.

    `end` is where the next page begins, None where nothing follows. `read_to` is how far back a search has read.
    """

    sessions: tuple[ListedSession, ...]
    pinned: tuple[ListedSession, ...] = ()
    end: SessionPlace | None = None
    read_to: datetime | None = None


def list_page(
    connection: Connection, *, flow_id: str, owner: str, after: SessionPlace | None = None, limit: int = 40
) -> SessionPage:
    """The page behind a place; the first one where none is given."""
    here = (_s.owner == owner, _s.flow_id == flow_id, _s.messages > 0)
    rows = connection.execute(
        select(*_COLUMNS)
        .where(*here, ~_IS_PINNED, *_is_behind(after))
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(limit + 1)
    ).all()
    shown = rows[:limit]
    end = _find_place(shown[-1]) if len(rows) > limit else None
    pinned = () if after else _list_pinned(connection, flow_id=flow_id, owner=owner)
    return SessionPage(_read_rows(shown), pinned, end)


def _list_pinned(connection: Connection, *, flow_id: str, owner: str) -> tuple[ListedSession, ...]:
    rows = connection.execute(
        select(*_COLUMNS)
        .join_from(tables.session_pins, tables.sessions, _p.session == _s.id)
        .where(_p.owner == owner, _p.flow_id == flow_id, _s.messages > 0)
        .order_by(_s.updated_at.desc(), _s.id.desc())
        .limit(MOST_PINNED)
    ).all()
    return _read_rows(rows, is_pinned=True)


def search(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    words: str,
    after: SessionPlace | None = None,
    limit: int = 40,
    seconds: float = SEARCH_SECONDS,
) -> SessionPage:
    """Conversations in whose title, or in one of whose messages, all these words stand, capitals and accents aside.

    Reads the newest first, and no longer than `seconds` (one batch at least): then `end` says where to go on.
    """
    until = time.monotonic() + seconds
    wanted = make_storable(words[:SEARCHED_CHARS]).split()[:_MOST_WORDS]
    is_found = or_(
        _has_all(connection, _s.title, wanted),
        exists().where(_m.session == _s.id, _has_all(connection, _m.text, wanted)).correlate(tables.sessions),
    )
    found: list[Any] = []
    place = after
    while True:
        rows = connection.execute(
            select(*_COLUMNS, is_found.label("is_found"), _IS_PINNED.label("is_pinned"))
            .where(_s.owner == owner, _s.flow_id == flow_id, _s.messages > 0, *_is_behind(place))
            .order_by(_s.updated_at.desc(), _s.id.desc())
            .limit(_BATCH)
        ).all()
        for row in rows:
            place = _find_place(row)
            if row.is_found:
                found.append(row)
            if len(found) == limit:
                break
        is_whole = len(rows) < _BATCH and (not rows or place == _find_place(rows[-1]))
        if is_whole or len(found) == limit or time.monotonic() > until:
            break
    return SessionPage(
        tuple(
            ListedSession(row.session_id, row.title, read_moment(row.updated_at), bool(row.is_pinned)) for row in found
        ),
        end=None if is_whole else place,
        read_to=None if is_whole or place is None else read_moment(place.updated_at),
    )


def pin(connection: Connection, *, flow_id: str, owner: str, session_id: str, is_pinned: bool) -> None:
    """Keeps one of the owner's conversations above the others, or no more. Nothing for one that is not there.

    Raises InvalidRequest where so many are pinned already that one more would not be seen.
    """
    key = make_session_key(flow_id, owner, session_id)
    if not is_pinned:
        connection.execute(delete(tables.session_pins).where(_p.session == key))
        return
    if has_row(connection, _p.session == key) or not has_row(connection, _s.id == key):
        return
    count = connection.scalar(select(func.count()).where(_p.owner == owner, _p.flow_id == flow_id)) or 0
    if count >= MOST_PINNED:
        raise InvalidRequest(f"{MOST_PINNED} chats are pinned already.", hint="Unpin one of them first.")
    add_row(connection, tables.session_pins, session=key, owner=owner, flow_id=flow_id, pinned_at=time.time())


def _has_all(connection: Connection, column: ColumnElement[str], wanted: list[str]) -> ColumnElement[bool]:
    return and_(*(_has_word(connection, column, word) for word in wanted)) if wanted else false()


def _has_word(connection: Connection, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Accents and capitals aside, as `words.fold` has it. Only what is not plain ASCII costs the folding."""
    wanted = fold(word)
    if connection.dialect.name == "postgresql":
        is_plain = func.octet_length(column) == func.char_length(column)
        is_found = func.strpos(_fold_in_postgresql(column), _fold_in_postgresql(literal(word))) > 0
    else:
        is_plain = func.length(column) == func.length(cast(column, LargeBinary))
        is_found = func.instr(func.fold(column), wanted) > 0
    return or_(column.icontains(wanted, autoescape=True), and_(~is_plain, is_found))


def _fold_in_postgresql(text: ColumnElement[str]) -> ColumnElement[str]:
    parts = func.normalize(func.replace(func.lower(text), "ß", "ss"), literal_column("NFKD"))
    return func.regexp_replace(parts, "[\u0300-\u036f]", "", "g")


def _is_behind(place: SessionPlace | None) -> tuple[ColumnElement[bool], ...]:
    """Said so that the index of owner, flow and time ends where the place is."""
    if place is None:
        return ()
    at = place.updated_at
    return (_s.updated_at <= at, or_(_s.updated_at < at, _s.id < place.key))


def _find_place(row: Any) -> SessionPlace:
    return SessionPlace(row.updated_at, row.id)


def _read_rows(rows: Any, *, is_pinned: bool = False) -> tuple[ListedSession, ...]:
    return tuple(ListedSession(row.session_id, row.title, read_moment(row.updated_at), is_pinned) for row in rows)
