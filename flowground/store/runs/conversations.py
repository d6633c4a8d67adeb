"""Conversations and their messages.

A session is found by flow, owner (an `Owner`) and session id, never by its id alone. A person's conversations on pages
belong to the member, those of their programs to one owner for all tokens.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Integer, Table, bindparam, case, func, literal_column, or_, select, update

from flowground.core.caller import Owner
from flowground.core.messages import Versions
from flowground.core.values import FileReference, PastMessage
from flowground.core.words import cut, strip_markdown
from flowground.store import tables
from flowground.store.runs.journals import add_steps
from flowground.store.runs.records import MESSAGE_COLUMNS, StoredMessage, read_message_row, read_value
from flowground.store.sql import BoundValues, Statement, make_storable

TITLE_CHARS = 80
"""Most characters of a conversation's title."""
MOST_HISTORY = 3_000_000
"""Characters of a history after which no older messages are read."""
MOST_THROUGH = 500
"""Most messages of a page that must reach back to a certain one."""
_FILES_ALONE = "(Files without a message.)"
"""How models later read a question of files only: some refuse an empty one."""
_PAGE = 100
"""Messages of a history that are read at once."""
_STEP = 12
"""Messages of a page that are read at once: each may be long."""
_ENDLESS = 2**63 - 1
"""A position behind every message."""
_ROLE, _TEXT, *_LONG = (MESSAGE_COLUMNS.index(name) for name in ("role", "text", "value", "citations"))
_VERSION_OF, _POSITION = len(MESSAGE_COLUMNS), len(MESSAGE_COLUMNS) + 1
"""The indexes of these values in a row of a page."""
_s = tables.sessions.c
_m = tables.messages.c
_r = tables.runs.c
_c = tables.run_contents.c
IS_SHOWN = _m.aside.is_(None)
IS_HERE = (
    _s.owner == bindparam("owner"),
    _s.session_id == bindparam("session_id"),
    _s.flow_id == bindparam("flow_id"),
)
"""The condition of one session."""
_FIND_KEY = Statement(select(_s.id).where(*IS_HERE))
_HISTORY = Statement(
    select(
        case((_m.sender == literal_column("'User'"), literal_column("'user'")), else_=_m.role).label("role"),
        _m.text,
        _m.id,
        case((_m.role == literal_column("'user'"), _m.value)).label("sent"),
        _m.sender_name,
        _m.created_at,
    )
    .where(
        _m.session == bindparam("session"),
        IS_SHOWN,
        _m.state != literal_column("'failed'"),
        or_(
            _m.state.not_in([literal_column("'stopped'"), literal_column("'interrupted'")]),
            _m.text != literal_column("''"),
        ),
        _m.position
        < func.coalesce(
            select(_m.position).where(_m.id == bindparam("before")).scalar_subquery(),
            literal_column(str(_ENDLESS)),
        ),
    )
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)
_LIST_MESSAGES = Statement(
    select(*(_m[name] for name in MESSAGE_COLUMNS), _m.version_of, _m.position)
    .where(_m.session == bindparam("session"), IS_SHOWN, _m.position < bindparam("below"))
    .order_by(_m.position.desc())
    .limit(bindparam("limit", type_=Integer))
)
_NEXT_FLOW = {
    of: Statement(
        select(func.min(of.c.flow_id)).where(of.c.owner == bindparam("owner"), of.c.flow_id > bindparam("after"))
    )
    for of in (tables.sessions, tables.runs)
}
_FIRST_LIKE_IT = func.min(_m.position).over(partition_by=(_m.version_of, _m.text)).label("first")


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question; `id` None: it is not stored."""

    id: str | None
    text: str
    files: Sequence[FileReference] = ()


def bind_place(flow_id: str, owner: str, session_id: str) -> BoundValues:
    """The values of `IS_HERE`."""
    return {"flow_id": flow_id, "owner": owner, "session_id": make_storable(session_id)}


def find_key(connection: Connection, flow_id: str, owner: str, session_id: str) -> int:
    """The number by which other tables know the session; 0 where there is none."""
    found = _FIND_KEY.fetch(connection, bind_place(flow_id, owner, session_id))
    return int(found[0][0]) if found else 0


def list_flows(connection: Connection, owner: str, of: Table = tables.sessions) -> Iterator[str]:
    """The flows with which the owner has sessions, or runs, each found by the index: DISTINCT would read all of the
    owner."""
    flow_id = ""
    while flow_id := _NEXT_FLOW[of].fetch(connection, {"owner": owner, "after": flow_id})[0][0]:
        yield flow_id


def read_history(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, before: str | None, limit: int
) -> list[PastMessage]:
    """The last `limit` messages before the message with id `before` (None: of all), oldest first.

    Messages put aside are left out. So are failed answers, and stopped or interrupted ones without any text; those with
    text were read by the person, who may refer to it. After `MOST_HISTORY` characters no older messages are read: no
    prompt may be that long. Files of a message are listed even when they were deleted: `files.find_present` finds the
    existing ones.
    """
    session = find_key(connection, flow_id, owner, session_id)
    found: list[PastMessage] = []
    size = 0
    while len(found) < limit and size <= MOST_HISTORY:
        wanted = min(limit - len(found), _PAGE)
        rows = _HISTORY.fetch(connection, {"session": session, "before": before, "limit": wanted})
        found += [
            PastMessage(
                role,
                text or _FILES_ALONE if role == "user" else text,
                _read_files(sent) if sent else (),
                sender_name=name or "",
                at=at,
            )
            for role, text, _, sent, name, at in rows
        ]
        size += sum(len(text) for _, text, *_ in rows)
        if len(rows) < wanted:
            break
        before = rows[-1][2]
    return found[::-1]


def _read_files(sent: str) -> tuple[FileReference, ...]:
    files, kind = read_value(sent)
    return files if kind == "files" else ()


def list_page(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    before: str | None = None,
    through: str | None = None,
    most: int,
    most_chars: int,
) -> tuple[list[StoredMessage], bool]:
    """The last messages before the one with the id `before` (None: of all), oldest first; and whether older ones exist.

    A page has at most `most` messages, and ends after `most_chars` characters. Where older messages exist, the page
    begins with its first question, if it has one. With `through` the page reaches back to that message, within
    `MOST_THROUGH` messages. Messages put aside are left out.
    """
    session = find_key(connection, flow_id, owner, session_id)
    place = select(_m.position).where(_m.session == session)
    end = through and connection.scalar(place.where(_m.id == through))
    below = _ENDLESS if before is None else connection.scalar(place.where(_m.id == before)) or 0
    found: list[Sequence[Any]] = []
    size, is_whole = 0, False
    while not is_whole and size <= most_chars:
        if len(found) > most:
            if not end or found[-1][_POSITION] < end or most >= MOST_THROUGH:
                break
            most = min(most + _STEP, MOST_THROUGH)
        limit = min(_STEP, most + 1 - len(found))
        rows = _LIST_MESSAGES.fetch(connection, {"session": session, "limit": limit, "below": below})
        is_whole = len(rows) < limit
        for row in rows:
            if size > most_chars:
                is_whole = False
                break
            found.append(row)
            size += len(row[_TEXT]) + sum(len(row[column] or "") for column in _LONG)
            below = row[_POSITION]
    if not is_whole:
        found = found[:most]
        found = found[: _find_question(found) or most]
    messages = add_steps(connection, [read_message_row(row[:_VERSION_OF]) for row in found[::-1]])
    firsts = {row[_VERSION_OF] for row in found} - {None}
    versions = find_versions(connection, session=session, firsts=firsts) if firsts else {}
    return [replace(one, versions=versions.get(one.id, ())) if firsts else one for one in messages], not is_whole


def find_versions(connection: Connection, *, session: int, firsts: Collection[str | None]) -> dict[str, Versions]:
    """All versions of each question, by its id, in the groups with these first versions."""
    rows = connection.execute(
        select(_m.version_of, _m.id, _FIRST_LIKE_IT)
        .where(_m.version_of.in_(firsts), _m.version_of.is_not(None), _m.session == session)
        .order_by(_m.version_of, literal_column("first"), _m.position)
    ).all()
    found: dict[str, Versions] = {}
    for _, group in groupby(rows, lambda row: row.version_of):
        alike = tuple(tuple(row.id for row in same) for _, same in groupby(group, lambda row: row.first))
        found |= {key: alike for same in alike for key in same}
    return found


def _find_question(rows: Sequence[Sequence[Any]]) -> int:
    """The number of rows up to the last question; 0 when there is none."""
    return next((count for count in range(len(rows), 0, -1) if rows[count - 1][_ROLE] == "user"), 0)


def find_message(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> StoredMessage | None:
    """A message of this owner's session, with its complete trace."""
    session = find_key(connection, flow_id, owner, session_id)
    run = select(_m.run_id).where(_m.id == message_id, _m.session == session).scalar_subquery()
    wanted = select(*(_m[name] for name in MESSAGE_COLUMNS)).where(
        _m.session == session, or_(_m.id == message_id, _m.run_id == run)
    )
    rows = connection.execute(wanted.order_by(_m.position)).all()
    found = add_steps(connection, [read_message_row(row) for row in rows])
    return next((message for message in found if message.id == message_id), None)


