"""A query of a SQLite file: opened to be read, and allowed nothing but reading."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowground.databases.query import Parameter, Query, SqlParts
from flowground.errors import RunError
from flowground.values import Record

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
"""Functions that reach beyond the file, in builds that have them."""
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list", "data_version"}
_LONGEST_VALUE = 500_000
_MOST_COLUMNS = 500
_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock: a few milliseconds."""


class SqliteQuery(Query):
    """`file` is SQLite's."""

    def __init__(self, file: Path, parts: SqlParts, rows: int, seconds: float) -> None:
        super().__init__(parts, rows, seconds)
        self._file = file
        self._end = time.monotonic() + seconds
        self._is_cancelled = False
        self._connection: sqlite3.Connection | None = None

    def run(self) -> Sequence[Record]:
        sql = "".join(f":{part.name}" if isinstance(part, Parameter) else part for part in self._parts)
        try:
            address = f"file:{quote(str(self._file))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=self._seconds, isolation_level=None)) as connection:
                self._fence(connection)
                self._connection = connection
                return self._read(connection.execute(sql, self.values))
        except sqlite3.Error as error:
            raise RunError(self._explain(error)) from None

    def abort(self) -> None:
        """At the next row: by itself SQLite looks at the clock after many, each of which may take a second."""
        self._is_cancelled = True
        if self._connection is not None:
            with suppress(sqlite3.Error):  # it may have ended meanwhile
                self._connection.interrupt()

    def _fence(self, connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _MOST_COLUMNS)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_authorizer(_allow)
        connection.set_progress_handler(lambda: self._is_cancelled or time.monotonic() > self._end, _STEPS)

    def _read(self, cursor: sqlite3.Cursor) -> Sequence[Record]:
        names = [column[0] for column in cursor.description or ()]
        rows: list[Record] = []
        for row in cursor:
            self.check_row(len(rows) + 1, sum(len(value) if isinstance(value, str | bytes) else 8 for value in row))
            rows.append({name: _write(value) for name, value in zip(names, row, strict=True)})
        return rows

    def _explain(self, error: sqlite3.Error) -> str:
        if "interrupted" in str(error):
            return f"The query took longer than {self._seconds:g} seconds."
        if "not authorized" in str(error) or "prohibited" in str(error) or "authorization" in str(error):
            return "A query only reads tables of its database: this one wants something else."
        return f"The database refused the query: {str(error).rstrip('.')}."


def _allow(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        is_allowed = (second or "").lower() not in _FORBIDDEN
    elif action == sqlite3.SQLITE_PRAGMA:
        is_allowed = (first or "").lower() in _PRAGMAS
    else:
        is_allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _write(value: Any) -> Any:
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else value
