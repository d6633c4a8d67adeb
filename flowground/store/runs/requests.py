"""Stop requests and decisions of tool calls, for runs in other processes.

The process that runs a run stores which of its calls wait for a person. Decisions and stop requests it reads every two
seconds while it runs anything, on PostgreSQL at once. It stores the outcome of a decision, whose row is deleted once it
was read, else when another decision is passed on after the run's end.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from flowground.core.events import ToolCalled, ToolWaits
from flowground.core.messages import Decision
from flowground.store import audit, publications, tables
from flowground.store.publications import Switch
from flowground.store.sql import add_row, has_row, notify

Outcome = Literal["taken", "nothing_waits"]
StopKind = Literal["own", "admin"]
"""Who asked: the run's owner, or an admin."""
_d = tables.passed_decisions.c
_r = tables.runs.c
_w = tables.waiting_calls.c
_q = tables.stop_requests.c
_RUNNING = select(_r.id).where(tables.IS_RUNNING)


class PassedDecision(NamedTuple):
    """A decision on the call of this number of a run; `digest` is of the call and its arguments as the person saw
    them."""

    run_id: str
    call: int
    digest: str
    decision: Decision


def pass_on(connection: Connection, *, passed: PassedDecision) -> None:
    """Stores a decision for the process that runs the run, in place of an earlier one on the same call."""
    earlier = and_(_d.run_id == passed.run_id, _d.call == passed.call)
    connection.execute(delete(tables.passed_decisions).where(earlier))
    connection.execute(delete(tables.passed_decisions).where(_d.run_id.not_in(_RUNNING)))
    add_row(connection, tables.passed_decisions, **passed._asdict(), asked_at=time.time())
    _tell_holder(connection, passed.run_id)


def list_passed(connection: Connection, *, holder: str) -> list[PassedDecision]:
    """Decisions on runs of this process that have no outcome yet."""
    wanted = select(_d.run_id, _d.call, _d.digest, _d.decision).join_from(
        tables.passed_decisions, tables.runs, _r.id == _d.run_id
    )
    found = connection.execute(wanted.where(_r.holder == holder, tables.IS_RUNNING, _d.outcome.is_(None)))
    return [PassedDecision(*row) for row in found]


def note_outcomes(connection: Connection, *, outcomes: Mapping[PassedDecision, Outcome]) -> None:
    """Stores the outcomes of decisions."""
    for passed, outcome in outcomes.items():
        connection.execute(update(tables.passed_decisions).where(_is(passed)).values(outcome=outcome))


def read_outcome(connection: Connection, *, passed: PassedDecision) -> Outcome | None:
    """The outcome of a decision; None before its process has read it."""
    return connection.scalar(select(_d.outcome).where(_is(passed)))


def drop(connection: Connection, *, passed: PassedDecision) -> None:
    """Deletes a decision whose outcome was read, and its waiting call."""
    connection.execute(delete(tables.waiting_calls).where(_w.run_id == passed.run_id, _w.digest == passed.digest))
    connection.execute(delete(tables.passed_decisions).where(_is(passed)))


def _is(passed: PassedDecision) -> ColumnElement[bool]:
    return and_(*(_d[name] == value for name, value in passed._asdict().items()))


def note_waiting(connection: Connection, *, waiting: Mapping[str, Sequence[ToolWaits]]) -> None:
    """Replaces the waiting calls of these runs. Ended runs keep none."""
    connection.execute(delete(tables.waiting_calls).where(_w.run_id.not_in(_RUNNING) | _w.run_id.in_([*waiting])))
    for run_id, calls in waiting.items():
        if calls and has_row(connection, _r.id == run_id, tables.IS_RUNNING):
            for waits in calls:
                values = {"name": waits.called.name, "takes": waits.takes, "digest": waits.digest, "until": waits.until}
                ids = {"run_id": run_id, "call": waits.called.number}
                add_row(connection, tables.waiting_calls, **ids, **values, sends=waits.sends)


def list_waiting(connection: Connection, *, run_id: str) -> list[ToolWaits]:
    """The waiting calls of a running run; of each call only the number and the model's name for it are known."""
    wanted = select(tables.waiting_calls).join(tables.runs, _r.id == _w.run_id).order_by(_w.call)
    found = connection.execute(wanted.where(_w.run_id == run_id, tables.IS_RUNNING))
    return [
        ToolWaits(ToolCalled("", "", "", row.name, {}, 0, row.call), row.takes, row.digest, row.until, sends=row.sends)
        for row in found
    ]


def ask_stop(connection: Connection, *, run_id: str, kind: StopKind, by: str) -> bool:
    """Asks the run's process to stop it. False when the run does not run. The run's reader learns who asked first.

    An admin's request is audited. Requests for ended runs are deleted.
    """
    connection.execute(delete(tables.stop_requests).where(_q.run_id.not_in(_RUNNING)))
    if not has_row(connection, _r.id == run_id, tables.IS_RUNNING):
        return False
    if not has_row(connection, _q.run_id == run_id):
        add_row(connection, tables.stop_requests, run_id=run_id, kind=kind, asked_at=time.time())
        _tell_holder(connection, run_id)
        if kind == "admin":
            audit.record(connection, actor=by, action="run.stopped", subject=run_id)
    return True


def _tell_holder(connection: Connection, run_id: str) -> None:
    """Tells the process that runs the run to read its orders."""
    notify(connection, f"asked {connection.scalar(select(_r.holder).where(_r.id == run_id))}")


def ask_stops(connection: Connection, *, owners: Collection[str]) -> None:
    """Like `ask_stop` of kind "own", for all running runs of these owners."""
    for run_id in find_running(connection, owners=owners):
        ask_stop(connection, run_id=run_id, kind="own", by="")


def find_running(connection: Connection, *, owners: Collection[str]) -> list[str]:
    """Ids of the running runs of these owners, in any process."""
    # With a condition for the owners, SQLite could read all runs instead of the few that run.
    running = connection.execute(select(_r.id, _r.owner).where(tables.IS_RUNNING, _r.holder.is_not(None)))
    return [row.id for row in running if row.owner in owners]


class Orders(NamedTuple):
    """What a process must follow: all that is switched `off`, and for its running runs the requested stops and the
    decisions that were made in other processes."""

    off: Sequence[Switch]
    stops: Mapping[str, StopKind]
    decisions: Sequence[PassedDecision]


def read_orders(connection: Connection, *, holder: str) -> Orders:
    """The orders for this process."""
    wanted = select(_q.run_id, _q.kind).join_from(tables.stop_requests, tables.runs, _r.id == _q.run_id)
    found = connection.execute(wanted.where(_r.holder == holder, tables.IS_RUNNING)).all()
    stops = {row.run_id: row.kind for row in found}
    return Orders(publications.list_switches(connection), stops, list_passed(connection, holder=holder))
