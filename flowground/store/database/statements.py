"""Statements of the hot path: written in Core, compiled once for each database, run by the driver itself.

Core spends 10 µs on a statement that SQLite runs in 3, and 60 on one that psycopg runs in 30; a run needs six.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.sql import ClauseElement

Values = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


class Statement:
    """Values are bound by name and must be what the driver takes: str, int, float, bool, None."""

    __slots__ = ("_clause", "_compiled")

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._compiled: dict[str, tuple[str, Callable[[Values], Any]]] = {}

    def run(self, connection: Connection, values: Values) -> None:
        """Executes it and reads no result, so that it may stand in a `one_way` job."""
        sql, bound = self._for(connection)
        connection.connection.cursor().execute(sql, bound(values))

    def rows(self, connection: Connection, values: Values) -> Sequence[Any]:
        """Executes it and fetches everything: a cursor left open would keep SQLite's snapshot open."""
        sql, bound = self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(sql, bound(values))
        return cursor.fetchall()

    def _for(self, connection: Connection) -> tuple[str, Callable[[Values], Any]]:
        name = connection.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = self._compiled[name] = self._compile(connection)
        return compiled

    def _compile(self, connection: Connection) -> tuple[str, Callable[[Values], Any]]:
        compiled: Any = self._clause.compile(dialect=connection.dialect)
        constants = {key: value for key, value in compiled.params.items() if value is not None}
        if not compiled.positional:
            return compiled.string, (lambda values: constants | values) if constants else (lambda values: values)
        ordered = _pick(compiled.positiontup)
        return compiled.string, (lambda values: ordered(constants | values)) if constants else ordered


def _pick(names: list[str]) -> Callable[[Values], Any]:
    """`itemgetter` that gives a tuple for a single name too."""
    return itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)


def one_way(*, landed: Callable[..., bool] | None = None, stays: bool = False) -> Callable[[Function], Function]:
    """Marks a job that only uses `Statement.run`: on PostgreSQL a batch of them travels in one round trip.

    `landed(connection, **the job's own arguments)` says whether the job was committed before: a job that has it may be
    repeated when a connection broke while its commit was under way. `stays`: it is done even when who asked for it
    has stopped waiting.
    """

    def mark(job: Function) -> Function:
        job.one_way = True  # type: ignore[attr-defined]  # marks of ours, read by the writer and `Job`
        if landed is not None:
            job.landed = landed  # type: ignore[attr-defined]
        job.stays = stays  # type: ignore[attr-defined]
        return job

    return mark


def together(connection: Connection) -> AbstractContextManager[object]:
    """What to open around `one_way` jobs: psycopg's batching of round trips."""
    driver: Any = connection.connection.driver_connection
    return driver.pipeline() if hasattr(driver, "pipeline") else nullcontext()
