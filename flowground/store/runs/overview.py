"""What runs now in all processes, as admins see it: whose, of which flow, since when. Never what was said."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from flowground.store import tables
from flowground.store.sql import read_moment

_r = tables.runs.c
_c = tables.run_contents.c
_t = tables.tokens.c
_q = tables.stop_requests.c


@dataclass(frozen=True, slots=True)
class RunningRun:
    """One run that has no end yet. `owner` is as the store writes it. Where a token began it, `token` is that one's
    name, and `member` whose it is, None for the organization's. `is_stopping`: its process was asked to stop it.

    `kept_chars` are about the characters that were kept of what it has said, 0 before half a second has passed.
    """

    id: str
    flow_id: str
    owner: str
    started_at: datetime
    holder: str | None
    kept_chars: int
    token: str | None
    member: str | None
    is_stopping: bool


def list_running(connection: Connection, *, most: int) -> tuple[list[RunningRun], int]:
    """The newest, and how many there are in all."""
    chars = func.coalesce(func.length(_c.answers), 0)
    wanted = (
        select(_r.id, _r.flow_id, _r.owner, _r.started_at, _r.holder, chars, _t.name, _t.owner, _q.run_id)
        .outerjoin_from(tables.runs, tables.run_contents, _c.run_id == _r.id)
        .outerjoin(tables.tokens, _t.id == _r.token)
        .outerjoin(tables.stop_requests, _q.run_id == _r.id)
        .where(tables.IS_RUNNING)
        .order_by(_r.started_at.desc(), _r.id)
        .limit(most)
    )
    found = [
        RunningRun(run_id, flow_id, owner, read_moment(started_at), holder, kept, token, member, bool(asked))
        for run_id, flow_id, owner, started_at, holder, kept, token, member, asked in connection.execute(wanted)
    ]
    count = connection.scalar(select(func.count()).select_from(tables.runs).where(tables.IS_RUNNING)) or 0
    return found, count


def find_ids(connection: Connection, *, begin: str) -> list[str]:
    """Running runs whose id begins so, a few at most."""
    wanted = select(_r.id).where(tables.IS_RUNNING, func.substr(_r.id, 1, len(begin)) == begin)
    return list(connection.scalars(wanted.limit(3)))
