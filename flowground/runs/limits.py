"""Counts runs against limits, for pages, *Try it* and the API: may this caller start a run now?

`meter.list_limits` is the table of limits, `store.runs.counters` what they count. The caller's limits are checked
first, then the flow's; what a limit refuses is not counted, a run that it lets in is, however it ends. A request counts
in its minute, in this process, as soon as the caller is known, also a repeat or a guess; the transaction that begins
its run checks all limits again and counts it for all processes.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from flowground.core.caller import Caller
from flowground.core.errors import RunLimitReached
from flowground.core.messages import Usage
from flowground.core.words import count, write_size
from flowground.runs.meter import MOST_REMEMBERED, Limit, Remaining, StoredBytes, list_limits
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import counters
from flowground.store.runs.counters import DAY, MINUTE, CountedRun, Counter, Used
from flowground.store.runs.records import RunCounts

KeyedLimit = tuple[Limit, Counter]
_MOST_FLOWS = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute: `left` of `limit` runs, and whole `seconds` until the limit resets."""

    limit: int
    left: int
    seconds: int


class RunLimits:
    """All limits of one process, on the loop. `now` gives seconds since 1970; `secret` makes digests of addresses that
    nobody else can make."""

    def __init__(
        self, settings: Settings, store: Store, *, secret: str = "", now: Callable[[], float] = time.time
    ) -> None:
        self.store, self._secret, self.now = store, secret.encode()[:64], now
        limits = list_limits(settings)
        self._of_people = [limit for limit in limits if limit.of == "person"]
        self._of_programs = [limit for limit in self._of_people if limit.what != "page_runs_per_minute"]
        self._of_visitors = [limit for limit in limits if limit.of == "visitor"]
        self._of_addresses = [limit for limit in limits if limit.of == "address"]
        self._of_flows_for_visitors = [limit for limit in limits if limit.of == "flow"]
        self._of_flows = [limit for limit in self._of_flows_for_visitors if limit.what != "visitor_runs_per_day"]
        most = next((limit.most for limit in limits if limit.window == "stored"), 0)
        self.stored = StoredBytes(store, now=now, most=most)
        self._asked: dict[Counter, tuple[float, int]] = {}
        """Requests of this minute whose runs have not begun, and when the minute ends."""
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
        own = self._list_own(caller, at_page=at_page)
        of_flows = [keyed for flow_id in sorted(flows)[:_MOST_FLOWS] for keyed in self.list_of_flow(flow_id, caller)]
        used = await self.read([*own, *of_flows])
        found = [self.measure(limit, counter, used) for limit, counter in own]
        return found + [replace(self.measure(limit, one, used), flow_id=one.key) for limit, one in of_flows]

    async def read(self, limits: Sequence[KeyedLimit]) -> dict[Counter, Used]:
        """What was used of these limits."""
        used: dict[Counter, Used] = {}
        stored = {counter for _, counter in limits if counter.window == "stored"}
        if rows := {counter for _, counter in limits} - stored:
            used = await self.store.read(counters.read, counters=rows, now=self.now())
        return used | {counter: Used(bytes=await self.stored.read(counter.key)) for counter in stored}

    def measure(self, limit: Limit, counter: Counter, used: Mapping[Counter, Used]) -> Remaining:
        """What is left of a limit, with the requests of this process."""
        ends, asked = self._find_asked(counter)
        found = used[counter]
        return limit.measure(found if found.at or not asked else replace(found, at=ends), self.now(), asked=asked)

    def ask(self, counter: Counter, number: int) -> None:
        """Adds to the requests of this minute whose runs have not begun."""
        ends, asked = self._find_asked(counter)
        self._asked.pop(counter, None)
        if asked + number > 0:
            if len(self._asked) >= MOST_REMEMBERED:
                del self._asked[next(iter(self._asked))]
            self._asked[counter] = ends, asked + number

    def _find_asked(self, counter: Counter) -> tuple[float, int]:
        ends, asked = self._asked.get(counter, (0.0, 0))
        return (ends, asked) if ends > self.now() else (self.now() + MINUTE, 0)

    def list_of_flow(self, flow_id: str, caller: Caller) -> list[KeyedLimit]:
        return [(limit, limit.find_counter(flow_id)) for limit in self.list_for_flows(caller)]

    def list_for_flows(self, caller: Caller) -> Sequence[Limit]:
        """The limits of flows that apply to this caller."""
        return self._of_flows_for_visitors if caller.kind == "visitor" else self._of_flows

    def sum_cost(self, used: Iterable[tuple[str | None, Usage]]) -> float | None:
        """The cost of usage by model name (None: the default model); None where no prices are configured."""
        return self._prices.sum_cost(used, self._default_model)

    def _list_own(self, caller: Caller, *, at_page: bool, came_from: str = "") -> list[KeyedLimit]:
        """The caller's own limits. The local owner has no page limit: the model is their own."""
        if caller.kind != "visitor":
            limits = self._of_people if at_page and caller.kind != "local" else self._of_programs
            return [(limit, limit.find_counter(str(caller.counted_as))) for limit in limits]
        own = [(limit, limit.find_counter(str(caller.owner))) for limit in self._of_visitors]
        if came_from and self._of_addresses:
            address = self._digest(came_from)
            own += [(limit, limit.find_counter(address)) for limit in self._of_addresses]
        return own

    def _digest(self, address: str) -> str:
        """A digest that identifies an address for one day, and from which the address cannot be found."""
        day = int(self.now() // DAY)
        return blake2b(f"{day} {address}".encode(), key=self._secret, digest_size=16).hexdigest()


class RunCount:
    """One run as limits count it."""

    def __init__(self, limits: RunLimits, caller: Caller, own: Sequence[KeyedLimit]) -> None:
        self._limits = limits
        self._caller = caller
        self._own, self._of_flow = list(own), list[KeyedLimit]()
        self._used: dict[Counter, Used] = {}
        self._asked: list[Counter] = []
        keys = {limit.of: counter.key for limit, counter in own}
        self.counts = RunCounts(keys.get("person") or keys.get("visitor"), keys.get("address"))
        """The keys by which limits find the run's row."""

    async def read(self, flow_id: str | None = None) -> None:
        """Reads what the caller used before, or what the flow did. Await this before `count_request`."""
        if flow_id is not None:
            self._of_flow = self._limits.list_of_flow(flow_id, self._caller)
        self._used |= await self._limits.read(self._own if flow_id is None else self._of_flow)

    def count_request(self, *, is_for_flow: bool = False) -> None:
        """Counts the request in the minute of the caller, or of the flow. Raises RunLimitReached; then nothing is
        counted."""
        asked = [one for one in (self._of_flow if is_for_flow else self._own) if one[1].window == "minute"]
        self._check(asked)
        for _, counter in asked:
            self._limits.ask(counter, 1)
            self._asked.append(counter)

    def check_run(self) -> None:
        """Checks all limits but minutes, for the caller and the flow; raises as `count_request`."""
        self._check([one for one in (*self._own, *self._of_flow) if one[1].window != "minute"])

    def begin(self) -> CountedRun | None:
        """What the transaction that begins the run checks and counts, in place of the request; None: nothing."""
        self.undo()
        counted = {counter for _, counter in (*self._own, *self._of_flow) if counter.window != "stored"}
        return CountedRun(sorted(counted), self._limits.now(), Used(runs=1), self._refuse) if counted else None

    def _check(self, limits: Sequence[KeyedLimit]) -> None:
        for limit, counter in limits:
            found = self._limits.measure(limit, counter, self._used)
            if found.left <= 0 or (limit.unit == "runs" and found.left < 1):
                self.undo()
                raise limit_reached_error(found, self._caller, currency=self._limits.currency)

    def _refuse(self, used: Mapping[Counter, Used]) -> None:
        """Checks what the transaction read, on its thread."""
        for limit, counter in (*self._own, *self._of_flow):
            if counter in used and (found := limit.measure(used[counter], self._limits.now())).left <= 0:
                raise limit_reached_error(found, self._caller, currency=self._limits.currency)

    @property
    def allowance(self) -> Allowance | None:
        """What is left of the token's minute; None without such a limit."""
        for limit, counter in self._own:
            if limit.what == "runs_per_minute" and limit.of == "person":
                found = self._limits.measure(limit, counter, self._used)
                return Allowance(int(limit.most), int(found.left), found.resets_in or 0)
        return None

    def undo(self) -> None:
        """Uncounts a request that was refused after all."""
        for counter in self._asked:
            self._limits.ask(counter, -1)
        self._asked = []

    def end(self, used: Sequence[tuple[str | None, Usage]], *, size: int) -> tuple[RunCounts, CountedRun | None]:
        """What the run used: the keys by which limits find its row, with its cost, and what the transaction that ends
        it counts. Call this once.

        `used` is the usage by model name; `size` the bytes that are stored of the run.
        """
        cost = self._limits.sum_cost(used)
        limits = (*self._own, *self._of_flow)
        for _, counter in limits:
            if counter.window == "stored":
                self._limits.stored.add(counter.key, size)
        spent = Used(tokens=sum(usage.total_tokens for _, usage in used), money=cost or 0.0)
        days = {counter for limit, counter in limits if limit.window == "day" and limit.unit != "runs"}
        counted = CountedRun(sorted(days), self._limits.now(), spent) if days else None
        return replace(self.counts, cost=cost), counted


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
                f"Your conversations take up {write_size(found.used)}; {write_size(limit.most)} is the limit.",
                code="storage_limit_reached",
                hint="Delete conversations that you no longer need, then send this one.",
            )
    subject, pronoun = _name_subject(limit)
    return _day_error(found, f"{subject} used the {used} that {pronoun} may use a day; the limit resets")


def write_reset(found: Remaining) -> str:
    """When the limit resets: "in 40 s", "at 00:00 UTC, in 5 h"; "" where it does not reset with time."""
    if found.resets_in is None:
        return ""
    if found.limit.window != "day":
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
