"""The table of limits (of whom, what, how much, by which setting), and meters of concurrent runs and stored bytes.

A limit that is not set has no row, and nothing is counted for it. Of two settings for the same limit the lower counts.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flowground.core.caller import Owner
from flowground.settings import Settings
from flowground.settings.limits import RunBounds, StoredBounds
from flowground.store import Store
from flowground.store.runs import conversations
from flowground.store.runs.usage import CountedBy, Unit, sum_bytes

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
MINUTE, DAY = 60, 86_400
LOOK_AGAIN = 60.0
"""Seconds after which the usage of other processes' runs is read again."""
_ADDRESS_RUNS_AT_ONCE = 50
"""Concurrent runs of all visitors of one address, so that they do not take all places of a process."""
_LONGEST_WAIT = 60
_LOOK_AGAIN_WHEN_FULL = 1.0
"""As `LOOK_AGAIN`, for a full storage: people who deleted conversations need not wait."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a limit is counted: in what unit, and over how many seconds; 0: what exists at the time.

    `unit` None: bytes of stored conversations.
    """

    unit: Unit | None
    seconds: int


MEASURES: Mapping[LimitKind, Measure] = {
    "runs_per_minute": Measure("runs", MINUTE),
    "page_runs_per_minute": Measure("runs", MINUTE),
    "visitor_runs_per_day": Measure("runs", DAY),
    "runs_at_once": Measure("runs", 0),
    "tokens_per_day": Measure("tokens", DAY),
    "money_per_day": Measure("money", DAY),
    "stored_bytes": Measure(None, 0),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the table. A minute begins with its first run, a day at 00:00 UTC."""

    of: LimitSubject
    what: LimitKind
    most: float
    setting: str

    @property
    def measure(self) -> Measure:
        return MEASURES[self.what]

    @property
    def counted_by(self) -> CountedBy:
        """Which runs count for this limit."""
        match self.what:
            case "page_runs_per_minute":
                return "pages"
            case "visitor_runs_per_day":
                return "flow_visitors"
            case _:
                return self.of


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
        yield Limit(of, "runs_per_minute", bounds.runs_per_minute, f"limits.{of}.runs_per_minute")
        yield Limit(of, "runs_at_once", bounds.runs_at_once, f"limits.{of}.runs_at_once")
        yield Limit(of, "tokens_per_day", bounds.tokens_per_day, f"limits.{of}.tokens_per_day")
        yield Limit(of, "money_per_day", bounds.money_per_day, f"limits.{of}.money_per_day")
        if isinstance(bounds, StoredBounds):
            yield Limit(of, "stored_bytes", bounds.stored_bytes, f"limits.{of}.stored_bytes")


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


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What a run used until its end; `size` is the bytes that it stored."""

    tokens: int
    money: float
    size: int


class Meter(Protocol):
    """Measures one limit by key: whose runs are counted. Belongs to the loop; only `read` waits."""

    limit: Limit

    async def read(self, key: str, store: Store) -> None:
        """Reads what was used before."""

    def look(self, key: str) -> Remaining:
        """What is left, as far as was read."""

    def count(self, key: str, run: object) -> None:
        """Counts a run that begins."""

    def undo(self, key: str, run: object) -> None:
        """Uncounts a run that was refused after all."""

    def end(self, key: str, spent: RunUsage) -> None:
        """Counts what a run used until its end."""

    def release(self, key: str, run: object) -> None:
        """Releases a run that goes on no more."""


@dataclass(slots=True)
class ConcurrentRuns(Meter):
    """The meter of concurrent runs, of this process."""

    limit: Limit
    clock: Callable[[], float]
    _runs: dict[str, dict[object, float]] = field(default_factory=dict)
    """Key -> its runs and when they began."""

    async def read(self, key: str, store: Store) -> None:
        """Nothing to read: only this process counts."""

    def look(self, key: str) -> Remaining:
        """What is left; the retry time is how long the oldest run has gone on."""
        going = self._runs.get(key, {})
        oldest = min(going.values(), default=self.clock())
        wait = min(max(1, math.ceil(self.clock() - oldest)), _LONGEST_WAIT)
        return Remaining(self.limit, len(going), wait if going else None)

    def count(self, key: str, run: object) -> None:
        self._runs.setdefault(key, {})[run] = self.clock()

    def undo(self, key: str, run: object) -> None:
        self.release(key, run)

    def end(self, key: str, spent: RunUsage) -> None:
        """Nothing to count: the run is released once it is stored."""

    def release(self, key: str, run: object) -> None:
        going = self._runs.get(key, {})
        going.pop(run, None)
        if not going:
            self._runs.pop(key, None)


@dataclass(slots=True)
class StoredBytes(Meter):
    """The meter of stored conversations: the bytes read last, and what this process stored since."""

    limit: Limit
    clock: Callable[[], float]
    most: int = 20_000
    _held: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Key -> its bytes and when they were read."""

    async def read(self, key: str, store: Store) -> None:
        held, read_at = self._held.get(key, (0.0, -LOOK_AGAIN))
        wait = _LOOK_AGAIN_WHEN_FULL if held >= self.limit.most else LOOK_AGAIN
        if read_at + wait > self.clock():
            return
        owner = Owner.read(key)
        whose = conversations.list_owners(owner.id) if owner.kind == "member" else [key]
        size = await store.read(sum_bytes, owners=whose)
        if key not in self._held and len(self._held) >= self.most:
            del self._held[next(iter(self._held))]
        self._held[key] = (size, self.clock())

    def look(self, key: str) -> Remaining:
        held, _ = self._held.get(key, (0.0, 0.0))
        return Remaining(self.limit, held, None)

    def count(self, key: str, run: object) -> None:
        """Nothing to count yet: what the run stores is known at its end."""

    def undo(self, key: str, run: object) -> None:
        """Nothing to undo: nothing was stored."""

    def end(self, key: str, spent: RunUsage) -> None:
        if key in self._held:
            held, read_at = self._held[key]
            self._held[key] = (held + spent.size, read_at)

    def release(self, key: str, run: object) -> None:
        """Nothing to release: the run was counted at its end."""
