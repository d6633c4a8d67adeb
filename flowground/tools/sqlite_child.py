"""A child process that queries SQLite files: some single steps take minutes, which only the end of a process stops.

Files are opened read-only, and only reading is authorised. The process imports nothing of ours, so that it starts fast.
Each line of stdin is a query; the line of stdout that answers has the rows, or the reason why there are none.
"""

import json
import sqlite3
import sys
import time
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
"""Functions that reach beyond the file, in builds that have them."""
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list", "data_version"}
_LONGEST_VALUE = 500_000
_MOST_COLUMNS = 500
_STEPS = 10_000
"""Instructions of SQLite's machine between two checks of the time, usually a few milliseconds."""


def _ask(file: str, sql: str, values: dict[str, Any], rows: int, size: int, seconds: float) -> dict[str, Any]:
    """The rows and their bytes: at most one row more than `rows`, and none once there are more than `size` bytes."""
    address = f"file:{quote(file)}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)) as connection:
        _fence(connection, time.monotonic() + seconds)
        cursor = connection.execute(sql, values)
        names = [column[0] for column in cursor.description or ()]
        found: list[dict[str, Any]] = []
        used = 0
        for row in cursor:
            cells = [_write(value) for value in row]
            used += sum(len(value) if isinstance(value, str) else 8 for value in cells)
            found.append(dict(zip(names, cells, strict=True)))
            if len(found) > rows or used > size:
                break
        return {"rows": found, "size": used}


def _fence(connection: sqlite3.Connection, end: float) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _MOST_COLUMNS)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.set_authorizer(_allow)
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)


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


def _bound(seconds: float) -> None:
    """Limits the processor time, so that the process ends by itself where its parent is gone: a parent that is there
    has ended it two seconds after its time."""
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - Windows has none

        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 4, most))


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        _bound(asked["seconds"])
        try:
            answer: Any = _ask(**asked)
        except sqlite3.Error as error:
            answer = str(error)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
