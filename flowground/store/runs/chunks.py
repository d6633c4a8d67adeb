"""Journals of runs that go on, in rows: what survives a killed process, and what other processes follow.

A chunk has the consecutive events of one run with the numbers from `first` to `last` (`runs.journal`). Chunks are
deleted with the run's end, when its journal is stored (`journals`).
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, or_, select, tuple_

from flowground.core.events import Event, Token
from flowground.store import tables
from flowground.store.runs.journals import VERSION, decode_events, encode_events
from flowground.store.sql import Statement, mark_job, notify, write_insert

_e = tables.run_events.c
_r = tables.runs.c
_s = tables.sessions.c


class Chunk(NamedTuple):
    """Consecutive events of a run as JSON text; `first` and `last` are the numbers of their begin and end."""

    run_id: str
    first: int
    last: int
    body: str

    @classmethod
    def of(cls, run_id: str, after: int, last: int, events: Sequence[Event]) -> "Chunk":
        """The chunk of these events, which come after the number `after` and end with `last`.

        A text that ends in half a surrogate pair is kept without it: the rest comes with the next chunk.
        """
        tail = events[-1]
        if isinstance(tail, Token) and "\ud800" <= tail.text[-1:] <= "\udbff":
            events, last = [*events[:-1], Token(tail.component_id, tail.text[:-1])], last - 1
        return cls(run_id, after + 1, last, encode_events(events))

    def read(self, *, after: int = 0) -> list[Event]:
        """Its events after this number."""
        events, number = decode_events(self.body), self.first - 1
        left: list[Event] = []
        for event in events:
            size = len(event.text) if isinstance(event, Token) else 1
            if isinstance(event, Token) and number < after < number + size:
                event = Token(event.component_id, event.text[after - number :])
            number += size
            if number > after:
                left.append(event)
        return left


@cache
def _write_chunk(database: str) -> Statement:
    """The statement that keeps a chunk while its run runs; a longer one with the same begin replaces it."""
    names = ["run", "first", "last", "version", "body"]
    values = (bindparam(name, type_=_e[name].type) for name in names)
    is_there = (_s.owner == _r.owner) & (_s.session_id == _r.session_id) & (_s.flow_id == _r.flow_id)
    wanted = select(_s.id, *values).join_from(tables.runs, tables.sessions, is_there)
    running = wanted.where(_r.id == bindparam("run"), tables.IS_RUNNING)
    kept = write_insert(database, tables.run_events).from_select(["session", *names], running).inline()
    new = {"last": kept.excluded.last, "body": kept.excluded.body}
    return Statement(kept.on_conflict_do_update(index_elements=[_e.run, _e.first], set_=new))


@mark_job()
def keep(connection: Connection, *, chunks: Sequence[Chunk], holder: str = "") -> None:
    """Keeps chunks of running runs of the process `holder`. A run that has ended meanwhile stays as it ended, and a
    deleted conversation deleted."""
    for chunk in chunks:
        row = {"run": chunk.run_id, "version": VERSION} | chunk._asdict()
        _write_chunk(connection.dialect.name).run(connection, row)
    if chunks:
        is_begin = any(chunk.first == 1 for chunk in chunks)
        notify(connection, f"{'began' if is_begin else 'events'} {holder}")


def read(connection: Connection, *, run_id: str) -> list[Event]:
    """The kept events of a running run."""
    wanted = select(_e.body).where(_e.run == run_id, _e.version == VERSION).order_by(_e.first)
    return [event for body in connection.scalars(wanted).all() for event in decode_events(body)]


class Polled(NamedTuple):
    """Those of the polled runs that still run, and chunks that came meanwhile, in the order of each run's."""

    running: Collection[str]
    chunks: Sequence[Chunk]


def poll(connection: Connection, *, after: Mapping[str, int], most_chars: int) -> Polled:
    """Polls runs. `after` has the last number that is known of each, by run id; the first chunks behind it are read, of
    at most so many characters, and at least one."""
    running = connection.scalars(select(_r.id).where(_r.id.in_([*after]), tables.IS_RUNNING)).all()
    news = or_(*(and_(_e.run == run_id, _e.last > number) for run_id, number in after.items()))
    sizes = select(_e.run, _e.first, func.length(_e.body).label("chars")).where(news, _e.version == VERSION)
    chosen: list[tuple[str, int]] = []
    for row in connection.execute(sizes.order_by(_e.run, _e.first)).all():
        most_chars -= row.chars
        if chosen and most_chars < 0:
            break
        chosen.append((row.run, row.first))
    wanted = select(_e.run, _e.first, _e.last, _e.body).where(tuple_(_e.run, _e.first).in_(chosen))
    rows = connection.execute(wanted.order_by(_e.run, _e.first)).all() if chosen else ()
    return Polled(running, [Chunk(*row) for row in rows])
