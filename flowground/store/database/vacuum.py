"""Rids SQLite's file of the copies that SQLite leaves of rows which it moved.

`secure_delete` overwrites rows where they are deleted. But when a page becomes too full or too empty, its rows are
sorted anew among the neighbours, and what stood there before stays in room that is free now. Only VACUUM, which writes
the whole file anew, leaves none of it; meanwhile nobody can write. So a small file is written anew at once after
something was erased, a larger one in a quiet moment, and a large one not at all: that is the operator's.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SMALL = 32_000_000
"""Bytes of a file that is written anew at once: a second at most."""
_LARGE = 300_000_000
"""Bytes from which writers would wait for longer than they do."""
_QUIET = 10.0
_LATEST = 86_400.0
"""No quiet moment is waited for longer."""
_SHARE = 50
"""It takes a fiftieth of the time at most."""
_AFTER_FAILURE = 60.0


class Vacuum:
    """Of one file. `note` may be called from any thread, all else by one. `clock` gives seconds of any origin."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._noted: float | None = None
        self._not_before = clock()

    def note(self) -> None:
        """Something was erased: somewhere may be copies of it."""
        if self._noted is None:
            self._noted = self._clock()

    @property
    def is_wanted(self) -> bool:
        return self._noted is not None

    def is_due(self, *, written: float, is_last: bool = False) -> bool:
        """Whether now is the moment; `written` is when somebody wrote last. `is_last`: the process ends."""
        now = self._clock()
        if self._noted is None or (now < self._not_before and not is_last):
            return False
        size = self._path.stat().st_size
        if size > _LARGE:
            self._noted = None
            return False
        return size <= _SMALL or now - written > _QUIET or now - self._noted > _LATEST

    def run(self, driver: Any) -> None:
        """Writes the file anew. `driver` is a connection of sqlite3's without a transaction, which only reads.

        Raises sqlite3.Error: others write, or the disk has no room.
        """
        began, noted = self._clock(), self._noted
        self._noted = None  # what is erased from here on may come too late
        driver.execute("PRAGMA query_only = OFF")
        try:
            driver.execute("VACUUM")
            self._not_before = self._clock() + _SHARE * (self._clock() - began)
        except sqlite3.Error:
            self._noted = noted
            self._not_before = self._clock() + _AFTER_FAILURE
            raise
        finally:
            driver.execute("PRAGMA query_only = ON")
