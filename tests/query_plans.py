"""What a job of the store reads from end to end: told by the databases' own plans, not by a clock."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

GROWING = (
    *("sessions", "messages", "runs", "run_contents", "journals", "run_events", "idempotency_keys"),
    *("ratings", "shared_chats", "counters"),
    *("tokens", "sign_ins", "password_links", "access_requests", "group_members", "audit"),
    *("session_pins", "files", "tickets", "attempts", "known_addresses", "used_ids"),
)
"""Tables of which nothing reads all rows: they grow with what people do."""
FEW = (
    *("members", "identities", "passwords", "config_entries", "member_groups", "removals"),
    *("publications", "audiences", "switches", "marks", "forgotten_to", "loose_files"),
    "run_requests",
)
"""Tables with some rows a person, a group, a flow or a run that is to stop; searches for a word in names read them."""
_SCANNED = re.compile(r"SCAN (?P<alias>\w+)(?: USING (?:COVERING )?INDEX (?P<index>\w+))?")


def find_scans(connection: Connection, job: Callable[..., object], **arguments: Any) -> set[str]:
    """Runs the job; growing tables of which one of its statements reads all rows, or all entries of an index.

    Named "TABLE", or "INDEX" where that is read.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    asked = _record_sqlite(connection, job, arguments) if on_sqlite else _record_postgresql(connection, job, arguments)
    assert asked
    found: set[str] = set()
    for statement, values in asked:
        found |= set(
            _read_sqlite_plan(connection, statement) if on_sqlite else _read_plan(connection, statement, values)
        )
    return found


def list_steps(connection: Connection, job: Callable[..., object], **arguments: Any) -> list[str]:
    """Runs the job; what SQLite says that it does for it."""
    driver: Any = connection.connection.driver_connection
    asked = _record_sqlite(connection, job, arguments)
    return [step for statement, _ in asked for *_, step in driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]


def _record_sqlite(
    connection: Connection, job: Callable[..., object], arguments: dict[str, Any]
) -> list[tuple[str, Any]]:
    """The statements as they were run, their values in them."""
    driver: Any = connection.connection.driver_connection
    asked: list[tuple[str, Any]] = []
    driver.set_trace_callback(lambda statement: asked.append((statement, None)))
    try:
        job(connection, **arguments)
    finally:
        driver.set_trace_callback(None)
    return [one for one in asked if not one[0].startswith(("--", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]


def _record_postgresql(
    connection: Connection, job: Callable[..., object], arguments: dict[str, Any]
) -> list[tuple[str, Any]]:
    driver: Any = connection.connection.driver_connection
    asked: list[tuple[str, Any]] = []

    class Recording(Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            asked.append((query, params))
            return super().execute(query, params, **more)

    before, driver.cursor_factory = driver.cursor_factory, Recording
    try:
        job(connection, **arguments)
    finally:
        driver.cursor_factory = before
    return asked


def _read_sqlite_plan(connection: Connection, statement: str) -> Iterator[str]:
    driver: Any = connection.connection.driver_connection
    tables = {alias or name: name for name, alias in re.findall(r"(\w+) AS (\w+)", statement)}
    for *_, step in driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
        scanned = _SCANNED.match(step)
        if scanned and tables.get(scanned["alias"], scanned["alias"]) in GROWING:
            yield scanned["index"] or scanned["alias"]


def _read_plan(connection: Connection, statement: str, values: Any) -> Iterator[str]:
    """Of PostgreSQL, which reads few rows from end to end unless it is told to take an index where it can."""
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor()
    cursor.execute("SET LOCAL enable_seqscan = off")
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
    yield from _list_scans(cursor.fetchone()[0][0]["Plan"])


def _list_scans(step: dict[str, Any]) -> Iterator[str]:
    if step["Node Type"] == "Seq Scan" and step["Relation Name"] in GROWING:
        yield step["Relation Name"]
    index = step.get("Index Name", "")
    if index.startswith(GROWING) and "Index Cond" not in step:
        yield index
    for inner in step.get("Plans", ()):
        yield from _list_scans(inner)
