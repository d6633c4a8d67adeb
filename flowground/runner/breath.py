"""The loop's breath: runs that wait for nothing take turns on it, so that none keeps it, and no crowd of them does.

After some milliseconds of a turn of the loop whoever would go on waits, and one of them goes on in each turn: a part of
the run that waited least often, so that what is short is not kept by what is long.
"""

import asyncio
import threading
import time
from heapq import heappop, heappush
from itertools import count

LONG = 0.005
"""Seconds of one turn of the loop after which others go on."""
_here = threading.local()


class Breath:
    """Of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ends: float | None = None
        """When the turn of the loop is long, by the clock of `perf_counter`; None: nobody asked in it yet."""
        self._is_due = False
        """Whether the next turn's begin is on its way."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def is_over(self) -> bool:
        """Whether this turn of the loop has lasted long, and whoever goes on without waiting is to `wait`."""
        now = time.perf_counter()
        if self._ends is None:
            self._ends = now + LONG
            if not self._is_due:
                self._is_due = True
                self.loop.call_soon(self._begin_turn)
        return now > self._ends

    async def wait(self, waits: int) -> None:
        """Returns in a later turn of the loop; `waits` is how often the run has waited before."""
        future: asyncio.Future[None] = self.loop.create_future()
        heappush(self._waiting, (waits, next(self._numbers), future))
        self.is_over()  # so that a turn comes
        await future

    def _begin_turn(self) -> None:
        self._ends, self._is_due = None, False
        while self._waiting:
            *_, future = heappop(self._waiting)
            if not future.done():  # else it was cancelled
                future.set_result(None)
                self._is_due = True
                self.loop.call_soon(self._begin_turn)
                return


def find_breath() -> Breath:
    """Of the loop that runs here: a thread has one at a time."""
    loop = asyncio.get_running_loop()
    breath: Breath | None = getattr(_here, "breath", None)
    if breath is None or breath.loop is not loop:
        breath = _here.breath = Breath(loop)
    return breath
