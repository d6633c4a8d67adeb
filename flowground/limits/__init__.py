"""May this caller start a run now? Counted in one place for pages, *Try it* and the API.

What is limited stands in one table (`table`); each of its rows has a meter. Who asks is checked first, then the flow.
A request counts in its minute as soon as it is known who asks: guesses and repeats count there too. As a run (at once,
of the day) it counts once it was read whole and is no repeat, so that nobody holds a place with half a request.
What a limit refuses is not counted; what they let in is, however it ends: stopped and failed runs were asked of the
model too. Nothing is counted where nothing is limited.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from flowground.caller import Caller
from flowground.limits.meter import Meter, Remaining, RunsGoing, Spent, StoredBytes
from flowground.limits.refusals import refuse
from flowground.limits.table import DAY, MINUTE, Limit, list_limits
from flowground.limits.tally import Tally
from flowground.messages import Usage
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs.records import RunCounts

__all__ = ["Allowance", "RunCount", "RunLimits"]

_MOST_FLOWS = 100
_NOT_COUNTED = RunCounts()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute: `left` of `limit` runs, and whole `seconds` until all of them are there again."""

    limit: int
    left: int
    seconds: int


KeyedMeter = tuple[Meter, str]


class RunLimits:
    """All limits of one process, on the loop. `clock` gives seconds of any origin, `now` seconds since 1970.

    `secret` makes digests of addresses that nobody else can make.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        secret: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._secret = secret.encode()[:64]
        self._clock, self._now = clock, now
        self._longest = settings.limits.run_seconds or float(DAY)
        meters = [self._make_meter(limit) for limit in list_limits(settings)]
        self._of_people = [meter for meter in meters if meter.limit.of == "person"]
        self._of_programs = [meter for meter in self._of_people if meter.limit.what != "page_runs_per_minute"]
        self._of_visitors = [meter for meter in meters if meter.limit.of == "visitor"]
        self._of_addresses = [meter for meter in meters if meter.limit.of == "address"]
        self._of_flows_for_visitors = [meter for meter in meters if meter.limit.of == "flow"]
        self._of_flows = [meter for meter in self._of_flows_for_visitors if meter.limit.what != "visitor_runs_per_day"]
        self.currency = settings.prices.currency
        self._prices = settings.prices
        self._default_model = settings.default_model

    def open(self, caller: Caller, *, at_page: bool = False, came_from: str = "") -> "RunCount":
        """A run that the caller wants to begin; nothing is counted yet. `came_from` is a visitor's address."""
        return RunCount(self, caller, self._list_own(caller, at_page=at_page, came_from=came_from))

    async def look(self, caller: Caller, flows: Iterable[str] = (), *, at_page: bool = False) -> list[Remaining]:
        """What is left of every limit of the caller's, and of these flows; not of an address."""
        found = []
        for meter, key in self._list_own(caller, at_page=at_page):
            await meter.read(key, self._store)
            found.append(meter.look(key))
        for flow_id in sorted(flows)[:_MOST_FLOWS]:
            for meter, key in self.list_of_flow(flow_id, caller):
                await meter.read(key, self._store)
                found.append(replace(meter.look(key), flow_id=flow_id))
        return found

    def list_of_flow(self, flow_id: str, caller: Caller) -> list[KeyedMeter]:
        return [(meter, flow_id) for meter in self.list_for_flows(caller)]

    def list_for_flows(self, caller: Caller) -> Sequence[Meter]:
        """What measures flows where this caller asks."""
        return self._of_flows_for_visitors if caller.kind == "visitor" else self._of_flows

    async def read(self, meters: Iterable[KeyedMeter]) -> None:
        for meter, key in meters:
            await meter.read(key, self._store)

    @property
    def has_prices(self) -> bool:
        return bool(self._prices.models)

    def sum_cost(self, used: Iterable[tuple[str | None, Usage]]) -> float | None:
        """What models cost that were asked by these names (None: the default); None where no prices are given."""
        return self._prices.sum_cost(used, self._default_model)

    def _make_meter(self, limit: Limit) -> Meter:
        if limit.what == "stored_bytes":
            return StoredBytes(limit, self._clock)
        if limit.what == "runs_at_once" or limit.measure.unit is None:
            return RunsGoing(limit, self._clock)
        return Tally(limit, limit.measure.unit, self._clock, self._now, self._longest)

    def _list_own(self, caller: Caller, *, at_page: bool, came_from: str = "") -> list[KeyedMeter]:
        """The owner of this computer has no page limit: the model is their own."""
        if caller.kind != "visitor":
            meters = self._of_people if at_page and caller.kind != "local" else self._of_programs
            key = str(caller.counted_as) if meters else ""
            return [(meter, key) for meter in meters]
        own: list[KeyedMeter] = [(meter, str(caller.owner)) for meter in self._of_visitors]
        if came_from and self._of_addresses:
            address = self._digest(came_from)
            own += [(meter, address) for meter in self._of_addresses]
        return own

    def _digest(self, address: str) -> str:
        """Of an address, for one day: it is told from others by it, and not found out, nor known again tomorrow."""
        day = int(self._now() // DAY)
        return blake2b(f"{day} {address}".encode(), key=self._secret, digest_size=16).hexdigest()


class RunCount:
    """One run as it is counted: what it took of each limit, and gives back."""

    def __init__(self, limits: RunLimits, caller: Caller, own: Sequence[KeyedMeter]) -> None:
        self._limits = limits
        self._caller = caller
        self._own = own
        self._taken: list[KeyedMeter] = []
        self.counts = self._make_counts()

    @property
    def matters(self) -> bool:
        """Whether anybody wants to know what it uses."""
        return bool(self._own or self._limits.list_for_flows(self._caller) or self._limits.has_prices)

    async def read(self, flow_id: str | None = None) -> None:
        """What was used before, by who asks and of the flow, is known after this. Await it before `take_request`."""
        await self._limits.read(self._own)
        if flow_id is not None:
            await self.read_of_flow(flow_id)

    async def read_of_flow(self, flow_id: str) -> None:
        await self._limits.read(self._limits.list_of_flow(flow_id, self._caller))

    def take_request(self, flow_id: str | None = None) -> None:
        """Counts the request in the minute of who asks, and of the flow. Raises RunLimitReached; then nothing is
        counted at all."""
        self._take(self._own, is_request=True)
        if flow_id is not None:
            self.take_request_of_flow(flow_id)

    def take_request_of_flow(self, flow_id: str) -> None:
        """As `take_request`, for the flow alone."""
        self._take(self._limits.list_of_flow(flow_id, self._caller), is_request=True)

    def take_run(self, flow_id: str) -> None:
        """Counts the run in all but minutes, for who asks and the flow; raises as `take_request`."""
        self._take(self._own, is_request=False)
        self._take(self._limits.list_of_flow(flow_id, self._caller), is_request=False)

    def _take(self, meters: Sequence[KeyedMeter], *, is_request: bool) -> None:
        wanted = [(meter, key) for meter, key in meters if (meter.limit.measure.seconds == MINUTE) == is_request]
        for meter, key in wanted:
            found = meter.look(key)
            if found.left <= 0 or (meter.limit.measure.unit == "runs" and found.left < 1):
                self.take_back()
                raise refuse(found, self._caller, currency=self._limits.currency)
        for meter, key in wanted:
            meter.count(key, self)
        self._taken += wanted

    @property
    def allowance(self) -> Allowance | None:
        """What is left of a token's minute."""
        for meter, key in self._own:
            if meter.limit.what == "runs_per_minute" and meter.limit.of == "person":
                found = meter.look(key)
                return Allowance(int(meter.limit.most), int(found.left), found.resets_in or 0)
        return None

    def take_back(self) -> None:
        """The run was refused after all, and not begun."""
        for meter, key in self._taken:
            meter.take_back(key, self)
        self._taken = []

    def end(self, used: Sequence[tuple[str | None, Usage]], *, size: int) -> RunCounts:
        """By what the run is found again, with its cost. `used` is what models counted, by the names that they were
        asked by; `size` is the bytes that are stored of it. To be called once."""
        cost = self._limits.sum_cost(used)
        if self._taken:
            spent = Spent(sum(usage.total_tokens for _, usage in used), cost or 0.0, size)
            for meter, key in self._taken:
                meter.end(key, spent)
        return replace(self.counts, cost=cost)

    def leave(self) -> None:
        """The run goes on no more, however it ended, or never began."""
        for meter, key in self._taken:
            meter.leave(key, self)

    def _make_counts(self) -> RunCounts:
        """What its row says, where a limit counts by it."""
        if not self._own:
            return _NOT_COUNTED
        windows = {meter.limit.of: key for meter, key in self._own if meter.limit.measure.seconds}
        return RunCounts(windows.get("person") or windows.get("visitor"), windows.get("address"))
