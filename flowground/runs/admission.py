"""Limits how many runs a process has under way at once, and queues those that wait for a place.

A run takes its place before anything of it is stored, and holds the place to its end. As many runs may wait as there
are places, first come first served, and not for long: a client that is told to come back can do so, one that hangs
cannot. Nobody has more than a share of the places or of the queue: fifty, or half of what the others leave.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from flowground.core.errors import FlowgroundError, ServerBusy, ShuttingDown

Leaving = Callable[[], Coroutine[Any, Any, FlowgroundError | None]]
"""Returns when waiting is over: the error to raise, or None where the client has disconnected."""
_SHARE = 50
"""Places that one person may have while one is free, like the visitors of one address."""


class ClientDisconnected(Exception):
    """The client disconnected while its run waited for a place."""


class Admission:
    """`places` for runs, and as many that wait for `seconds` at most. Belongs to one loop."""

    def __init__(self, places: int, *, seconds: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = self._free = places
        self._seconds = seconds
        self._clock = clock
        self._held: dict[str, int] = {}
        """How many places each person holds."""
        self._waiting: dict[asyncio.Future[None], tuple[float, str]] = {}
        """Waiting runs, first come first: when each came, and whose it is."""
        self.is_closed = False

    async def acquire(self, *leaving: Leaving, whose: str = "") -> None:
        """Takes one place; waits where none is free, or this person's share is used up.

        Raises ServerBusy, ShuttingDown; and when one of `leaving` returns first, its error or ClientDisconnected.
        """
        if self.is_closed:
            raise ShuttingDown(hint="Try again in a moment.")
        held = self._held.get(whose, 0)
        if self._free and held < max(_SHARE, self._free + 1):
            self._free -= 1
            self._held[whose] = held + 1
            return
        free_waits = self._places - len(self._waiting)
        waits = sum(other == whose for _, other in self._waiting.values())
        if not self._seconds or not free_waits or (waits >= _SHARE and waits > free_waits):
            raise self._busy_error()
        await self._wait(leaving, whose)

    async def _wait(self, leaving: Sequence[Leaving], whose: str) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = self._clock(), whose
        leavings = [loop.create_task(one()) for one in leaving]
        awaited: set[asyncio.Future[Any]] = {place, *leavings}
        try:
            await asyncio.wait(awaited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if place.done() and place.exception() is None:
                self.release(whose)
            raise
        finally:
            self._waiting.pop(place, None)
            for task in leavings:
                task.cancel()
        if place.done():
            place.result()
        elif ended := next((task for task in leavings if task.done()), None):
            raise ended.result() or ClientDisconnected
        else:
            raise self._busy_error(waited=self._seconds)

    def release(self, whose: str = "") -> None:
        """Gives the place to the run that has waited longest and is within its share; else frees it."""
        self._free += 1
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]
        for place, (_, waits) in self._waiting.items():
            if self._held.get(waits, 0) < max(_SHARE, self._free + 1):
                del self._waiting[place]
                self._free -= 1
                self._held[waits] = self._held.get(waits, 0) + 1
                place.set_result(None)
                return

    def close(self) -> None:
        """Rejects waiting and new runs with ShuttingDown."""
        self.is_closed = True
        waiting, self._waiting = self._waiting, {}
        for place in waiting:
            place.set_exception(ShuttingDown(hint="Try again in a moment."))

    def _busy_error(self, *, waited: float = 0.0) -> ServerBusy:
        """The error for a full queue; its retry time is how long the first in the queue has waited."""
        first, _ = next(iter(self._waiting.values()), (self._clock(), ""))
        wait = math.ceil(max(1.0, waited, self._clock() - first))
        return ServerBusy(wait)
