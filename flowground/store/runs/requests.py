"""What others want of a running run: to stop it, to decide a call, to follow it. The process that runs it reads that.

It does so at once on PostgreSQL, by a notice, else every quarter of a second while another process uses the database.
It stores the outcome of a decision. Requests for ended runs are deleted with the next request.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from flowground.core.messages import Decision
from flowground.store import audit, publications, tables
from flowground.store.publications import Switch
from flowground.store.runs.progress import list_held
from flowground.store.sql import has_row, notify, write_insert

Outcome = Literal["taken", "nothing_waits"]
StopKind = Literal["own", "admin"]
"""Who asked: the run's owner, or an admin."""
_r = tables.runs.c
_q = tables.run_requests.c
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
    _ask(connection, passed.run_id, "decide", number=passed.call, body=_write_decision(passed))


def note_outcomes(connection: Connection, *, outcomes: Mapping[PassedDecision, Outcome]) -> None:
    """Stores the outcomes of decisions."""
    for passed, outcome in outcomes.items():
        connection.execute(update(tables.run_requests).where(_is(passed)).values(outcome=outcome))


def read_outcome(connection: Connection, *, passed: PassedDecision) -> Outcome | None:
    """The outcome of a decision; None before its process has read it."""
    return connection.scalar(select(_q.outcome).where(_is(passed)))


def _is(passed: PassedDecision) -> ColumnElement[bool]:
    same_call = and_(_q.run_id == passed.run_id, _q.kind == "decide", _q.number == passed.call)
    return and_(same_call, _q.body == _write_decision(passed))


def _write_decision(passed: PassedDecision) -> str:
    return f"{passed.decision} {passed.digest}"


def ask_stop(connection: Connection, *, run_id: str, kind: StopKind, by: str) -> bool:
    """Asks the run's process to stop it. False when the run does not run. The run's reader learns who asked first.

    An admin's request is audited.
    """
    if not has_row(connection, _r.id == run_id, tables.IS_RUNNING):
        return False
    if not has_row(connection, _q.run_id == run_id, _q.kind == "stop"):
        _ask(connection, run_id, "stop", body=kind)
        if kind == "admin":
            audit.record(connection, actor=by, action="run.stopped", subject=run_id)
    return True


def ask_stops(connection: Connection, *, owners: Collection[str]) -> None:
    """Like `ask_stop` of kind "own", for all running runs of these owners."""
    for run_id in find_running(connection, owners=owners):
        ask_stop(connection, run_id=run_id, kind="own", by="")


def follow(connection: Connection, *, runs: Collection[str]) -> None:
    """Asks the processes of these runs to keep their events soon, for a while."""
    running = connection.execute(select(_r.id, _r.holder).where(_r.id.in_([*runs]), tables.IS_RUNNING)).all()
    for run_id, _ in sorted(running):
        _write_request(connection, run_id, "follow")
    for holder in {holder for _, holder in running}:
        notify(connection, f"asked {holder}")


def find_running(connection: Connection, *, owners: Collection[str]) -> list[str]:
    """Ids of the running runs of these owners, in any process."""
    return [run.id for run in list_held(connection) if run.owner in owners]


def _ask(connection: Connection, run_id: str, kind: str, *, number: int = 0, body: str) -> None:
    """Adds a request, and tells the process that runs the run."""
    connection.execute(delete(tables.run_requests).where(_q.run_id.not_in(_RUNNING)))
    _write_request(connection, run_id, kind, number=number, body=body)
    notify(connection, f"asked {connection.scalar(select(_r.holder).where(_r.id == run_id))}")


def _write_request(connection: Connection, run_id: str, kind: str, *, number: int = 0, body: str = "") -> None:
    """Adds a request in place of an earlier one."""
    asked = {"body": body, "asked_at": time.time(), "outcome": None}
    added = write_insert(connection.dialect.name, tables.run_requests)
    added = added.values(run_id=run_id, kind=kind, number=number, **asked)
    connection.execute(added.on_conflict_do_update(index_elements=[_q.run_id, _q.kind, _q.number], set_=asked))


class Orders(NamedTuple):
    """What a process must follow: all that is switched `off`, and for its running runs the requested stops, decisions
    without an outcome, and those of its runs that are `followed` since a time in seconds since 1970."""

    off: Sequence[Switch]
    stops: Mapping[str, StopKind]
    decisions: Sequence[PassedDecision]
    followed: Mapping[str, float]


def read_orders(connection: Connection, *, holder: str) -> Orders:
    """The orders for this process."""
    wanted = select(tables.run_requests).join(tables.runs, _r.id == _q.run_id)
    rows = connection.execute(wanted.where(_r.holder == holder, tables.IS_RUNNING, _q.outcome.is_(None))).all()
    stops = {row.run_id: cast(StopKind, row.body) for row in rows if row.kind == "stop"}
    decisions = [_read_decision(row.run_id, row.number, row.body) for row in rows if row.kind == "decide"]
    followed = {row.run_id: row.asked_at for row in rows if row.kind == "follow"}
    return Orders(publications.list_switches(connection), stops, decisions, followed)


def _read_decision(run_id: str, call: int, body: str) -> PassedDecision:
    decision, _, digest = body.partition(" ")
    return PassedDecision(run_id, call, digest, cast(Decision, decision))
