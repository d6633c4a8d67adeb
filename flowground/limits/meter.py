"""What measures one limit, whatever it counts; and the meters of what there is at one time: runs and stored bytes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from flowground.caller import Owner
from flowground.limits.table import Limit
from flowground.store import Store
from flowground.store.runs import conversations
from flowground.store.runs.usage import sum_bytes

_LONGEST_WAIT = 60
LOOK_AGAIN = 60.0
"""Seconds after which the store is asked again for what it may know of other processes' runs."""
_LOOK_AGAIN_WHEN_FULL = 1.0
"""As `LOOK_AGAIN`: whoever was told to delete conversations, and did, need not wait."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is used and left of a limit. `resets_in` is the seconds until all of it is there again, None where time does
    not tell; `flow_id` is there for a limit of a flow."""

    limit: Limit
    used: float
    resets_in: int | None
    flow_id: str | None = None

    @property
    def left(self) -> float:
        return max(self.limit.most - self.used, 0.0)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run used until its end; `size` is the bytes that it stored."""

    tokens: int
    money: float
    size: int


class Meter(Protocol):
    """One limit, by key: by whose runs are counted. On the loop; only `read` waits."""

    limit: Limit

    async def read(self, key: str, store: Store) -> None:
        """What was used before is known after this."""

    def look(self, key: str) -> Remaining:
        """What is left, as far as is known."""

    def count(self, key: str, run: object) -> None:
        """A run begins."""

    def take_back(self, key: str, run: object) -> None:
        """It was refused after all."""

    def end(self, key: str, spent: Spent) -> None:
        """It used so much."""

    def leave(self, key: str, run: object) -> None:
        """It goes on no more."""


@dataclass(slots=True)
class RunsGoing(Meter):
    """Runs at once, of this process."""

    limit: Limit
    clock: Callable[[], float]
    _runs: dict[str, dict[object, float]] = field(default_factory=dict)
    """Of each key its runs, and when they began."""

    async def read(self, key: str, store: Store) -> None:
        """Nothing is kept elsewhere."""

    def look(self, key: str) -> Remaining:
        """Advises to come back after as long as the oldest goes on by now."""
        going = self._runs.get(key, {})
        oldest = min(going.values(), default=self.clock())
        wait = min(max(1, math.ceil(self.clock() - oldest)), _LONGEST_WAIT)
        return Remaining(self.limit, len(going), wait if going else None)

    def count(self, key: str, run: object) -> None:
        self._runs.setdefault(key, {})[run] = self.clock()

    def take_back(self, key: str, run: object) -> None:
        self.leave(key, run)

    def end(self, key: str, spent: Spent) -> None:
        """It goes on until it is stored."""

    def leave(self, key: str, run: object) -> None:
        going = self._runs.get(key, {})
        going.pop(run, None)
        if not going:
            self._runs.pop(key, None)


@dataclass(slots=True)
class StoredBytes(Meter):
    """What conversations hold, as it was read last, and what was stored here since."""

    limit: Limit
    clock: Callable[[], float]
    most: int = 20_000
    _held: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each key its bytes, and when they were read."""

    async def read(self, key: str, store: Store) -> None:
        held, read_at = self._held.get(key, (0.0, -LOOK_AGAIN))
        patience = _LOOK_AGAIN_WHEN_FULL if held >= self.limit.most else LOOK_AGAIN
        if read_at + patience > self.clock():
            return
        owner = Owner.read(key)
        whose = await store.read(conversations.list_owners, member=owner.id) if owner.kind == "member" else [key]
        size = await store.read(sum_bytes, owners=whose)
        if key not in self._held and len(self._held) >= self.most:
            del self._held[next(iter(self._held))]
        self._held[key] = (size, self.clock())

    def look(self, key: str) -> Remaining:
        held, _ = self._held.get(key, (0.0, 0.0))
        return Remaining(self.limit, held, None)

    def count(self, key: str, run: object) -> None:
        """What it stores is known at its end."""

    def take_back(self, key: str, run: object) -> None:
        """Nothing was stored."""

    def end(self, key: str, spent: Spent) -> None:
        if key in self._held:
            held, read_at = self._held[key]
            self._held[key] = (held + spent.size, read_at)

    def leave(self, key: str, run: object) -> None:
        """It was counted at its end."""
