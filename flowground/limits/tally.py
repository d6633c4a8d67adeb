"""What was used of a limit by minute or day: read from the store once, counted in memory from there.

Nothing is kept of a minute or day that has ended. What other processes' runs used is read again about once a minute, so
between two looks each of several replicas may let in what is left. Runs of a process before this one count as others'.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from flowground.limits.meter import LOOK_AGAIN, Meter, Remaining, Spent
from flowground.limits.table import DAY, Limit
from flowground.store import Store
from flowground.store.runs.usage import RunsOf, Unit, Used, sum_runs

_MOST = 20_000
"""Minutes and days that are remembered at once, of each limit; beyond it the one that began first is forgotten, and a
day read anew when it is asked for."""
_LATE = 60.0
"""Seconds by which a run may end after the longest one."""


@dataclass(slots=True)
class Window:
    """One minute or day of one key."""

    ends: float
    """By the clock."""
    mine: float = 0.0
    others: float = 0.0
    read_at: float | None = None
    """By the clock; None: never."""
    settled: float = 0.0
    """What others' runs used that have all ended: these began before `settled_until` (seconds since 1970)."""
    settled_until: float = 0.0

    @property
    def used(self) -> float:
        return self.mine + self.others


@dataclass(slots=True)
class Tally(Meter):
    """Of one limit, by key. `clock` gives seconds of any origin, `now` seconds since 1970; `longest` is the longest
    run in seconds."""

    limit: Limit
    unit: Unit
    clock: Callable[[], float]
    now: Callable[[], float]
    longest: float = 600.0
    most: int = _MOST
    _windows: dict[str, Window] = field(default_factory=dict)
    """In the order in which they were begun here, so that most of the ended ones stand first."""

    async def read(self, key: str, store: Store) -> None:
        window = self._find(key)
        if window is not None and window.read_at is not None and window.read_at + LOOK_AGAIN > self.clock():
            return
        if self.limit.measure.seconds == DAY:
            await self._read_day(key, store)
        else:
            await self._read_minute(key, store)

    def look(self, key: str) -> Remaining:
        window = self._find(key)
        used, ends = (window.used, window.ends) if window and window.used else (0.0, self._find_end())
        return Remaining(self.limit, used, math.ceil(ends - self.clock()))

    def count(self, key: str, run: object) -> None:  # noqa: ARG002 - the contract's arguments
        window = self._begin(key)
        if not window.used:
            window.ends = self._find_end()  # it was only looked at until now
        if self.unit == "runs":
            window.mine += 1

    def take_back(self, key: str, run: object) -> None:  # noqa: ARG002 - the contract's arguments
        window = self._find(key)
        if window is not None and self.unit == "runs":
            window.mine = max(window.mine - 1, 0)

    def end(self, key: str, spent: Spent) -> None:
        if self.unit != "runs":
            self._begin(key).mine += spent.money if self.unit == "money" else spent.tokens

    def leave(self, key: str, run: object) -> None:
        """It was counted when it began, or at its end."""

    def __len__(self) -> int:
        return len(self._windows)

    def _find(self, key: str) -> Window | None:
        """The minute or day that goes on."""
        window = self._windows.get(key)
        if window is not None and window.ends <= self.clock():
            del self._windows[key]
            return None
        return window

    def _begin(self, key: str) -> Window:
        """The minute or day that goes on, or a new one."""
        window = self._find(key)
        if window is None:
            self._forget()
            window = self._windows[key] = Window(self._find_end())
        return window

    async def _read_minute(self, key: str, store: Store) -> None:
        since = self.now() - self.limit.measure.seconds
        used = await self._sum(store, self._pick(key, since))
        window = self._begin(key)
        if used.first is not None and not window.used:
            window.ends -= min(max(self.now() - used.first, 0.0), self.limit.measure.seconds - 1)
        window.others, window.read_at = used.others, self.clock()

    async def _read_day(self, key: str, store: Store) -> None:
        now, before = self.now(), self._find(key)
        midnight = now - now % DAY
        settle = max(midnight, now - self.longest - _LATE)
        since = before.settled_until if before and before.settled_until else midnight
        ended = await self._sum(store, self._pick(key, since, settle))
        going = await self._sum(store, self._pick(key, settle))
        is_new = self._find(key) is None
        window = self._begin(key)
        if is_new:
            window.mine = ended.mine + going.mine
        if window.settled_until in (0.0, since):  # nobody else came first, while the store was asked
            window.settled += ended.others
            window.settled_until = settle
            window.others = window.settled + going.others
            window.read_at = self.clock()

    async def _sum(self, store: Store, of: RunsOf) -> Used:
        return await store.read(sum_runs, of=of, unit=self.unit, holder=store.process.id)

    def _pick(self, key: str, since: float, until: float | None = None) -> RunsOf:
        return RunsOf(self.limit.counted_by, key, since, until)

    def _find_end(self) -> float:
        seconds = self.limit.measure.seconds
        return self.clock() + (DAY - self.now() % DAY if seconds == DAY else seconds)

    def _forget(self) -> None:
        now = self.clock()
        while self._windows:
            key = next(iter(self._windows))
            if self._windows[key].ends > now and len(self._windows) < self.most:
                return
            del self._windows[key]
