"""One query of a database: what is asked, and what comes of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowground.errors import RunError
from flowground.values import LONGEST, Record


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in a query's text, which the database is given beside it: whatever it holds, it stays a value."""

    name: str
    value: str | int | float


SqlParts = Sequence[str | Parameter]


class Query(ABC):
    """Asked once, in a thread; `abort` ends it from another one."""

    def __init__(self, parts: SqlParts, rows: int, seconds: float) -> None:
        self._parts = parts
        self._rows = rows
        self._seconds = seconds
        self._bytes = 0

    @abstractmethod
    def run(self) -> Sequence[Record]:
        """The rows. Raises RunError."""

    @abstractmethod
    def abort(self) -> None:
        """Ends it soon; harmless when it is over."""

    @property
    def values(self) -> Mapping[str, str | int | float]:
        """By name."""
        return {part.name: part.value for part in self._parts if isinstance(part, Parameter)}

    def check_row(self, count: int, size: int) -> None:
        """Counts a row of so many bytes as the `count`th. Raises RunError for what is too much."""
        self._bytes += size
        if count > self._rows:
            raise RunError(f"The query gives more than {self._rows:,} rows: narrow it, or add a LIMIT.")
        if self._bytes > LONGEST:
            raise RunError(f"The rows have more than {LONGEST:,} bytes: ask for fewer rows or columns.")
