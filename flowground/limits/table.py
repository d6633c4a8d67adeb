"""The one table of limits: of whom, what, how much, by which setting. What checks, counts or shows a limit reads it.

A limit that is not set has no row, and nothing is counted for it. Of two settings that say the same the lower counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from flowground.settings import Settings
from flowground.settings.limits import RunBounds, StoredBounds
from flowground.store.runs.usage import CountedBy, Unit

LimitedOne = Literal["person", "visitor", "address", "flow"]
LimitedUse = Literal[
    "runs_per_minute",
    "page_runs_per_minute",
    "visitor_runs_per_day",
    "runs_at_once",
    "tokens_per_day",
    "money_per_day",
    "stored_bytes",
]

MINUTE, DAY = 60, 86_400
_ADDRESS_RUNS_AT_ONCE = 50
"""Of all visitors of one address: it does not take all places of a process."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How something is counted: in what unit, and for how many seconds; 0: what there is at the time.

    `unit` None: bytes, which conversations hold and no run is asked for.
    """

    unit: Unit | None
    seconds: int


MEASURES: Mapping[LimitedUse, Measure] = {
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
    """One row. A minute begins with its first run, a day at 00:00 UTC."""

    of: LimitedOne
    what: LimitedUse
    most: float
    setting: str

    @property
    def measure(self) -> Measure:
        return MEASURES[self.what]

    @property
    def counted_by(self) -> CountedBy:
        """Whose runs count."""
        match self.what:
            case "page_runs_per_minute":
                return "pages"
            case "visitor_runs_per_day":
                return "flow_visitors"
            case _:
                return self.of


def list_limits(settings: Settings) -> tuple[Limit, ...]:
    """Every limit that is set, once."""
    lowest: dict[tuple[LimitedOne, LimitedUse], Limit] = {}
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
    bounded: dict[LimitedOne, RunBounds] = {"person": limits.person, "flow": limits.flow}
    for of, bounds in bounded.items():
        yield Limit(of, "runs_per_minute", bounds.runs_per_minute, f"limits.{of}.runs_per_minute")
        yield Limit(of, "runs_at_once", bounds.runs_at_once, f"limits.{of}.runs_at_once")
        yield Limit(of, "tokens_per_day", bounds.tokens_per_day, f"limits.{of}.tokens_per_day")
        yield Limit(of, "money_per_day", bounds.money_per_day, f"limits.{of}.money_per_day")
        if isinstance(bounds, StoredBounds):
            yield Limit(of, "stored_bytes", bounds.stored_bytes, f"limits.{of}.stored_bytes")
