"""The table of limits (of whom, what, how much, by which setting), and the bytes of stored conversations.

A limit that is not set has no row, and nothing is counted for it. Of two settings for the same limit the lower counts.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from flowground.core.caller import Owner
from flowground.settings import Settings
from flowground.settings.limits import RunBounds
from flowground.store import Store
from flowground.store.runs import conversations
from flowground.store.runs.counters import DAY, MINUTE, CountedBy, Counter, Used, Window
from flowground.store.runs.usage import sum_bytes

LimitSubject = Literal["person", "visitor", "address", "flow"]
LimitKind = Literal[
    "runs_per_minute",
    "page_runs_per_minute",
    "visitor_runs_per_day",
    "runs_at_once",
    "tokens_per_day",
    "money_per_day",
    "stored_bytes",
]
Unit = Literal["runs", "tokens", "money", "bytes"]
MOST_REMEMBERED = 20_000
"""Keys of which a process remembers something; beyond them the oldest is forgotten, and read again when needed."""
LOOK_AGAIN = 60.0
"""Seconds after which stored bytes are read again."""
_ADDRESS_RUNS_AT_ONCE = 50
"""Concurrent runs of all visitors of one address, so that they do not take all places."""
_LONGEST_WAIT = 60
_LOOK_AGAIN_WHEN_FULL = 1.0
"""As `LOOK_AGAIN`, for a full storage: people who deleted conversations need not wait."""


MEASURES: Mapping[LimitKind, tuple[Unit, Window]] = {
    "runs_per_minute": ("runs", "minute"),
    "page_runs_per_minute": ("runs", "minute"),
    "visitor_runs_per_day": ("runs", "day"),
    "runs_at_once": ("runs", "running"),
    "tokens_per_day": ("tokens", "day"),
    "money_per_day": ("money", "day"),
    "stored_bytes": ("bytes", "stored"),
}
"""How limits are counted: in what unit, and over what time."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the table. A minute begins with its first run, a day at 00:00 UTC."""

    of: LimitSubject
    what: LimitKind
    most: float
    setting: str

    @property
    def unit(self) -> Unit:
        return MEASURES[self.what][0]

    @property
    def window(self) -> Window:
        return MEASURES[self.what][1]

    def find_counter(self, key: str) -> Counter:
        """What counts for this limit of somebody, or of a flow."""
        others: dict[str, CountedBy] = {"page_runs_per_minute": "pages", "visitor_runs_per_day": "flow_visitors"}
        return Counter(others.get(self.what, self.of), key, self.window)

    def measure(self, used: Used, now: float, *, asked: int = 0) -> "Remaining":
        """What is left. `asked` are requests whose runs have not begun. Of running runs, the time until the limit
        resets is how long the oldest has gone on."""
        amount = getattr(used, self.unit) + asked
        match self.window:
            case "minute":
                return Remaining(self, amount, math.ceil((used.at or now + MINUTE) - now))
            case "day":
                return Remaining(self, amount, math.ceil(DAY - now % DAY))
            case "running":
                wait = min(max(1, math.ceil(now - used.at)), _LONGEST_WAIT)
                return Remaining(self, amount, wait if amount else None)
            case "stored":
                return Remaining(self, amount, None)


def list_limits(settings: Settings) -> tuple[Limit, ...]:
    """Every limit that is set, each once with its lowest value."""
    lowest: dict[tuple[LimitSubject, LimitKind], Limit] = {}
    for limit in _list_settings(settings):
        before = lowest.get((limit.of, limit.what))
        if limit.most and (before is None or limit.most < before.most):
            lowest[limit.of, limit.what] = limit
    return tuple(lowest.values())


def _list_settings(settings: Settings) -> Iterator[Limit]:
    limits, public = settings.limits, settings.sharing.public
    yield Limit("person", "runs_per_minute", limits.runs_per_minute, "limits.runs_per_minute")
    yield Limit("visitor", "runs_per_minute", limits.runs_per_minute, "limits.runs_per_minute")
    yield Limit("person", "page_runs_per_minute", limits.page_runs_per_minute, "limits.page_runs_per_minute")
    yield Limit("visitor", "runs_per_minute", public.runs_per_minute, "sharing.public.runs_per_minute")
    yield Limit("address", "runs_per_minute", public.address_runs_per_minute, "sharing.public.address_runs_per_minute")
    yield Limit("flow", "visitor_runs_per_day", public.runs_per_day, "sharing.public.runs_per_day")
    yield Limit("address", "runs_at_once", _ADDRESS_RUNS_AT_ONCE, "Flowground itself")
    bounded: dict[LimitSubject, RunBounds] = {"person": limits.person, "flow": limits.flow}
    for of, bounds in bounded.items():
        for what in MEASURES:  # those that the section has
            if most := getattr(bounds, what, 0):
                yield Limit(of, what, most, f"limits.{of}.{what}")


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is used and left of a limit. `resets_in` is the seconds until the limit resets, None where it does not reset
    with time; `flow_id` is set for a limit of a flow."""

    limit: Limit
    used: float
    resets_in: int | None
    flow_id: str | None = None

    @property
    def left(self) -> float:
        return max(self.limit.most - self.used, 0.0)


class StoredBytes:
    """The bytes of stored conversations: those read last, and what this process stored since. Belongs to the loop."""

    def __init__(self, store: Store, *, now: Callable[[], float], most: float) -> None:
        """`most` is the limit."""
        self._store, self._now, self._most = store, now, most
        self._held: dict[str, tuple[float, float]] = {}
        """Key -> its bytes and when they were read."""

    async def read(self, key: str) -> float:
        """The bytes that this owner has; of a member, also those of their programs."""
        held, read_at = self._held.get(key, (0.0, -LOOK_AGAIN))
        wait = _LOOK_AGAIN_WHEN_FULL if held >= self._most else LOOK_AGAIN
        if read_at + wait > self._now():
            return held
        owner = Owner.read(key)
        whose = conversations.list_owners(owner.id) if owner.kind == "member" else [key]
        size = await self._store.read(sum_bytes, owners=whose)
        if key not in self._held and len(self._held) >= MOST_REMEMBERED:
            del self._held[next(iter(self._held))]
        self._held[key] = (size, self._now())
        return size

    def add(self, key: str, size: int) -> None:
        if key in self._held:
            held, read_at = self._held[key]
            self._held[key] = (held + size, read_at)
