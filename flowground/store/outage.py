"""Failures of the database: told apart from mistakes of jobs, turned into errors for callers, and logged."""

import logging
import sqlite3
import time
from threading import Lock
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from flowground.core.errors import StoreUnavailable
from flowground.store.connections import DatabaseFile

_log = logging.getLogger(__name__)
_LINE_SECONDS = 10.0
"""While a failure lasts, the log gets at most one line in this time."""
_REASON_CHARS = 300
# SQLite's primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_TROUBLE = {*range(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL + 1), sqlite3.SQLITE_NOTADB}
"""What comes from outside: locks, memory, the disk, the file. The codes before are mistakes of statements."""
# PostgreSQL's SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_TOO_LONG = ("55P03", "57014")
"""A lock or a statement timed out: nothing of it was done."""
_READ_ONLY = "25006"
_CUT = ("57P01", "57P02", "57P03")
"""The server ended the connection: a shutdown, a crash, a start."""
_CUT_CLASS, _ROLLED_BACK_CLASS = "08", "40"


def explain(error: BaseException, *, is_writing: bool) -> StoreUnavailable | None:
    """The caller's error when the database cannot be used just now; None when the job itself is wrong.

    Not `is_writing`: a read that tried to write is a mistake of ours, and no sign of a read-only disk.
    """
    if isinstance(error, StoreUnavailable):
        return error
    refusal = StoreUnavailable() if is_writing else unavailable_error()
    cause = _find_cause(error)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in _SQLITE_TROUBLE or (code == sqlite3.SQLITE_READONLY and not is_writing):
            return None
        return busy_error() if code & 0xFF in _SQLITE_BUSY else refusal
    state = _read_sqlstate(cause)
    if state in _TOO_LONG:
        return busy_error()
    if isinstance(error, OperationalError | InterfaceError) or (state == _READ_ONLY and is_writing):
        return refusal
    # Statements of the hot path bypass SQLAlchemy, so their errors are the driver's own.
    named = {kind.__name__ for kind in type(cause).__mro__}
    return refusal if named & {"OperationalError", "InterfaceError"} else None


def busy_error() -> StoreUnavailable:
    """Another connection holds the lock; nothing of the job was done."""
    return StoreUnavailable("The database is busy.", code="store_busy")


def unavailable_error() -> StoreUnavailable:
    """For readers, whose data was not to be stored."""
    return StoreUnavailable("The database does not answer at the moment.")


def unknown_outcome_error() -> StoreUnavailable:
    """For writers whose commit may have succeeded."""
    return StoreUnavailable(
        "The database did not answer in time: whether this was stored is not known.",
        code="unknown_outcome",
        hint="Look whether it is there before you send it again.",
    )


def may_repeat(error: BaseException, driver: Any) -> bool:
    """Whether the same work may succeed on a new connection: this one was cut, or the server rolled the work back.

    `driver` is the connection of psycopg or sqlite3; None where none could be made: the next one would not succeed
    either.
    """
    if driver is None:
        return False
    cause = _find_cause(error)
    state = _read_sqlstate(cause)
    if state in _CUT or state.startswith((_CUT_CLASS, _ROLLED_BACK_CLASS)):
        return True
    if not state and type(cause).__module__.startswith("psycopg"):
        return True  # an error of the driver, not the server: the connection broke
    try:
        return bool(driver.closed) if hasattr(driver, "closed") else driver.total_changes < 0
    except sqlite3.ProgrammingError:  # raised by a closed connection of SQLite
        return True


def describe(error: BaseException) -> str:
    """The error in one line for the log."""
    cause = _find_cause(error)
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:_REASON_CHARS]


def _find_cause(error: BaseException) -> BaseException:
    """The driver's error, where SQLAlchemy wrapped it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _read_sqlstate(error: BaseException) -> str:
    """PostgreSQL's error code; "" for an error without one."""
    return getattr(error, "sqlstate", None) or ""


class Outage:
    """Whether the database could be used last time. Logs the beginning and the end of a failure."""

    def __init__(self, verb: Literal["read", "written"], file: DatabaseFile | None) -> None:
        """`file` is SQLite's file."""
        self._verb = verb
        self._file = file
        self._where = f" ({file.path})" if file else ""
        self._lock = Lock()
        self._began = 0.0
        self._logged_at = 0.0
        self._failures = 0
        self.reason: str | None = None
        """The reason of the last failure; None when the last use succeeded."""

    def explain(self, error: BaseException) -> StoreUnavailable | None:
        """Like the function `explain`, but a moved file is the reason of any other failure with it."""
        refusal = explain(error, is_writing=self._verb == "written")
        if refusal and refusal.code != "unknown_outcome" and self._file:
            try:
                self._file.require_place()
            except StoreUnavailable as moved:
                return moved
        return refusal

    def report(self, error: BaseException) -> StoreUnavailable | None:
        """Like `explain`, and records a failure of the database."""
        refusal = self.explain(error)
        if refusal:
            self.record_failure(describe(refusal if refusal.code == "store_moved" else error))
        return refusal

    def record_failure(self, reason: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self.reason is None:
                self._began, self._failures = now, 0
            self._failures += 1
            if self.reason is None or now - self._logged_at >= _LINE_SECONDS:
                self._logged_at = now
                _log.error("the database cannot be %s: %s%s", self._verb, reason, self._where)
            self.reason = reason

    def record_success(self) -> None:
        """Records a use that succeeded; cheap while there is no failure."""
        if self.reason is None:
            return
        with self._lock:
            self.reason = None
            seconds = time.monotonic() - self._began
            _log.warning(
                "the database can be %s again after %.0f s and %d failures", self._verb, seconds, self._failures
            )