def find_question(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> AskedQuestion | None:
    """This message, where it is a question; else the question of the run whose answer it is; for a copied answer, which
    has no run, the question before it."""
    session = find_key(connection, flow_id, owner, session_id)
    run = select(_m.run_id).where(_m.id == message_id, _m.session == session).scalar_subquery()
    is_asked = (_m.session == session, _m.role == "user", or_(_m.id == message_id, _m.run_id == run))
    found = connection.execute(select(_m.id, _m.text, _m.value).where(*is_asked).limit(1)).first()
    if found is None:
        copied = select(_m.position).where(_m.id == message_id, _m.session == session, _m.run_id.is_(None))
        is_before = (_m.session == session, _m.role == "user", _m.run_id.is_(None))
        last = select(_m.id, _m.text, _m.value).where(*is_before, _m.position < copied.scalar_subquery())
        found = connection.execute(last.order_by(_m.position.desc()).limit(1)).first()
    if found is None:
        return None
    files, kind = read_value(found.value)
    return AskedQuestion(found.id, found.text, files if kind == "files" else ())


def rename_session(connection: Connection, *, flow_id: str, owner: str, session_id: str, title: str) -> bool:
    """Sets the session's title. False when the owner has no such session."""
    here = _s.id == find_key(connection, flow_id, owner, session_id)
    return connection.execute(update(tables.sessions).where(here).values(title=make_title(title))).rowcount == 1


def find_overrides(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> dict[str, dict[str, Any]]:
    """The overrides of a message of this owner's session; empty where the message had none, or does not exist."""
    session = find_key(connection, flow_id, owner, session_id)
    request = connection.scalar(
        select(_c.request)
        .join_from(tables.run_contents, tables.messages, _m.run_id == _c.run_id)
        .where(_m.id == message_id, _m.session == session)
    )
    found: dict[str, dict[str, Any]] = json.loads(request).get("tweaks", {}) if request else {}
    return found


def make_first_title(text: str) -> str:
    """A conversation's title from its first message, without Markdown."""
    return make_title(strip_markdown(text[: TITLE_CHARS * 5])) or make_title(text)


def make_title(text: str) -> str:
    """The text on one line of at most 80 characters."""
    return cut(" ".join(make_storable(text[: TITLE_CHARS * 8]).split()), TITLE_CHARS)


def list_owners(member: str) -> list[str]:
    """The owners of all conversations of the member, on pages and by programs."""
    return [str(Owner("member", member)), str(Owner("programs", member))]
