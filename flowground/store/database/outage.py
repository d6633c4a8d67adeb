"""Trouble with the database itself, told apart from mistakes in a job, and told to the log in few lines."""

import logging
import sqlite3
import time
from threading import Lock
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from flowground.errors import StoreUnavailable
from flowground.store.database.databases import File

_log = logging.getLogger(__name__)
_LINE_SECONDS = 10.0
"""While trouble lasts, the log gets at most one line in this time."""
_REASON_CHARS = 300

# SQLite's primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_TROUBLE = (
    *_SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
)
# PostgreSQL's SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_TOO_LONG = ("55P03", "57014")
"""A lock was not given, or a statement was ended, within its time: nothing of it was done."""
_READ_ONLY = "25006"
_CUT = ("57P01", "57P02", "57P03")
"""The server ends the connection: a shutdown, a crash, a start."""
_CUT_CLASS, _ROLLED_BACK_CLASS = "08", "40"


def trouble(error: BaseException, *, writing: bool) -> StoreUnavailable | None:
    """The error to tell when the database cannot be used just now; None when the job itself is wrong.

    `writing` False: a read that tried to write is a mistake of ours, not a read-only disk.
    """
    if isinstance(error, StoreUnavailable):
        return error
    told = StoreUnavailable() if writing else does_not_answer()
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in _SQLITE_TROUBLE or (code == sqlite3.SQLITE_READONLY and not writing):
            return None
        return busy() if code & 0xFF in _SQLITE_BUSY else told
    state = _sqlstate(cause)
    if state in _TOO_LONG:
        return busy()
    if isinstance(error, OperationalError | InterfaceError) or (state == _READ_ONLY and writing):
        return told
    # The statements of the hot path go past SQLAlchemy, so what they raise is the driver's own.
    named = {kind.__name__ for kind in type(cause).__mro__}
    return told if named & {"OperationalError", "InterfaceError"} else None


def busy() -> StoreUnavailable:
    """Somebody else holds the lock; nothing of the job was done."""
    return StoreUnavailable("The database is busy.", code="store_busy")


def does_not_answer() -> StoreUnavailable:
    """For who reads: nothing was to be stored."""
    return StoreUnavailable("The database does not answer just now.")


def may_repeat(error: BaseException, driver: Any) -> bool:
    """Whether the same work may succeed on a new connection: this one was cut, or the server took its work back."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = _sqlstate(cause)
    if state in _CUT or state.startswith((_CUT_CLASS, _ROLLED_BACK_CLASS)):
        return True
    if not state and type(cause).__module__.startswith("psycopg"):
        return True  # said by the driver and not by the server: the line broke
    try:
        return bool(driver.closed) if hasattr(driver, "closed") else driver.total_changes < 0
    except sqlite3.ProgrammingError:  # SQLite's way to say that the connection is closed
        return True


def describe(error: BaseException) -> str:
    """One line for the log."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:_REASON_CHARS]


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


class Outage:
    """Whether the database could be used last time. Says to the log when trouble begins and ends."""

    def __init__(self, verb: Literal["read", "written"], file: File | None) -> None:
        """`file` is SQLite's."""
        self._verb = verb
        self._file = file
        self._where = f" ({file.path})" if file else ""
        self._lock = Lock()
        self._began = 0.0
        self._told = 0.0
        self._failures = 0
        self.reason: str | None = None
        """What went wrong last; None when the last use went well."""

    def trouble(self, error: BaseException) -> StoreUnavailable | None:
        """As the function of this name; a file that was moved is the reason for whatever else went wrong with it."""
        told = trouble(error, writing=self._verb == "written")
        if told and told.code != "unknown_outcome" and self._file:
            try:
                self._file.require_place()
            except StoreUnavailable as moved:
                return moved
        return told

    def failed(self, reason: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self.reason is None:
                self._began, self._failures = now, 0
            self._failures += 1
            if self.reason is None or now - self._told >= _LINE_SECONDS:
                self._told = now
                _log.error("the database cannot be %s: %s%s", self._verb, reason, self._where)
            self.reason = reason

    def worked(self) -> None:
        """Cheap while all goes well."""
        if self.reason is None:
            return
        with self._lock:
            self.reason = None
            seconds = time.monotonic() - self._began
            _log.warning(
                "the database can be %s again after %.0f s and %d failures", self._verb, seconds, self._failures
            )
