"""May this caller start a run now? Counted in one place for pages, *Try it* and the API.

Runs are counted per minute for each person, token, visitor and visitor's address, and per day for all visitors of a
flow together. What these limits refuse is not counted; what they let in is, however it ends: stopped
and failed runs were asked of the model too.

Minutes are counted in this process's memory (with several replicas each counts its own). A day begins at 00:00 UTC, is
read from the stored runs when a flow's first visitor of the day speaks, and counted in memory from there.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flowground.caller import Caller
from flowground.errors import RunLimitReached
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import visitors
from flowground.words import count

_MINUTE = 60.0
_DAY = 86_400
_MOST = 20_000
"""Callers whose minutes are remembered at once, of each kind; beyond it the one that began first is forgotten."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute: `left` of `limit` runs, and whole `seconds` until all of them are there again."""

    limit: int
    left: int
    seconds: int


@dataclass(slots=True)
class _Window:
    began: float
    runs: int = 0


@dataclass(slots=True)
class Minutes:
    """Runs by key. A key's minute begins with its first run; nothing is kept of a minute that has ended."""

    clock: Callable[[], float] = time.monotonic
    most: int = _MOST
    _windows: dict[str, _Window] = field(default_factory=dict)
    """In the order in which they began, so that the ended ones stand first."""

    def look(self, key: str, *, limit: int) -> Allowance:
        """What is left; counts nothing."""
        now = self.clock()
        self._forget(now)
        window = self._windows.get(key)
        if window is None:
            return Allowance(limit, limit, math.ceil(_MINUTE))
        return Allowance(limit, max(limit - window.runs, 0), math.ceil(window.began + _MINUTE - now))

    def count(self, key: str) -> None:
        """Counts one run."""
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= self.most:
                del self._windows[next(iter(self._windows))]
            window = self._windows[key] = _Window(self.clock())
        window.runs += 1

    def __len__(self) -> int:
        return len(self._windows)

    def _forget(self, now: float) -> None:
        ended = []
        for key, window in self._windows.items():
            if window.began + _MINUTE > now:
                break
            ended.append(key)
        for key in ended:
            del self._windows[key]


@dataclass(slots=True)
class _Day:
    number: int
    """Days since 1970."""
    runs: int


class RunLimits:
    """All limits of one process, on the loop. `clock` gives seconds of any origin, `now` seconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._limits = settings.limits
        self._public = settings.sharing.public
        self._store = store
        self._now = now
        # Apart, so that no crowd of visitors pushes a member's minute out.
        self._people = Minutes(clock)
        self._visitors = Minutes(clock)
        self._addresses = Minutes(clock)
        self._days: dict[str, _Day] = {}

    def take_token(self, caller: Caller) -> Allowance | None:
        """Counts one request of a token; what is left after it, None where there is no limit.

        Raises RunLimitReached.
        """
        limit = self._limits.runs_per_minute
        if not limit:
            return None
        before = self._people.look(caller.key, limit=limit)
        _require_left(
            before,
            f"This token may start {count(limit, 'run')} a minute.",
            hint=f"Come back in {before.seconds} s. The limit is set by limits.runs_per_minute.",
        )
        self._people.count(caller.key)
        return Allowance(limit, before.left - 1, before.seconds)

    async def read_day(self, caller: Caller, flow_id: str) -> None:
        """What the flow's visitors have run today is known after this; to be awaited before `take`."""
        if caller.kind != "visitor" or not self._public.runs_per_day:
            return
        number = self._count_days()
        day = self._days.get(flow_id)
        if day is not None and day.number == number:
            return
        runs = await self._store.read(
            visitors.count_runs, flow_id=flow_id, since=float(number * _DAY), most=self._public.runs_per_day
        )
        day = self._days.get(flow_id)
        if day is None or day.number != number:  # nobody else came first, while the store was asked
            self._days[flow_id] = _Day(number, runs)

    def take(self, caller: Caller, *, flow_id: str, came_from: str = "") -> None:
        """Counts one run that a person starts on a page. `came_from` is their address; it counts for visitors.

        Raises RunLimitReached.
        """
        if caller.kind == "visitor":
            self._take_visitor(caller, flow_id, came_from)
            return
        # The local owner has no page limit: the model is their own.
        page = 0 if caller.kind == "local" else self._limits.page_runs_per_minute
        if limit := _find_least(self._limits.runs_per_minute, page):
            _require_left(self._people.look(caller.key, limit=limit))
            self._people.count(caller.key)

    def _take_visitor(self, caller: Caller, flow_id: str, address: str) -> None:
        public = self._public
        day = self._days.get(flow_id)
        runs = day.runs if day is not None and day.number == self._count_days() else 0
        if public.runs_per_day and runs >= public.runs_per_day:
            raise self._explain_day()
        counted = []
        if limit := _find_least(self._limits.runs_per_minute, public.runs_per_minute):
            _require_left(self._visitors.look(caller.key, limit=limit))
            counted.append((self._visitors, caller.key))
        if limit := public.address_runs_per_minute:
            _require_left(self._addresses.look(address, limit=limit), hint="Many messages come from your network.")
            counted.append((self._addresses, address))
        for minutes, key in counted:
            minutes.count(key)
        if day is not None:
            day.runs += 1

    def _explain_day(self) -> RunLimitReached:
        left = _DAY - self._now() % _DAY
        wait = f"{math.ceil(left / 3600)} h" if left > 3600 else f"{math.ceil(left / 60)} min"
        return RunLimitReached(
            f"This flow has answered as often as it may today; it answers again at 00:00 UTC, in {wait}.",
            code="daily_limit_reached",
            retry_after=math.ceil(left),
        )

    def _count_days(self) -> int:
        return int(self._now() // _DAY)


def _find_least(*limits: int) -> int:
    """The lowest of those that are set; 0 where none is."""
    return min((limit for limit in limits if limit), default=0)


def _require_left(allowance: Allowance, message: str | None = None, *, hint: str | None = None) -> None:
    if not allowance.left:
        raise RunLimitReached(
            message or f"You can send the next message in {allowance.seconds} s.",
            hint=hint or f"The limit is {allowance.limit} a minute.",
            limit=allowance.limit,
            retry_after=allowance.seconds,
        )
