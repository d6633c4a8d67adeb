"""Decisions about calls that wait in another process than they came to: it looks here, and says what came of them.

A row is gone once its outcome was read, else when somebody passes on another decision after the run's end.
"""

import time
from collections.abc import Mapping
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from flowground.messages import Decision
from flowground.store import tables
from flowground.store.sql import add_row

Outcome = Literal["taken", "nothing_waits"]
_d = tables.passed_decisions.c
_r = tables.runs.c
_w = tables.waiting_calls.c


class PassedDecision(NamedTuple):
    """About the call of this number of a run; `digest` is of the call and its arguments, as they were shown."""

    run_id: str
    call: int
    digest: str
    decision: Decision


def pass_on(connection: Connection, *, passed: PassedDecision) -> None:
    """The process that runs it will see it; an earlier word about the call does not count any more."""
    running = select(_r.id).where(tables.IS_RUNNING)
    earlier = and_(_d.run_id == passed.run_id, _d.call == passed.call)
    connection.execute(delete(tables.passed_decisions).where(earlier))
    connection.execute(delete(tables.passed_decisions).where(_d.run_id.not_in(running)))
    add_row(connection, tables.passed_decisions, **passed._asdict(), asked_at=time.time())


def list_passed(connection: Connection, *, holder: str) -> list[PassedDecision]:
    """Those about runs of this process that it has not answered."""
    wanted = select(_d.run_id, _d.call, _d.digest, _d.decision).join_from(
        tables.passed_decisions, tables.runs, _r.id == _d.run_id
    )
    found = connection.execute(wanted.where(_r.holder == holder, tables.IS_RUNNING, _d.outcome.is_(None)))
    return [PassedDecision(*row) for row in found]


def note_outcomes(connection: Connection, *, outcomes: Mapping[PassedDecision, Outcome]) -> None:
    """What came of them."""
    for passed, outcome in outcomes.items():
        connection.execute(update(tables.passed_decisions).where(_is(passed)).values(outcome=outcome))


def read_outcome(connection: Connection, *, passed: PassedDecision) -> Outcome | None:
    """None before the process has looked."""
    return connection.scalar(select(_d.outcome).where(_is(passed)))


def drop(connection: Connection, *, passed: PassedDecision) -> None:
    """Its outcome was read; the call waits no more, as far as its process has not said so yet."""
    connection.execute(delete(tables.waiting_calls).where(_w.run_id == passed.run_id, _w.digest == passed.digest))
    connection.execute(delete(tables.passed_decisions).where(_is(passed)))


def _is(passed: PassedDecision) -> ColumnElement[bool]:
    return and_(*(_d[name] == value for name, value in passed._asdict().items()))
