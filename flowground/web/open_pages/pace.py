"""Whose turn it is: to have a page drawn, among people who are not signed in; to read, of all sockets of one person.

Drawing a page costs some 20 ms. All guests together get a quarter of one core at most, addresses one after the other,
so that many pages of one address do not keep somebody at another one waiting.
"""

import asyncio
from collections import OrderedDict, deque

_ALL = (1 / 12, 60)
"""Seconds between two turns, and how many do not wait after a quiet time: opening a page, filling in a form."""
_AN_ADDRESS = (1 / 6, 40)
_REMEMBERED = 2_000
"""Addresses, or people, whose pace is known."""


class Pace:
    """At most one a `pause` seconds, `at_once` of them without waiting after a quiet time."""

    def __init__(self, pause: float, at_once: int) -> None:
        self._pause = pause
        self._ahead = pause * at_once
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds until one more may come."""
        return max(0.0, max(self._next, now - self._ahead) + self._pause - now)

    def take(self, now: float, count: float = 1) -> None:
        self._next = max(self._next, now - self._ahead) + self._pause * count

    async def wait_for_turn(self) -> None:
        """Returns when one more may come, and takes it; cancelling takes none."""
        now = asyncio.get_running_loop().time()
        if wait := self.wait(now):
            await asyncio.sleep(wait)
        self.take(now + wait)


class PeoplesPaces:
    """Of people who are signed in: all sockets of one share their pace. Used on one loop."""

    def __init__(self, pause: float, at_once: int) -> None:
        """As of `Pace`."""
        self._pace = (pause, at_once)
        self._paces: OrderedDict[str, tuple[Pace, asyncio.Lock]] = OrderedDict()

    def take_later(self, person: str, count: float) -> float:
        """Takes so many turns at once; the seconds until they are due."""
        pace, _ = self._find(person)
        now = asyncio.get_running_loop().time()
        pace.take(now, count)
        return pace.wait(now)

    async def take(self, person: str) -> None:
        """Returns when it is this person's turn, in the order of the calls; cancelling gives the place up."""
        pace, lock = self._find(person)
        async with lock:
            await pace.wait_for_turn()

    def _find(self, person: str) -> tuple[Pace, asyncio.Lock]:
        found = self._paces.setdefault(person, (Pace(*self._pace), asyncio.Lock()))
        self._paces.move_to_end(person)
        self._forget_one()
        return found

    def _forget_one(self) -> None:
        """Of more than are remembered: the one that came last, unless somebody waits there."""
        if len(self._paces) > _REMEMBERED:
            oldest = next(iter(self._paces))
            if not self._paces[oldest][1].locked():
                del self._paces[oldest]


class GuestQueue:
    """Used on one loop. What waits is bounded by who calls: each page waits once."""

    def __init__(self, *, every: tuple[float, int] = _ALL, an_address: tuple[float, int] = _AN_ADDRESS) -> None:
        """Paces of all guests, and of each address."""
        self._pace = Pace(*every)
        self._an_address = an_address
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, address: str) -> None:
        """Returns when it is this address's turn; cancelling gives the place up."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        self._give()
        await turn

    def _give(self) -> None:
        """Turns to those who wait, as many as there are now, and again when the next one is due."""
        loop = asyncio.get_running_loop()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            now = loop.time()
            waits = {address: self._find_pace(address).wait(now) for address in self._waiting}
            address = min(waits, key=waits.__getitem__)
            if wait := max(waits[address], self._pace.wait(now)):
                self._timer = loop.call_later(wait, self._give)
                return
            if self._give_turn(address):
                self._find_pace(address).take(now)
                self._pace.take(now)

    def _give_turn(self, address: str) -> bool:
        """Gives the turn to the one that waits longest at this address, and puts the address last.

        False when none is left there.
        """
        waiting = self._waiting.pop(address)
        while waiting and waiting[0].done():
            waiting.popleft()
        if not waiting:
            return False
        waiting.popleft().set_result(None)
        if waiting:
            self._waiting[address] = waiting
        return True

    def _find_pace(self, address: str) -> Pace:
        pace = self._paces.setdefault(address, Pace(*self._an_address))
        self._paces.move_to_end(address)
        if len(self._paces) > _REMEMBERED:
            self._paces.popitem(last=False)
        return pace
