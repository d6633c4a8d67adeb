"""Counts runs against limits, for pages, *Try it* and the API: may this caller start a run now?

`meter.list_limits` is the table of limits; each limit has a meter. The caller's limits are checked first, then the
flow's. A request counts in its minute as soon as the caller is known, also a repeat or a guess. As a run (concurrent,
of the day) it counts once it is read completely and is no repeat. What a limit refuses is not counted; a run that it
lets in is, however it ends. Runs of minutes and days are read from the store once and counted in memory from there;
what other processes' runs used is read again about once a minute, so several replicas may together exceed a limit.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from flowground.core.caller import Caller
from flowground.core.errors import RunLimitReached
from flowground.core.messages import Usage
from flowground.core.words import count
from flowground.runs.meter import (
    DAY,
    LOOK_AGAIN,
    MINUTE,
    ConcurrentRuns,
    Limit,
    Meter,
    Remaining,
    RunUsage,
    StoredBytes,
    list_limits,
)
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs.records import RunCounts
from flowground.store.runs.usage import RunsOf, Unit, Used, sum_runs

KeyedMeter = tuple[Meter, str]
_MOST = 20_000
"""Windows of one limit that are remembered; beyond them the oldest is forgotten, and read again when needed."""
_LATE = 60.0
"""Seconds that a run may take beyond the longest allowed time."""
_MOST_FLOWS = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute: `left` of `limit` runs, and whole `seconds` until the limit resets."""

    limit: int
    left: int
    seconds: int


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
        self.store = store
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
        self.counts_programs = bool(self._of_programs or self._of_flows or self._prices.models)
        """Whether `open` returns a count for runs of programs."""

    def open(self, caller: Caller, *, at_page: bool = False, came_from: str = "") -> "RunCount | None":
        """The count of a run that the caller wants to begin, None where no limit or price applies; nothing is counted
        yet. `came_from` is a visitor's address."""
        own = self._list_own(caller, at_page=at_page, came_from=came_from)
        return RunCount(self, caller, own) if own or self._prices.models or self.list_for_flows(caller) else None

    async def look(self, caller: Caller, flows: Iterable[str] = (), *, at_page: bool = False) -> list[Remaining]:
        """What is left of every limit of the caller and of these flows; limits of addresses are left out."""
        found = []
        for meter, key in self._list_own(caller, at_page=at_page):
            await meter.read(key, self.store)
            found.append(meter.look(key))
        for flow_id in sorted(flows)[:_MOST_FLOWS]:
            for meter, key in self.list_of_flow(flow_id, caller):
                await meter.read(key, self.store)
                found.append(replace(meter.look(key), flow_id=flow_id))
        return found

    def list_of_flow(self, flow_id: str, caller: Caller) -> list[KeyedMeter]:
        return [(meter, flow_id) for meter in self.list_for_flows(caller)]

    def list_for_flows(self, caller: Caller) -> Sequence[Meter]:
        """The meters of flows that apply to this caller."""
        return self._of_flows_for_visitors if caller.kind == "visitor" else self._of_flows

    def sum_cost(self, used: Iterable[tuple[str | None, Usage]]) -> float | None:
        """The cost of usage by model name (None: the default model); None where no prices are configured."""
        return self._prices.sum_cost(used, self._default_model)

    def _make_meter(self, limit: Limit) -> Meter:
        if limit.what == "stored_bytes":
            return StoredBytes(limit, self._clock)
        if limit.what == "runs_at_once" or limit.measure.unit is None:
            return ConcurrentRuns(limit, self._clock)
        return Tally(limit, limit.measure.unit, self._clock, self._now, self._longest)

    def _list_own(self, caller: Caller, *, at_page: bool, came_from: str = "") -> list[KeyedMeter]:
        """The caller's own meters with their keys. The local owner has no page limit: the model is their own."""
        if caller.kind != "visitor":
            meters = self._of_people if at_page and caller.kind != "local" else self._of_programs
            return [(meter, str(caller.counted_as)) for meter in meters] if meters else []
        own: list[KeyedMeter] = [(meter, str(caller.owner)) for meter in self._of_visitors]
        if came_from and self._of_addresses:
            address = self._digest(came_from)
            own += [(meter, address) for meter in self._of_addresses]
        return own

    def _digest(self, address: str) -> str:
        """A digest that identifies an address for one day, and from which the address cannot be found."""
        day = int(self._now() // DAY)
        return blake2b(f"{day} {address}".encode(), key=self._secret, digest_size=16).hexdigest()


class RunCount:
    """One run as limits count it: what it counts in each limit, undoes and releases."""

    def __init__(self, limits: RunLimits, caller: Caller, own: Sequence[KeyedMeter]) -> None:
        self._limits = limits
        self._caller = caller
        self._own = own
        self._taken: list[KeyedMeter] = []
        windows = {meter.limit.of: key for meter, key in own if meter.limit.measure.seconds}
        self.counts = RunCounts(windows.get("person") or windows.get("visitor"), windows.get("address"))
        """The keys by which limits find the run's row."""

    async def read(self, flow_id: str | None = None) -> None:
        """Reads what the caller used before, or what the flow did. Await this before `count_request`."""
        for meter, key in self._own if flow_id is None else self._limits.list_of_flow(flow_id, self._caller):
            await meter.read(key, self._limits.store)

    def count_request(self, flow_id: str | None = None) -> None:
        """Counts the request in the minute of the caller, or of the flow. Raises RunLimitReached; then nothing is
        counted."""
        meters = self._own if flow_id is None else self._limits.list_of_flow(flow_id, self._caller)
        self._take(meters, is_request=True)

    def count_run(self, flow_id: str) -> None:
        """Counts the run in all limits but minutes, for the caller and the flow; raises as `count_request`."""
        self._take(self._own, is_request=False)
        self._take(self._limits.list_of_flow(flow_id, self._caller), is_request=False)

    def _take(self, meters: Sequence[KeyedMeter], *, is_request: bool) -> None:
        wanted = [(meter, key) for meter, key in meters if (meter.limit.measure.seconds == MINUTE) == is_request]
        for meter, key in wanted:
            found = meter.look(key)
            if found.left <= 0 or (meter.limit.measure.unit == "runs" and found.left < 1):
                self.undo()
                raise limit_reached_error(found, self._caller, currency=self._limits.currency)
        for meter, key in wanted:
            meter.count(key, self)
        self._taken += wanted

    @property
    def allowance(self) -> Allowance | None:
        """What is left of the token's minute; None without such a limit."""
        for meter, key in self._own:
            if meter.limit.what == "runs_per_minute" and meter.limit.of == "person":
                found = meter.look(key)
                return Allowance(int(meter.limit.most), int(found.left), found.resets_in or 0)
        return None

    def undo(self) -> None:
        """Uncounts a run that was refused after all."""
        for meter, key in self._taken:
            meter.undo(key, self)
        self._taken = []

    def end(self, used: Sequence[tuple[str | None, Usage]], *, size: int) -> RunCounts:
        """Counts what the run used; returns the keys by which limits find its row, with its cost. Call this once.

        `used` is the usage by model name; `size` the bytes that are stored of the run.
        """
        cost = self._limits.sum_cost(used)
        if self._taken:
            spent = RunUsage(sum(usage.total_tokens for _, usage in used), cost or 0.0, size)
            for meter, key in self._taken:
                meter.end(key, spent)
        return replace(self.counts, cost=cost)

    def release(self) -> None:
        """Releases the limits of concurrent runs, however the run ended."""
        for meter, key in self._taken:
            meter.release(key, self)


@dataclass(slots=True)
class Window:
    """What one key used in one minute or day."""

    ends: float
    """The end of the window, by the clock."""
    mine: float = 0.0
    others: float = 0.0
    read_at: float | None = None
    """When the store was read last, by the clock; None: never."""
    settled: float = 0.0
    """Usage of other processes' runs that began before `settled_until` (seconds since 1970) and have all ended."""
    settled_until: float = 0.0

    @property
    def used(self) -> float:
        return self.mine + self.others


@dataclass(slots=True)
class Tally(Meter):
    """The meter of one limit by minute or day. `clock` gives seconds of any origin, `now` seconds since 1970; `longest`
    is the longest allowed run in seconds."""

    limit: Limit
    unit: Unit
    clock: Callable[[], float]
    now: Callable[[], float]
    longest: float = 600.0
    most: int = _MOST
    _windows: dict[str, Window] = field(default_factory=dict)
    """Windows by key, in the order in which they were begun here: most ended ones come first."""

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
            window.ends = self._find_end()  # until now the window was only read
        if self.unit == "runs":
            window.mine += 1

    def undo(self, key: str, run: object) -> None:  # noqa: ARG002 - the contract's arguments
        window = self._find(key)
        if window is not None and self.unit == "runs":
            window.mine = max(window.mine - 1, 0)

    def end(self, key: str, spent: RunUsage) -> None:
        if self.unit != "runs":
            self._begin(key).mine += spent.money if self.unit == "money" else spent.tokens

    def release(self, key: str, run: object) -> None:
        """Nothing to release: the run was counted when it began, or at its end."""

    def __len__(self) -> int:
        return len(self._windows)

    def _find(self, key: str) -> Window | None:
        """The present window of the key; None where there is none."""
        window = self._windows.get(key)
        if window is not None and window.ends <= self.clock():
            del self._windows[key]
            return None
        return window

    def _begin(self, key: str) -> Window:
        """The present window of the key, or a new one."""
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
        if window.settled_until in (0.0, since):  # no other call updated the window while the store was read
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


def limit_reached_error(found: Remaining, caller: Caller, *, currency: str) -> RunLimitReached:
    """The error for a limit of which nothing is left."""
    limit = found.limit
    match limit.what:
        case "runs_per_minute" | "page_runs_per_minute":
            return _minute_error(found, caller)
        case "visitor_runs_per_day":
            return _day_error(found, "This flow has reached its daily limit; it answers again")
        case "runs_at_once":
            return _at_once_error(found)
        case "tokens_per_day":
            used = count(int(limit.most), "token")
        case "money_per_day":
            used = f"{limit.most:g} {currency}"
        case "stored_bytes":
            return RunLimitReached(
                f"Your conversations take up {write_bytes(found.used)}; {write_bytes(limit.most)} is the limit.",
                code="storage_limit_reached",
                hint="Delete conversations that you no longer need, then send this one.",
            )
    subject, pronoun = _name_subject(limit)
    return _day_error(found, f"{subject} used the {used} that {pronoun} may use a day; the limit resets")


def write_bytes(size: float) -> str:
    """Bytes with a fitting unit, in powers of 1000: 0 kB, 1.2 kB, 10.2 MB."""
    for unit, power in (("GB", 1e9), ("MB", 1e6)):
        if size >= power:
            return f"{size / power:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size / 1000:.1f}".removesuffix(".0") + " kB"


def write_reset(found: Remaining) -> str:
    """When the limit resets: "in 40 s", "at 00:00 UTC, in 5 h"; "" where it does not reset with time."""
    if found.resets_in is None:
        return ""
    if found.limit.measure.seconds != DAY:
        return f"in {found.resets_in} s"
    hours = math.ceil(found.resets_in / 3600)
    return f"at 00:00 UTC, in {f'{hours} h' if found.resets_in > 3600 else f'{math.ceil(found.resets_in / 60)} min'}"


def _minute_error(found: Remaining, caller: Caller) -> RunLimitReached:
    limit, wait = found.limit, found.resets_in or MINUTE
    if caller.kind == "token" and limit.of == "person" and not caller.id.startswith("try:"):
        whose = "Your programs and pages may together" if caller.person else "This token may"
        return RunLimitReached(
            f"{whose} start {count(int(limit.most), 'run')} a minute.",
            hint=f"Try again in {wait} s. The limit is set by {limit.setting}.",
            limit=int(limit.most),
            retry_after=wait,
        )
    hint = f"The limit is {limit.most:g} a minute."
    if limit.of == "address":
        hint = "Many messages are coming from your network."
    elif limit.of == "flow":
        hint = f"This flow answers {limit.most:g} times a minute."
    return RunLimitReached(f"You can send the next message in {wait} s.", hint=hint, retry_after=wait)


def _day_error(found: Remaining, sentence: str) -> RunLimitReached:
    return RunLimitReached(f"{sentence} {write_reset(found)}.", code="daily_limit_reached", retry_after=found.resets_in)


def _at_once_error(found: Remaining) -> RunLimitReached:
    subject, pronoun = _name_subject(found.limit)
    most = count(int(found.limit.most), "run")
    return RunLimitReached(
        f"{subject} {most} going on, as many as {pronoun} may have at once.",
        code="runs_at_once",
        hint=f"Wait for one to end, or try again in about {found.resets_in} s.",
        retry_after=found.resets_in,
    )


def _name_subject(limit: Limit) -> tuple[str, str]:
    """Who reached the limit, with the verb that follows, and the pronoun for them."""
    match limit.of:
        case "flow":
            return "This flow has", "it"
        case "address":
            return "Your network has", "it"
        case "person" | "visitor":
            return "You have", "you"
