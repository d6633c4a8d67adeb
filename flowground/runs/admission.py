"""How many runs a process has under way at once, and who waits for a place.

A run takes its place before anything of it is stored, and holds it to its end. Beyond that as many wait as there are
places, in the order in which they came, and not for long: a client that is told to come back later can, one that hangs
cannot. Nobody has more than a share of either: fifty, or half of what the others leave.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from flowground.core.errors import FlowgroundError, ServerBusy, ShuttingDown
from flowground.runs.limits import RunCount

Leaving = Callable[[], Coroutine[Any, Any, FlowgroundError | None]]
"""Returns when nobody need wait any more: with what they are told, or None where who asked is gone."""
_SHARE = 50
"""Places that anybody may have while one is free, as visitors of one address may."""


class ClientDisconnected(Exception):
    """Whoever waited for a place is gone, and so is their place in the queue."""


class Admission:
    """`places` for runs, and as many who wait for `seconds` at most. On one loop."""

    def __init__(self, places: int, *, seconds: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = self._free = places
        self._seconds = seconds
        self._clock = clock
        self._held: dict[str, int] = {}
        """Places, by who has them."""
        self._waiting: dict[asyncio.Future[None], tuple[float, str]] = {}
        """In the order in which they came; when that was, and who it is."""
        self._is_closed = False

    async def acquire(self, left: Leaving | None = None, *, whose: str = "") -> None:
        """One place, which `release` gives back; waits where none is free, or this person's share is taken.

        Raises ServerBusy, ShuttingDown, and when `left` returns first its error, or AskerLeft.
        """
        if self._is_closed:
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
        await self._wait(left, whose)

    async def _wait(self, left: Leaving | None, whose: str) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = self._clock(), whose
        leaving = loop.create_task(left()) if left else None
        awaited: set[asyncio.Future[Any]] = {place, leaving} if leaving else {place}
        try:
            await asyncio.wait(awaited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if place.done() and place.exception() is None:
                self.release(whose)
            raise
        finally:
            self._waiting.pop(place, None)
            if leaving:
                leaving.cancel()
        if place.done():
            place.result()
        elif leaving and leaving.done():
            raise leaving.result() or ClientDisconnected
        else:
            raise self._busy_error(waited=self._seconds)

    def release(self, whose: str = "") -> None:
        """To who has waited longest and has not their share; else it is free."""
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
        """Nobody gets a place any more: those who wait meet ShuttingDown, and whoever comes."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, {}
        for place in waiting:
            place.set_exception(ShuttingDown(hint="Try again in a moment."))

    def _busy_error(self, *, waited: float = 0.0) -> ServerBusy:
        """Says to come back after as long as the one in front has waited by now."""
        first, _ = next(iter(self._waiting.values()), (self._clock(), ""))
        wait = math.ceil(max(1.0, waited, self._clock() - first))
        return ServerBusy(wait)


class RunPlace:
    """What one run holds while it goes on: a place of the process, and what limits count at once. As a context, it is
    left at the end. Without arguments it holds nothing. `whose` run it is, as limits count people."""

    def __init__(self, admission: Admission | None = None, count: RunCount | None = None, *, whose: str = "") -> None:
        self._admission, self._whose = admission, whose
        self.count = count if count and count.matters else None
        self._is_held = False

    async def acquire(self, left: Leaving | None = None) -> None:
        """As `Admission.acquire`. Who gets none has not used their limits."""
        if self._admission:
            try:
                await self._admission.acquire(left, whose=self._whose)
            except BaseException:
                self.undo()
                raise
            self._is_held = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.release()

    def undo(self) -> None:
        """The run was not begun, and uses nothing."""
        if self.count:
            self.count.undo()

    def release(self) -> None:
        """Gives back what is held, once."""
        if self.count:
            self.count.release()
        if self._admission and self._is_held:
            self._is_held = False
            self._admission.release(self._whose)
