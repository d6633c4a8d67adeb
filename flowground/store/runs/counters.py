"""What limits count of a subject (who, or which flow): runs, tokens and money of its present minute and day.

A row changes in the transactions that begin and end a run, under one lock of all processes: on SQLite that of every
write. A row whose window is over counts for nothing, and is reused. Running runs are counted by their own rows, so
those of a dead process are free once they are ended.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from flowground.store import tables
from flowground.store.sql import Statement, write_insert

CountedBy = Literal["person", "pages", "visitor", "address", "flow", "flow_visitors"]
"""Whose runs are counted: a person's (or organization token's), those of a person on pages, a visitor's, an address's,
a flow's, or those of a flow's visitors."""
Window = Literal["minute", "day", "running", "stored"]
MINUTE, DAY = 60, 86_400
_k = tables.counters.c
_r = tables.runs.c
_AMOUNTS = ("runs", "tokens", "money")
_FIND = Statement(
    select(_k.ends, *(_k[name] for name in _AMOUNTS)).where(
        _k.subject == bindparam("subject"), _k.window == bindparam("window"), _k.ends > bindparam("now")
    )
)
_FIND_RUNNING = {
    # The column is hidden from other indexes: that of running runs is short.
    by: Statement(
        select(func.min(_r.started_at), func.count()).where(tables.IS_RUNNING, column.concat("") == bindparam("key"))
    )
    for by, column in {
        "person": _r.counted_as,
        "visitor": _r.counted_as,
        "address": _r.came_from,
        "flow": _r.flow_id,
    }.items()
}


class Counter(NamedTuple):
    """One count: of whom, and over what window. "running" is what goes on, "stored" what is kept: no rows."""

    by: CountedBy
    key: str
    window: Window

    @property
    def subject(self) -> str:
        return f"{self.by} {self.key}"


@dataclass(frozen=True, slots=True)
class Used:
    """What was counted. `at` is the end of the window (seconds since 1970), or when the oldest running run began; 0
    where nothing was counted."""

    at: float = 0.0
    runs: int = 0
    tokens: int = 0
    money: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class CountedRun:
    """A run for its counters: `used` is what it adds, `at` the present time. `refuse` raises where what was used before
    reaches a limit."""

    counters: Iterable[Counter]
    at: float
    used: Used
    refuse: Callable[[Mapping[Counter, Used]], None] = lambda _: None


def read(connection: Connection, *, counters: Iterable[Counter], now: float) -> dict[Counter, Used]:
    """What these counters have in their present windows."""
    return {counter: _read(connection, counter, now) for counter in counters}


def _read(connection: Connection, counter: Counter, now: float) -> Used:
    if counter.window == "running":
        [(oldest, runs)] = _FIND_RUNNING[counter.by].fetch(connection, {"key": counter.key})
        return Used(oldest or 0.0, runs)
    values = {"subject": counter.subject, "window": counter.window, "now": now}
    rows = _FIND.fetch(connection, values)
    return Used(*rows[0]) if rows else Used()


def add(connection: Connection, run: CountedRun) -> None:
    """Adds what the run used, in a job that `is_counted`."""
    ends = {"minute": run.at + MINUTE, "day": run.at - run.at % DAY + DAY}
    for counter in run.counters:
        if counter.window in ends:
            used = {name: getattr(run.used, name) for name in _AMOUNTS}
            row = {"subject": counter.subject, "window": counter.window, "ends": ends[counter.window], "reserved": 0}
            _write_add(connection.dialect.name).run(connection, {**row, **used, "now": run.at})


@cache
def _write_add(database: str) -> Statement:
    """The statement that adds to a counter, or begins its next window."""
    names = ("subject", "window", "ends", *_AMOUNTS, "reserved")
    added = write_insert(database, tables.counters).values({name: bindparam(name) for name in names})
    is_over = _k.ends <= bindparam("now")
    values: dict[str, Any] = {
        name: case((is_over, added.excluded[name]), else_=_k[name] + added.excluded[name]) for name in _AMOUNTS
    }
    values["ends"] = case((is_over, added.excluded.ends), else_=_k.ends)
    return Statement(added.on_conflict_do_update(index_elements=[_k.subject, _k.window], set_=values).inline())


def hand_over(connection: Connection, *, old: str, new: str) -> None:
    """Gives what the person or visitor used to another, who used nothing yet."""
    for by in ("person", "pages", "visitor"):
        renamed = update(tables.counters).where(_k.subject == f"{by} {old}")
        connection.execute(delete(tables.counters).where(_k.subject == f"{by} {new}"))
        connection.execute(renamed.values(subject=f"{by} {new}"))


def erase(connection: Connection, *, keys: Iterable[str]) -> None:
    """Deletes what these people used."""
    subjects = [f"{by} {key}" for by in ("person", "pages", "visitor") for key in keys]
    connection.execute(delete(tables.counters).where(_k.subject.in_(subjects)))
