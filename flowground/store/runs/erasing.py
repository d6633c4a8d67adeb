"""Deleting conversations and what belongs to them, in steps so small that no other write waits long.

A step is one job: it deletes for some 20 ms and returns whether everything is deleted. `Store.erase` repeats it. The
module also finds what retention deletes: surplus conversations of visitors, contents of runs, and expired rows.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)

from flowground.store import tables
from flowground.store.runs import files
from flowground.store.runs.conversations import find_key
from flowground.store.sql import has_row, make_storable

STEP_MESSAGES = 50
"""Most messages that one step deletes, and sessions that it reads."""
STEP_SECONDS = 0.02
_MOST_CHARS = 1_000_000
"""Most characters of texts that one statement deletes, unless one row has more."""
_Row = TypeVar("_Row")
_s = tables.sessions.c
_m = tables.messages.c
_c = tables.run_contents.c
_j = tables.journals.c
_h = tables.shared_chats.c
_r = tables.runs.c
_LOOKED_AT = 1_000
_RUNNING_IN = select(_r.owner, _r.flow_id, _r.session_id).where(tables.IS_RUNNING, _r.holder.is_not(None))
IS_QUIET = tuple_(_s.owner, _s.flow_id, _s.session_id).not_in(_RUNNING_IN)
"""The condition that nothing runs in the session. The subquery reads only running runs, by their index; asked for each
session alone, SQLite would read all runs of its flow."""
_p = tables.forgotten_to.c
_WHAT = "run_contents"
_RUNNING = select(_r.id).where(tables.IS_RUNNING)
_EXPIRED_AT_ONCE = 200
"""Most rows that one step deletes."""
_EXPIRING: Mapping[str, Column[Any]] = {
    "audit": tables.audit.c.at,
    "access_requests": tables.access_requests.c.decided_at,
    "attempts": tables.attempts.c.at,
    "counters": tables.counters.c.ends,
    "idempotency_keys": tables.idempotency_keys.c.made_at,
    "known_addresses": tables.known_addresses.c.at,
    "tickets": tables.tickets.c.expires_at,
    "sign_ins": tables.sign_ins.c.expires_at,
    "ended_sign_ins": tables.sign_ins.c.revoked_at,
    "password_links": tables.password_links.c.expires_at,
}
"""For each kind of row, the column with the time (seconds since 1970) from which its age counts; each has an index."""


def limit_time(rows: Iterable[_Row], *, seconds: float = STEP_SECONDS) -> Iterator[_Row]:
    """The rows until the time is up, at least the first one."""
    end = time.monotonic() + seconds
    for row in rows:
        yield row
        if time.monotonic() > end:
            return


def erase_conversation(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> bool:
    """Deletes one conversation of the owner, if it exists. True once nothing of it is left."""
    return erase_session(connection, find_key(connection, flow_id, owner, session_id))


def erase_conversations(
    connection: Connection,
    *,
    owners: Collection[str],
    until: float | None = None,
    session_id: str | None = None,
    flows: Collection[str] | None = None,
) -> bool:
    """Deletes conversations of these owners that began until then (seconds since 1970), with this id, in these flows;
    None: any.

    True once nothing of them is left.
    """
    wanted: list[ColumnElement[bool]] = [_s.owner.in_(list(owners))]
    if until is not None:
        wanted.append(_s.created_at <= until)
    if session_id is not None:
        wanted.append(_s.session_id == make_storable(session_id))
    if flows is not None:
        wanted.append(_s.flow_id.in_(list(flows)))
    found = connection.scalars(select(_s.id).where(*wanted).limit(STEP_MESSAGES)).all()
    left = len(found)
    for session in limit_time(found):
        if not erase_session(connection, session):
            return False
        left -= 1
    return left == 0 and len(found) < STEP_MESSAGES


def find_unused(connection: Connection, *, after: int, before: float) -> tuple[list[int], int | None]:
    """Keys of conversations last used before then (seconds since 1970) in which nothing runs.

    Reads the next thousand after the key `after`; also returns the last key read, None at the end.
    """
    looked = select(_s.id, _s.updated_at).where(_s.id > after).order_by(_s.id).limit(_LOOKED_AT)
    rows = connection.execute(looked).all()
    old = [key for key, used in rows if used < before]
    quiet = connection.scalars(select(_s.id).where(_s.id.in_(old), IS_QUIET)).all() if old else []
    return list(quiet), rows[-1].id if len(rows) == _LOOKED_AT else None


def erase_unused(connection: Connection, *, session: int, until: float) -> bool:
    """Like `erase_session`, for a conversation that `find_unused` or `find_surplus` returned. One that was used after
    then (seconds since 1970) stays."""
    return erase_session(connection, session, _s.updated_at <= until, IS_QUIET)


def erase_session(connection: Connection, key: int, *still: ColumnElement[bool]) -> bool:
    """Deletes the session's shared links, the contents of its runs, its messages from the oldest, and at last the
    session.

    True once nothing is left; also where a condition of `still` fails, because somebody continued the session: it
    stays.
    """
    if still and not has_row(connection, _s.id == key, *still):
        return True
    of_links, of_runs = _measure(_h.contents, _h.citations), _measure(_c.request)
    for table, row_key, size in ((tables.shared_chats, _h.id, of_links), (tables.run_contents, _c.run_id, of_runs)):
        rows, is_last = _read_few(connection, select(row_key, size).where(table.c.session == key))
        connection.execute(delete(table).where(row_key.in_(row[0] for row in rows)))
        if not is_last:
            return False
    journal = select(_j.body).where(_j.message == _m.position).scalar_subquery()
    size = _measure(_m.text, _m.value, _m.citations, journal)
    wanted = select(_m.position, _m.id, _m.run_id, size).where(_m.session == key)
    messages, is_last = _read_few(connection, wanted.order_by(_m.position))
    ran = {row.run_id for row in messages}
    # Clients choose session ids, which may hold personal data.
    connection.execute(update(tables.runs).where(_r.id.in_(ran)).values(session_id="", exclusive=None))
    files.delete_of_messages(connection, messages=[row.id for row in messages])
    connection.execute(delete(tables.messages).where(_m.position.in_(row.position for row in messages)))
    if is_last:
        connection.execute(delete(tables.sessions).where(_s.id == key, *still))
    return is_last


def _measure(*texts: ColumnElement[str | None]) -> ColumnElement[int]:
    chars: ColumnElement[int] = sum((func.coalesce(func.length(text), 0) for text in texts), start=literal(0))
    return chars.label("chars")


def _read_few(connection: Connection, wanted: Select[Any]) -> tuple[list[Row[Any]], bool]:
    """As many of these rows as one statement may delete, and whether they are all."""
    found = connection.execute(wanted.limit(STEP_MESSAGES + 1)).all()
    few: list[Row[Any]] = []
    chars = 0
    for row in found[:STEP_MESSAGES]:
        chars += row.chars
        if few and chars > _MOST_CHARS:
            break
        few.append(row)
    return few, len(few) == len(found)


def find_surplus(connection: Connection, *, keep: int, before: float, limit: int) -> list[Row[int, float]]:
    """At most `limit` conversations of visitors to delete, each with its last use: those last used before then (seconds
    since 1970) and, beyond the `keep` newest of each flow, the oldest. None in which something runs. 0: no such
    bound."""
    wanted = select(_s.id, _s.updated_at).where(is_visitors(_s.owner), IS_QUIET)
    found: list[Row[int, float]] = []
    if before:
        found += connection.execute(wanted.where(_s.updated_at < before).order_by(_s.updated_at).limit(limit))
    if keep and not found:
        counted = select(_s.flow_id, func.count()).where(is_visitors(_s.owner)).group_by(_s.flow_id)
        for flow_id, count in connection.execute(counted.having(func.count() > keep)).all():
            oldest = wanted.where(_s.flow_id == flow_id).order_by(_s.updated_at)
            room = min(count - keep, limit - len(found))
            found += connection.execute(oldest.limit(room))
    return found


def is_visitors(owner: ColumnElement[str]) -> ColumnElement[bool]:
    """Written exactly as in the index `sessions_of_visitors`: the databases use the index for no other form."""
    return func.substr(owner, literal_column("1"), literal_column("8")) == literal_column("'visitor:'")


def forget_contents(connection: Connection, *, before: float) -> int:
    """Deletes the contents of the next runs whose messages are older than then (seconds since 1970); returns the number
    of messages, 0 when nothing is left.

    A run in progress keeps its contents until it ends.
    """
    after = connection.scalar(select(_p.position).where(_p.what == _WHAT))
    wanted = select(_m.position, _m.run_id, _m.created_at).where(_m.position > (after or 0))
    rows = connection.execute(wanted.order_by(_m.position).limit(STEP_MESSAGES)).all()
    done = [row for row in rows if row.created_at < before]
    if not done:
        return 0
    runs = [row.run_id for row in done if row.run_id]
    connection.execute(delete(tables.journals).where(_j.message.in_(row.position for row in done)))
    connection.execute(delete(tables.run_contents).where(_c.run_id.in_(runs), _c.run_id.not_in(_RUNNING)))
    left = tables.run_events.c.run  # of runs whose end was stored without them
    connection.execute(delete(tables.run_events).where(left.in_(runs), left.not_in(_RUNNING)))
    if after is None:
        connection.execute(insert(tables.forgotten_to).values(what=_WHAT, position=done[-1].position))
    else:
        connection.execute(update(tables.forgotten_to).where(_p.what == _WHAT).values(position=done[-1].position))
    return len(done)


def delete_expired(connection: Connection, *, kind: str, before: float) -> int:
    """Deletes the oldest rows of a kind of `_EXPIRING` that are older than then; returns their number, 0 when none is
    left."""
    at = _EXPIRING[kind]
    key = list(at.table.primary_key)
    oldest = select(*key).where(at < before).order_by(at).limit(_EXPIRED_AT_ONCE)
    meant = delete(at.table).where(tuple_(*key).in_(connection.execute(oldest).all()), at < before)
    return connection.execute(meant).rowcount
