"""What people who did not sign in leave behind: their runs are counted, their conversations end."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, literal_column, select
from sqlalchemy.sql import ColumnElement

from flowground.store import tables
from flowground.store.sql import has_row

_r = tables.runs.c
_s = tables.sessions.c
_m = tables.messages.c

STEP_MESSAGES = 50
"""Messages that one step deletes at most: other writes wait for a step."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """A conversation that is to end, as it was when it was found. `id` is the store's key of it."""

    id: str
    updated_at: float


def count_runs(connection: Connection, *, flow_id: str, since: float, most: int) -> int:
    """Runs that visitors began with the flow since then (seconds since 1970); counts no further than `most`."""
    here = (_r.flow_id == flow_id) & (_r.started_at >= since) & _is_visitors(_r.owner)
    found = select(_r.id).where(here).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(found)) or 0


def find_surplus(connection: Connection, *, keep: int, before: float, limit: int) -> list[Surplus]:
    """Visitors' conversations that were last used before then (seconds since 1970), and of each flow the oldest beyond
    the `keep` newest; at most `limit` of them. 0: no bound of this kind."""
    wanted = select(_s.id, _s.updated_at).where(_is_visitors(_s.owner))
    found: list[Surplus] = []
    if before:
        old = connection.execute(wanted.where(_s.updated_at < before).order_by(_s.updated_at).limit(limit))
        found += [Surplus(*row) for row in old]
    if keep and not found:
        counted = select(_s.flow_id, func.count()).where(_is_visitors(_s.owner)).group_by(_s.flow_id)
        for flow_id, count in connection.execute(counted.having(func.count() > keep)).all():
            oldest = wanted.where(_s.flow_id == flow_id).order_by(_s.updated_at)
            room = min(count - keep, limit - len(found))
            found += [Surplus(*row) for row in connection.execute(oldest.limit(room))]
    return found


def delete_step(connection: Connection, *, surplus: Surplus) -> bool:
    """Deletes some of the conversation's messages, with the last of them the conversation. True when there is no more
    to do, also where somebody went on with it meanwhile: then it stays."""
    still = (_s.id == surplus.id) & (_s.updated_at == surplus.updated_at) & _is_visitors(_s.owner)
    if not has_row(connection, still):
        return True
    first = select(_m.position).where(_m.session == surplus.id).order_by(_m.position).limit(STEP_MESSAGES)
    if connection.execute(delete(tables.messages).where(_m.position.in_(first))).rowcount == STEP_MESSAGES:
        return False
    connection.execute(delete(tables.sessions).where(still))
    return True


def _is_visitors(owner: ColumnElement[str]) -> ColumnElement[bool]:
    """Spelt exactly as in the index `sessions_of_visitors`, which the databases use for no other spelling."""
    return func.substr(owner, literal_column("1"), literal_column("8")) == literal_column("'visitor:'")
