"""Lines to the PostgreSQL database in which indexes lie: some for questions, that are lent in turn."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from flowground.errors import RunError
from flowground.knowledge.index import SEARCH_SECONDS

_READERS = 4
_CONNECT_SECONDS = 5
_LINE: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_READS = (
    f"statement_timeout={int(SEARCH_SECONDS * 1000)}",
    "default_transaction_read_only=on",
    "jit=off",
    "enable_seqscan=off",
)
"""Everything that is asked for has an index; PostgreSQL takes reading all texts for cheaper than it is."""
Line = psycopg.Connection[tuple[Any, ...]]


def connect(url: str, *options: str) -> Line:
    """A line on which each statement is a transaction; `options` are settings of PostgreSQL, what the URL says wins.

    Raises psycopg.Error.
    """
    given = conninfo_to_dict(url.replace("postgresql+psycopg:", "postgresql:", 1))
    said = " ".join(filter(None, (*(f"-c {option}" for option in options), str(given.get("options") or ""))))
    line = {name: value for name, value in _LINE.items() if name not in given}
    return psycopg.connect(make_conninfo(**given | line | {"options": said}), autocommit=True)


class PostgresqlLines:
    """Lines for questions to the database at `url`, for any thread: a few are kept open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._idle: list[Line] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, question: str, values: Sequence[Any] | Mapping[str, Any] = (), **more: Any) -> list[tuple[Any, ...]]:
        """All rows; a question ends after some seconds. Raises RunError for whatever goes wrong."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            try:
                line = idle or self._connect()
            except psycopg.Error as error:
                raise _refuse(error) from None
            try:
                return line.execute(question, values, **more).fetchall()
            except psycopg.Error as error:
                if idle is None or not line.closed:  # one that was idle may have been cut meanwhile
                    raise _refuse(error) from None
            finally:
                self._take_back(line)

    def _connect(self) -> Line:
        return connect(self.url, *_READS)

    def _take_back(self, line: Line) -> None:
        with self._lock:
            if not (line.closed or self._is_closed) and len(self._idle) < _READERS:
                self._idle.append(line)
                return
        line.close()

    def close(self) -> None:
        """Closes what is idle now, and the rest when it is given back."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()


def explain(error: psycopg.Error) -> str:
    """One line for people."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _refuse(error: psycopg.Error) -> RunError:
    return RunError(f"The search failed: {explain(error)}.")
