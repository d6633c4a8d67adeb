"""What runs keep beside their messages is forgotten with age: request, trace, text so far. The messages stay.

Messages stand in the order in which they were said, so how far it is done is one position, kept in the database.
"""

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, or_, select, update

from flowground.store import tables
from flowground.store.runs.erasing import STEP_MESSAGES, take_in_time
from flowground.store.sql import Statement

_m = tables.messages.c
_o = tables.turn_overrides.c
_c = tables.run_contents.c
_r = tables.runs.c
_p = tables.forgotten_to.c
_WHAT = "run_contents"
_RUNNING = select(_r.id).where(tables.IS_RUNNING)
_CLEAR = Statement(
    update(tables.messages)
    .where(_m.position == bindparam("at"))
    .values({name: literal_column("NULL") for name in ("steps", "trace", "timeline", "actions")})
)


def forget_contents(connection: Connection, *, before: float) -> int:
    """Of runs whose messages were said before then (seconds since 1970), the next ones; how many messages that were.

    0: there is no more to do. A run that goes on keeps its own until it has its end.
    """
    after = connection.scalar(select(_p.position).where(_p.what == _WHAT))
    has_trace = or_(_m.steps.is_not(None), _m.trace.is_not(None), _m.actions.is_not(None)).label("has_trace")
    wanted = select(_m.position, _m.id, _m.run_id, _m.created_at, has_trace).where(_m.position > (after or 0))
    rows = connection.execute(wanted.order_by(_m.position).limit(STEP_MESSAGES)).all()
    old = [row for row in rows if row.created_at < before]
    done = []
    for row in take_in_time(old):
        if row.has_trace:
            _CLEAR.run(connection, {"at": row.position})
        done.append(row)
    if not done:
        return 0
    ids, runs = [row.id for row in done], [row.run_id for row in done if row.run_id]
    connection.execute(delete(tables.turn_overrides).where(_o.message_id.in_(ids)))
    connection.execute(delete(tables.run_contents).where(_c.run_id.in_(runs), _c.run_id.not_in(_RUNNING)))
    if after is None:
        connection.execute(insert(tables.forgotten_to).values(what=_WHAT, position=done[-1].position))
    else:
        connection.execute(update(tables.forgotten_to).where(_p.what == _WHAT).values(position=done[-1].position))
    return len(done)
