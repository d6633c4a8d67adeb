"""Runs that are to end, whatever process runs them: it looks here every two seconds while it runs any."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import Connection, delete, select

from flowground.store import audit, tables
from flowground.store.flows import switches
from flowground.store.flows.switches import Switch
from flowground.store.runs import passed_decisions
from flowground.store.runs.passed_decisions import PassedDecision
from flowground.store.sql import add_row, has_row

StopKind = Literal["own", "admin"]
"""Who asked: whose run it is, or an admin."""
_q = tables.stop_requests.c
_r = tables.runs.c


def ask_stop(connection: Connection, *, run_id: str, kind: StopKind, by: str) -> bool:
    """Asks its process to stop it. False when it does not run. Who asks first is told to whoever waits for the answer.

    What admins do is audited. Requests for runs that have their end go.
    """
    _drop_ended(connection)
    if not has_row(connection, _r.id == run_id, tables.IS_RUNNING):
        return False
    if not has_row(connection, _q.run_id == run_id):
        add_row(connection, tables.stop_requests, run_id=run_id, kind=kind, asked_at=time.time())
        if kind == "admin":
            audit.record(connection, actor=by, action="run.stopped", subject=run_id)
    return True


def ask_stops(connection: Connection, *, owners: Collection[str]) -> None:
    """As `ask_stop` of kind "own", for all that runs of these owners."""
    _drop_ended(connection)
    asked = set(connection.scalars(select(_q.run_id)))
    for run_id in find_running(connection, owners=owners):
        if run_id not in asked:
            add_row(connection, tables.stop_requests, run_id=run_id, kind="own", asked_at=time.time())


def find_running(connection: Connection, *, owners: Collection[str]) -> list[str]:
    """Ids of what runs of these owners, in whatever process."""
    # Asked for the owners too, SQLite could read all runs and not the few that run.
    running = connection.execute(select(_r.id, _r.owner).where(tables.IS_RUNNING, _r.holder.is_not(None)))
    return [row.id for row in running if row.owner in owners]


def _drop_ended(connection: Connection) -> None:
    running = select(_r.id).where(tables.IS_RUNNING)
    connection.execute(delete(tables.stop_requests).where(_q.run_id.not_in(running)))


class Orders(NamedTuple):
    """What a process has to heed: all that is `off`; and of the running runs that it holds, which are to end, and what
    people decided elsewhere about calls that wait."""

    off: Sequence[Switch]
    stops: Mapping[str, StopKind]
    decisions: Sequence[PassedDecision]


def read_orders(connection: Connection, *, holder: str) -> Orders:
    """Those of this process."""
    wanted = select(_q.run_id, _q.kind).join_from(tables.stop_requests, tables.runs, _r.id == _q.run_id)
    found = connection.execute(wanted.where(_r.holder == holder, tables.IS_RUNNING)).all()
    stops = {row.run_id: row.kind for row in found}
    return Orders(switches.list_switches(connection), stops, passed_decisions.list_passed(connection, holder=holder))
