"""What people who did not sign in leave behind: their runs are counted, their conversations end."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal_column, select
from sqlalchemy.sql import ColumnElement

from flowground.store import tables
from flowground.store.runs.erasing import IS_QUIET, erase_session

_r = tables.runs.c
_s = tables.sessions.c


@dataclass(frozen=True, slots=True)
class Surplus:
    """A conversation that is to end, as it was when it was found. `id` is the store's key of it."""

    id: str
    updated_at: float


def find_surplus(connection: Connection, *, keep: int, before: float, limit: int) -> list[Surplus]:
    """Visitors' conversations that were last used before then (seconds since 1970), and of each flow the oldest beyond
    the `keep` newest, at most `limit` of them; none in which something runs. 0: no bound of this kind."""
    wanted = select(_s.id, _s.updated_at).where(is_visitors(_s.owner), IS_QUIET)
    found: list[Surplus] = []
    if before:
        old = connection.execute(wanted.where(_s.updated_at < before).order_by(_s.updated_at).limit(limit))
        found += [Surplus(*row) for row in old]
    if keep and not found:
        counted = select(_s.flow_id, func.count()).where(is_visitors(_s.owner)).group_by(_s.flow_id)
        for flow_id, count in connection.execute(counted.having(func.count() > keep)).all():
            oldest = wanted.where(_s.flow_id == flow_id).order_by(_s.updated_at)
            room = min(count - keep, limit - len(found))
            found += [Surplus(*row) for row in connection.execute(oldest.limit(room))]
    return found


def erase_surplus(connection: Connection, *, surplus: Surplus) -> bool:
    """As `erase_session`, for one that `find_surplus` found."""
    return erase_session(connection, surplus.id, _s.updated_at == surplus.updated_at, is_visitors(_s.owner), IS_QUIET)


def is_visitors(owner: ColumnElement[str]) -> ColumnElement[bool]:
    """Spelt exactly as in the index `sessions_of_visitors`, which the databases use for no other spelling."""
    return func.substr(owner, literal_column("1"), literal_column("8")) == literal_column("'visitor:'")
