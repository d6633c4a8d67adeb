"""Databases that flows may ask, by the names of config.yaml. A query reads and never writes: the database sees to it.

Each query has a connection to itself, which is clean, and a transaction that is rolled back; threads of this room's own
ask.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from flowground.caller import WHOSE
from flowground.databases.postgresql import PostgresConnections, PostgresQuery
from flowground.databases.query import Parameter, Query, SqlParts
from flowground.databases.settings import DatabaseSettings
from flowground.databases.sqlite import SqliteProcesses, SqliteQuery
from flowground.errors import RunError
from flowground.person_turns import PersonTurns
from flowground.values import Record
from flowground.words import suggest

__all__ = ["DatabaseSettings", "Databases", "Parameter", "SqlParts"]

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
        self._processes = SqliteProcesses()
        self._running: set[Query] = set()
        urls = {name: entry.url.get_secret_value() for name, entry in entries.items() if entry.file is None}
        self._connections = {name: PostgresConnections(url) for name, url in urls.items()}

    async def ask(self, name: str, parts: SqlParts) -> Sequence[Record]:
        """The rows that a query gives. Cancelling it ends the query too. Raises RunError."""
        entry = self._entries.get(name)
        if entry is None:
            nearest = suggest(name, self._entries, otherwise=".")
            raise RunError(f"There is no database `{name}`{nearest}", hint="`databases:` in config.yaml names them.")
        if not "".join(part for part in parts if isinstance(part, str)).strip():
            raise RunError("The query is empty.")
        async with self._turns.take(WHOSE.get()):
            return await self._ask(self._open(name, entry, parts), entry)

    async def _ask(self, query: Query, entry: DatabaseSettings) -> Sequence[Record]:
        work = asyncio.get_running_loop().run_in_executor(self._threads, query.run)
        self._running.add(query)
        try:
            async with asyncio.timeout(entry.seconds + _GRACE):
                return await asyncio.shield(work)
        except TimeoutError:
            raise RunError(f"The query took longer than {entry.seconds:g} seconds.") from None
        finally:
            self._running.discard(query)
            if not work.done():
                work.add_done_callback(_forget)
                await asyncio.shield(asyncio.to_thread(query.abort))

    async def close(self) -> None:
        """Ends what runs."""
        await asyncio.gather(*(asyncio.to_thread(query.abort) for query in self._running))
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*(asyncio.to_thread(kept.close) for kept in self._connections.values()))
        await asyncio.to_thread(self._processes.close)

    def _open(self, name: str, entry: DatabaseSettings, parts: SqlParts) -> Query:
        if entry.file is not None:
            return SqliteQuery(entry.file, parts, entry.rows, entry.seconds, self._processes)
        return PostgresQuery(self._connections[name], parts, entry.rows, entry.seconds)


def _forget(work: "asyncio.Future[Sequence[Record]]") -> None:
    """Nobody waits for it any more."""
    if not work.cancelled():
        work.exception()
