"""Databases that flows may ask, by the names of config.yaml. A query reads and never writes: the database sees to it.

A query of PostgreSQL has a clean connection to itself and a transaction that is rolled back, in a thread; one of a
SQLite file has a child process to itself, which is killed when its time is over.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flowground.caller import WHOSE
from flowground.child_processes import ChildProcess, make_environment
from flowground.databases.postgresql import PostgresConnections, PostgresQuery
from flowground.databases.settings import DatabaseSettings, Parameter, SqlParts, check_rows, list_values
from flowground.errors import RunError
from flowground.person_turns import PersonTurns
from flowground.values import LONGEST, Record
from flowground.words import suggest

__all__ = ["DatabaseSettings", "Databases", "Parameter", "SqlParts"]

_SQLITE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("sqlite_child.py")))
_LONGEST_LINE = 8 * LONGEST
"""Bytes of all rows as JSON."""
_AT_ONCE = 8
"""Queries of a process; of others people have their turns."""
_GRACE = 2.0
"""Seconds that a database has beyond its own limit to say that it was reached."""


class Databases:
    """Lives on one event loop; opens nothing before the first query."""

    def __init__(self, entries: Mapping[str, DatabaseSettings]) -> None:
        self._entries = entries
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="flowground-query")
        self._turns = PersonTurns([None] * _AT_ONCE)
        self._running: set[PostgresQuery] = set()
        urls = {name: entry.url.get_secret_value() for name, entry in entries.items() if entry.file is None}
        self._connections = {name: PostgresConnections(url) for name, url in urls.items()}
        self._children: list[ChildProcess] = []
        """Those that wait for the next query of a SQLite file."""

    async def ask(self, name: str, parts: SqlParts) -> Sequence[Record]:
        """The rows of a query. Cancelling it ends the query too. Raises RunError."""
        entry = self._entries.get(name)
        if entry is None:
            nearest = suggest(name, self._entries, otherwise=".")
            raise RunError(f"There is no database `{name}`{nearest}", hint="`databases:` in config.yaml names them.")
        if not "".join(part for part in parts if isinstance(part, str)).strip():
            raise RunError("The query is empty.")
        async with self._turns.take(WHOSE.get()):
            try:
                async with asyncio.timeout(entry.seconds + _GRACE):
                    if entry.file is None:
                        query = PostgresQuery(self._connections[name], parts, entry.rows, entry.seconds)
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
        """One that no other query has."""
        while self._children:
            child = self._children.pop()
            if child.is_alive:
                return child
            await child.kill()
        return await ChildProcess.start(*_SQLITE, environment=make_environment(), longest_line=_LONGEST_LINE)

    async def close(self) -> None:
        """Ends what runs."""
        await asyncio.gather(*(asyncio.to_thread(query.abort) for query in self._running))
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*(asyncio.to_thread(kept.close) for kept in self._connections.values()))
        while self._children:
            await self._children.pop().kill()


def _explain(error: str, seconds: float) -> str:
    """Why SQLite gives no rows, in words for people."""
    if "interrupted" in error:
        return f"The query took longer than {seconds:g} seconds."
    if "not authorized" in error or "prohibited" in error or "authorization" in error:
        return "A query only reads tables of its database: this one wants something else."
    return f"The database refused the query: {error.rstrip('.')}."


def _forget(work: "asyncio.Future[Any]") -> None:
    """Nobody waits for it any more."""
    if not work.cancelled():
        work.exception()
