"""Databases that flows may query, by the names of config.yaml. Queries read only, which the database itself enforces.

A query of PostgreSQL runs in a thread, on a connection that is opened for it, in a read-only transaction that never
ends; it is opened as a cursor, which accepts one SELECT and nothing else. A query of a SQLite file runs in a child
process of its own, which is killed when the time is over.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url

from flowground.core.caller import WHOSE
from flowground.core.errors import RunError
from flowground.core.processes import ChildProcess, FairPool, make_environment
from flowground.core.values import LONGEST, Record
from flowground.core.words import suggest
from flowground.tools.settings import DatabaseSettings, Parameter, SqlParts, check_rows, list_values

_LONGEST_ROW = 500_000
_BATCH = 50
_CONNECT_SECONDS = 5
_BEGIN = """
SELECT set_config('statement_timeout', %(time)s, true), set_config('lock_timeout', %(time)s, true),
    rolsuper
    OR pg_has_role(oid, 'pg_read_server_files', 'member')
    OR pg_has_role(oid, 'pg_write_server_files', 'member')
    OR pg_has_role(oid, 'pg_execute_server_program', 'member')
FROM pg_roles WHERE rolname = current_user
"""
"""Users of these roles can read files of the server by a SELECT, which no read-only transaction forbids."""
_ROWS = 'SELECT left("row", {most}) FROM (SELECT row_to_json("query")::text AS "row" FROM (\n{query}\n) "query") "rows"'
"""Rows as JSON, long ones cut by the database, which would otherwise send them whole."""
_SQLITE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("sqlite_child.py")))
_LONGEST_LINE = 8 * LONGEST
"""The most bytes of all rows as JSON."""
_AT_ONCE = 8
"""Queries of one process at once; further ones wait, and people take turns."""
_GRACE = 2.0
"""Seconds beyond its own limit that a database has to report the limit."""


class PostgresQuery:
    """One query, run once in a thread; `abort` stops it from another thread. `url` contains the password."""

    def __init__(self, url: str, parts: SqlParts, rows: int, seconds: float) -> None:
        self._parts, self._rows, self._seconds = parts, rows, seconds
        self._url = url
        self._connection: Any = None
        self._is_aborted = False
        self._lock = Lock()

    def run(self) -> Sequence[Record]:
        """Runs the query and returns its rows. Raises RunError."""
        try:
            with _make_engine(self._url).connect() as connection:
                connection.execution_options(postgresql_readonly=True)
                try:
                    return self._ask(connection)
                finally:
                    self._release(connection)
        except RunError:
            raise
        except ImportError:
            raise RunError('PostgreSQL needs its driver: pip install "psycopg[binary]~=3.3.0".') from None
        except Exception as error:  # noqa: BLE001 - the driver's own, which is imported by SQLAlchemy alone
            raise RunError(self._explain(error)) from None

    def abort(self) -> None:
        """Stops the query soon; does nothing after its end."""
        with self._lock:
            self._is_aborted = True
            if self._connection is not None:
                with suppress(Exception):  # the query may have ended meanwhile
                    self._connection.cancel_safe(timeout=_CONNECT_SECONDS)

    def _release(self, connection: Connection) -> None:
        """Closes the connection at once: ending its transaction would wait for a server that may be silent."""
        with self._lock:
            self._connection = None
            connection.invalidate()

    def _ask(self, connection: Connection) -> Sequence[Record]:
        limits = {"time": f"{max(1, int(self._seconds * 1000))}ms"}
        *_, is_mighty = connection.exec_driver_sql(_BEGIN, limits).one()
        if is_mighty:
            raise RunError(
                "The database's user may read files of its server, so no flow is let in.",
                hint="Name a user in `databases:` of config.yaml that may only read its tables.",
            )
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - it just answered
        with self._lock:
            if self._is_aborted:
                raise RunError("The query was given up before it was asked.")
            self._connection = driver
        values = {"nothing": "", **list_values(self._parts)}
        sql = "".join(
            f"%({part.name})s" if isinstance(part, Parameter) else part.replace("%", "%%") for part in self._parts
        )
        # Prepared alone first, not run: text that is one SELECT by itself cannot close the brackets added below.
        with _open_cursor(driver, "alone") as cursor:
            cursor.execute(sql, values)
        rows: list[Record] = []
        size = 0
        with _open_cursor(driver, "rows") as cursor:
            cursor.itersize = _BATCH
            cursor.execute(_ROWS.format(most=_LONGEST_ROW, query=sql), values)
            for (row,) in cursor:
                if len(row) >= _LONGEST_ROW:
                    raise RunError(f"A row has more than {_LONGEST_ROW:,} characters: ask for fewer columns.")
                size += len(row)
                check_rows(len(rows) + 1, self._rows, size)
                rows.append(orjson.loads(row))
        return rows

    def _explain(self, error: Exception) -> str:
        cause: Any = getattr(error, "orig", None) or error
        state = getattr(cause, "sqlstate", None)
        if state == "57014":
            return f"The query took longer than {self._seconds:g} seconds."
        message = getattr(getattr(cause, "diag", None), "message_primary", None)
        if message is None:
            return "The database does not answer, or cannot take the query."
        return f"The database refused the query: {message}."


class Databases:
    """Queries for one event loop; opens nothing before the first one."""

    def __init__(self, entries: Mapping[str, DatabaseSettings]) -> None:
        self._entries = entries
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="flowground-query")
        self._turns = FairPool([None] * _AT_ONCE)
        self._running: set[PostgresQuery] = set()
        self._children: list[ChildProcess] = []
        """Idle child processes, for the next queries of SQLite files."""

    async def ask(self, name: str, parts: SqlParts) -> Sequence[Record]:
        """The rows of a query. Cancelling the coroutine stops the query. Raises RunError."""
        entry = self._entries.get(name)
        if entry is None:
            nearest = suggest(name, self._entries, otherwise=".")
            raise RunError(f"There is no database `{name}`{nearest}", hint="`databases:` in config.yaml names them.")
        if not "".join(part for part in parts if isinstance(part, str)).strip():
            raise RunError("The query is empty.")
        async with self._turns.acquire(WHOSE.get()):
            try:
                async with asyncio.timeout(entry.seconds + _GRACE):
                    if entry.file is None:
                        query = PostgresQuery(entry.url.get_secret_value(), parts, entry.rows, entry.seconds)
                        return await self._ask_postgresql(query)
                    return await self._ask_sqlite(entry.file, parts, entry)
            except TimeoutError:
                raise RunError(f"The query took longer than {entry.seconds:g} seconds.") from None

    async def _ask_postgresql(self, query: PostgresQuery) -> Sequence[Record]:
        work = asyncio.get_running_loop().run_in_executor(self._threads, query.run)
        self._running.add(query)
        try:
            return await asyncio.shield(work)
        finally:
            self._running.discard(query)
            if not work.done():
                work.add_done_callback(_forget)
                await asyncio.shield(asyncio.to_thread(query.abort))

    async def _ask_sqlite(self, file: Path, parts: SqlParts, entry: DatabaseSettings) -> Sequence[Record]:
        sql = "".join(f":{part.name}" if isinstance(part, Parameter) else part for part in parts)
        asked = {"file": str(file), "sql": sql, "values": list_values(parts), "rows": entry.rows, "size": LONGEST}
        child, answer = await self._take_child(), None
        try:
            await child.send(asked | {"seconds": entry.seconds})
            answer = await child.receive()
        except (EOFError, ValueError):
            raise RunError("The database refused the query: its reader failed.") from None
        finally:
            if answer is None:
                await child.kill()
            else:
                self._children.append(child)
        if isinstance(answer, str):
            raise RunError(_explain(answer, entry.seconds))
        rows: list[Record] = answer["rows"]
        check_rows(len(rows), entry.rows, answer["size"])
        return rows

    async def _take_child(self) -> ChildProcess:
        """A child process for one query."""
        while self._children:
            child = self._children.pop()
            if child.is_alive:
                return child
            await child.kill()
        return await ChildProcess.start(*_SQLITE, environment=make_environment(), longest_line=_LONGEST_LINE)

    async def close(self) -> None:
        """Stops all running queries."""
        await asyncio.gather(*(asyncio.to_thread(query.abort) for query in self._running))
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._children:
            await self._children.pop().kill()


@lru_cache
def _make_engine(url: str) -> Engine:
    """An engine that opens a connection for each query. Raises ImportError where the driver is missing."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    options = {"connect_timeout": _CONNECT_SECONDS, "application_name": "flowground", "prepare_threshold": None}
    return create_engine(parsed, hide_parameters=True, connect_args=options, poolclass=NullPool)


@contextmanager
def _open_cursor(driver: Any, name: str) -> Iterator[Any]:
    """A cursor on the server; where closing it fails, the connection is closed."""
    cursor = driver.cursor(name)
    try:
        yield cursor
    finally:
        try:
            cursor.close()
        except Exception:  # noqa: BLE001 - the driver's own, which is imported by SQLAlchemy alone
            driver.close()
            cursor.close()


def _explain(error: str, seconds: float) -> str:
    """Why SQLite gives no rows, in words for people."""
    if "interrupted" in error:
        return f"The query took longer than {seconds:g} seconds."
    if "not authorized" in error or "prohibited" in error or "authorization" in error:
        return "A query only reads tables of its database: this one wants something else."
    return f"The database refused the query: {error.rstrip('.')}."


def _forget(work: "asyncio.Future[Any]") -> None:
    """Ignores the result of work that no caller waits for."""
    if not work.cancelled():
        work.exception()
