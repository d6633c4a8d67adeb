"""Values and statements for both databases, the marks of jobs, and helpers that most changes share.

Text: PostgreSQL refuses NUL, both databases refuse half a surrogate pair, and JSON may hold both. Times are seconds
since 1970, exact to the microsecond.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from operator import itemgetter
from typing import Any, TypeVar

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.sql import ClauseElement

from flowground.core.messages import join_surrogates
from flowground.core.words import fold

CHANNEL = "flowground"
"""PostgreSQL's channel of notices between processes."""
BoundValues = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")
_MOST_WORDS = 5


def make_storable(text: str) -> str:
    """The text with U+FFFD in place of what cannot be stored."""
    if text.isascii() and "\x00" not in text:
        return text
    return join_surrogates(text.replace("\x00", "\ufffd"))


def encode_json(value: Any, *, is_sorted: bool = False) -> str:
    """JSON text, by the fast encoder; by Python's own for half a surrogate pair and for very large numbers."""
    try:
        return orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS if is_sorted else None).decode()
    except TypeError:
        return json.dumps(value, default=dict, sort_keys=is_sorted)


def notify(connection: Connection, notice: str) -> None:
    """Tells every process of this database, once this transaction is committed; on SQLite nobody."""
    if connection.dialect.name == "postgresql":
        _NOTIFY.run(connection, {"notice": notice})


def read_moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def read_moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else read_moment(seconds)


def write_moment_or_none(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def add_row(connection: Connection, table: Table, /, **values: Any) -> None:
    connection.execute(insert(table).values(values))


def write_insert(database: str, table: Table) -> Any:
    """An INSERT with what this database's dialect adds, such as ON CONFLICT. The other dialect is not imported."""
    return import_module(f"sqlalchemy.dialects.{database}").insert(table)


def has_row(connection: Connection, *where: ColumnElement[bool]) -> bool:
    """Whether a row meets all of these conditions."""
    return connection.execute(select(literal_column("1")).where(*where).limit(1)).first() is not None


def fetch_page(
    connection: Connection, wanted: Select[Any], read: Callable[[Any], Item], *, limit: int, offset: int = 0
) -> tuple[list[Item], int]:
    """A page of these rows, each made a value, and the number on all pages."""
    count = connection.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True).order_by(None))
    return [read(row) for row in connection.execute(wanted.limit(limit).offset(offset))], count or 0


