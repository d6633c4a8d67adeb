"""What visitors of one address add on a day, as far as this process knows: a new browser costs nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flowground.store.runs.files import SMALLEST, say_no_more

_DAY = 86_400
_MOST_OF_ADDRESS = 200_000_000
"""Bytes that visitors of one address (IPv6: /64) add on a day: one alone does not fill a flow's room."""


@dataclass(slots=True)
class DailyBytes:
    """For one event loop. A day begins at 00:00 UTC."""

    _day: int = 0
    _added: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def count(self, address: str, size: int) -> Iterator[None]:
        """Around what keeps a file: without it nothing is counted. Raises FilesFull."""
        today, size = int(time.time() // _DAY), max(size, SMALLEST)
        if today != self._day:
            self._day = today
            self._added.clear()
        if self._added[address] + size > _MOST_OF_ADDRESS:
            raise say_no_more()
        self._added[address] += size
        try:
            yield
        except BaseException:
            if self._day == today:
                self._added[address] -= size
            raise
