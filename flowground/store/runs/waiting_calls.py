"""Calls that wait for a person, for other processes than the one that runs them: it writes here what waits."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from flowground.events import ToolCalled, ToolWaits
from flowground.store import tables
from flowground.store.sql import add_row, has_row

_w = tables.waiting_calls.c
_r = tables.runs.c


def note_waiting(connection: Connection, *, waiting: Mapping[str, Sequence[ToolWaits]]) -> None:
    """By run id, all that waits of it now, in the place of what did before. Runs that have their end keep none."""
    running = select(_r.id).where(tables.IS_RUNNING)
    connection.execute(delete(tables.waiting_calls).where(_w.run_id.not_in(running) | _w.run_id.in_([*waiting])))
    for run_id, calls in waiting.items():
        if calls and has_row(connection, _r.id == run_id, tables.IS_RUNNING):
            for waits in calls:
                told = {"name": waits.called.name, "takes": waits.takes, "digest": waits.digest, "until": waits.until}
                ids = {"run_id": run_id, "call": waits.called.number}
                add_row(connection, tables.waiting_calls, **ids, **told, sends=waits.sends)


def list_waiting(connection: Connection, *, run_id: str) -> list[ToolWaits]:
    """Of a run that runs; of each call its number and the model's name for it alone are told."""
    wanted = select(tables.waiting_calls).join(tables.runs, _r.id == _w.run_id).order_by(_w.call)
    found = connection.execute(wanted.where(_w.run_id == run_id, tables.IS_RUNNING))
    return [
        ToolWaits(ToolCalled("", "", "", row.name, {}, 0, row.call), row.takes, row.digest, row.until, sends=row.sends)
        for row in found
    ]