def has_words(connection: Connection, words: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that each of these words (the first five) stands in one of the columns, which hold no NULL."""
    wanted = make_storable(words).split()[:_MOST_WORDS]
    return and_(true(), *(or_(*(has_word(connection, column, word) for column in columns)) for word in wanted))


def has_word(connection: Connection, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """The condition that the column contains the word, compared as `words.fold` does. Only texts that are not plain
    ASCII are folded."""
    wanted = fold(word)
    if connection.dialect.name == "postgresql":
        is_plain = func.octet_length(column) == func.char_length(column)
        is_found = func.strpos(_fold_in_postgresql(column), _fold_in_postgresql(literal(word))) > 0
    else:
        is_plain = func.length(column) == func.length(cast(column, LargeBinary))
        is_found = func.instr(func.fold(column), wanted) > 0
    return or_(column.icontains(wanted, autoescape=True), and_(~is_plain, is_found))


def _fold_in_postgresql(text: ColumnElement[str]) -> ColumnElement[str]:
    parts = func.normalize(func.replace(func.lower(text), "ß", "ss"), literal_column("NFKD"))
    return func.regexp_replace(parts, "[\u0300-\u036f]", "", "g")


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A row's place in a list, newest first, after which the next page begins: its time and key."""

    at: float
    key: str | int


def is_behind(
    place: ListPlace | None, at: ColumnElement[float], key: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ...]:
    """The condition of rows after the place, written so that an index of the time is read up to the place only."""
    return () if place is None else (at <= place.at, or_(at < place.at, key < place.key))


class Statement:
    """A statement of the hot path: written in SQLAlchemy Core, compiled once for each database, run by the driver
    itself.

    Core spends 10 µs on a statement that SQLite runs in 3, and 60 on one that psycopg runs in 30; a run needs six.
    Values are bound by name and must be the driver's types: str, int, float, bool, None.
    """

    __slots__ = ("_clause", "_compiled")

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._compiled: dict[str, tuple[str, Callable[[BoundValues], Any]]] = {}

    def run(self, connection: Connection, values: BoundValues) -> None:
        """Executes the statement and reads no result, so that a one-way job may use it."""
        sql, bind = self._compile(connection)
        find_driver(connection).execute(sql, bind(values))

    def fetch(self, connection: Connection, values: BoundValues) -> Sequence[Any]:
        """Executes the statement and returns all rows: a cursor left open would keep SQLite's snapshot open."""
        sql, bind = self._compile(connection)
        found: Sequence[Any] = find_driver(connection).execute(sql, bind(values)).fetchall()
        return found

    def _compile(self, connection: Connection) -> tuple[str, Callable[[BoundValues], Any]]:
        """The statement's text, and the function that makes the driver's arguments from the values."""
        name = connection.dialect.name
        if name not in self._compiled:
            compiled: Any = self._clause.compile(dialect=connection.dialect)
            constants = {key: value for key, value in compiled.params.items() if value is not None}
            order = _pick(compiled.positiontup) if compiled.positional else dict
            bind = (lambda values: order(constants | values)) if constants else order
            self._compiled[name] = compiled.string, bind
        return self._compiled[name]


_NOTIFY = Statement(select(func.pg_notify(literal_column(f"'{CHANNEL}'"), bindparam("notice"))))


_HOLD = Statement(select(func.pg_advisory_xact_lock(literal_column("4705141"))))


def hold_counters(connection: Connection) -> None:
    """Keeps other processes from counting until the commit; call it first in a transaction, else two may wait for each
    other."""
    if connection.dialect.name == "postgresql":
        _HOLD.run(connection, {})


def _pick(names: list[str]) -> Callable[[BoundValues], Any]:
    """Like `itemgetter`, but returns a tuple for a single name too."""
    return itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)


@dataclass(frozen=True, slots=True)
class JobKind:
    """How the writer may treat a job.

    `is_one_way`: the job only uses `Statement.run`; on PostgreSQL a batch of such jobs takes one round trip.
    `landed(connection, **the job's own arguments)` is whether the job was committed before: such a job may be repeated
    when a connection broke during its commit. `stays`: the job is done even when its caller has stopped waiting.
    `is_counted`: the job counts a run, so no other process may count until the commit.
    """

    is_one_way: bool = False
    landed: Callable[..., bool] | None = None
    stays: bool = False
    is_counted: bool = False


PLAIN_JOB = JobKind()


def mark_rights_change(job: Function) -> Function:
    """Marks a job after which somebody may do more or less: `Store.on_rights_change` is called then."""
    vars(job)["changes_rights"] = True
    return job


def mark_job(*, is_one_way: bool = True, **kind: Any) -> Callable[[Function], Function]:
    """Marks a function as a job of this kind, one-way unless said; the other arguments are those of `JobKind`."""

    def mark(job: Function) -> Function:
        vars(job)["job_kind"] = JobKind(is_one_way, **kind)
        return job

    return mark


def find_driver(connection: Connection) -> Any:
    """The connection of sqlite3 or psycopg itself."""
    return connection.connection.driver_connection


def open_batch(connection: Connection) -> AbstractContextManager[object]:
    """The context for one-way jobs: psycopg's pipeline of round trips."""
    driver = find_driver(connection)
    return driver.pipeline() if hasattr(driver, "pipeline") else nullcontext()


# SQLAlchemy's own transactions take three times as long as SQLite's, and its savepoints fifty times. A job may still
# use SQLAlchemy, which then believes to have begun the transaction, and has to be told of its end.


def begin(connection: Connection) -> None:
    """Begins a transaction to write in, on a connection that begins none by itself."""
    find_driver(connection).execute("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")


def commit(connection: Connection) -> None:
    """In the context of `open_batch` this is only sent: leaving the context raises where it failed."""
    if connection.in_transaction():
        connection.commit()
    else:
        find_driver(connection).execute("COMMIT")


def rollback(connection: Connection) -> None:
    if connection.in_transaction():
        connection.rollback()
    if not connection.invalidated:  # a broken connection has nothing to undo
        find_driver(connection).rollback()
