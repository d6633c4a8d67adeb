"""What admins switched off: new runs of it are refused and running ones ended, with a sentence that says why.

The switches stand in the database, and in memory here. While runs run in this process it looks every two seconds
whether another one has changed them, wants a run stopped, or was told what a person decided. A process without runs
looks once it is used again.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from flowground.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.errors import (
    EndedByAdmin,
    FlowSwitchedOff,
    ProviderSwitchedOff,
    RequestError,
    RunStopped,
    StoppedByAdmin,
    StoreUnavailable,
)
from flowground.providers import Providers
from flowground.runner.approvals import NothingWaits
from flowground.running import RunningRuns
from flowground.store import Store
from flowground.store.flows import switches
from flowground.store.flows.switches import Switch, SwitchKind
from flowground.store.runs import passed_decisions, stop_requests
from flowground.store.runs.passed_decisions import Outcome, PassedDecision
from flowground.store.runs.stop_requests import StopKind
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow

_SECONDS = 2.0
_FRESH = 1.5
"""What was read so long ago counts as long as this many times the seconds between two looks."""


class Switches:
    """Of one process; all but `find_off` belongs to the runtime's loop. `seconds` is the time between two looks."""

    def __init__(self, store: Store, running: RunningRuns, models: Providers, *, seconds: float = _SECONDS) -> None:
        self._store, self._running, self._models = store, running, models
        self._seconds = seconds
        self._off: Mapping[tuple[SwitchKind, str], Switch] = {}
        self._changed = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Is called after something was switched off or on, once the runs of it are being ended."""
        models.is_off = self._is_provider_off
        self._looked = -float("inf")
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Makes sure that what is off is known, but for what another process changed within the last seconds.

        Reads nothing while runs run in this process: then it looks by itself.
        """
        if self.is_stale:
            async with self._lock:
                if self.is_stale:  # else whoever waited before has looked
                    await self._look()

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` would read."""
        return time.monotonic() - self._looked > _FRESH * self._seconds

    def refuse(self, wired: WiredFlow) -> None:
        """Raises EndedByAdmin where a run that is about to begin, of the flow as it is tweaked, may not."""
        self._set_timer()
        if why := self.find_off(wired):
            raise why

    def find_off(
        self, wired: WiredFlow, request: RunRequest | None = None, caller: Caller = LOCAL_OWNER
    ) -> EndedByAdmin | None:
        """What is told instead of an answer where the flow is off, or a provider that it asks with these tweaks.

        From any thread. What is wrong with a tweak is said where the turn begins.
        """
        off = self._off
        if not off:
            return None
        if request and request.tweaks:
            with suppress(RequestError):
                wired = apply_tweaks(wired, request, unknown="warn", caller=caller).wired
        if switch := off.get(("flow", wired.id)):
            return FlowSwitchedOff(switch.says)
        for inner in wired.inner_flows.values():
            if switch := off.get(("flow", inner.id)):
                return FlowSwitchedOff(switch.says)
        for _, model in wired.list_models():
            if switch := off.get(("provider", self._models.name_provider(model))):
                return ProviderSwitchedOff(switch.says)
        return None

    def _is_provider_off(self, name: str) -> bool:
        return ("provider", name) in self._off

    def _find_off_fallback(self, asked: Collection[str]) -> EndedByAdmin | None:
        switch = next((switch for name in asked if (switch := self._off.get(("provider", name)))), None)
        return ProviderSwitchedOff(switch.says) if switch else None

    async def wait_for_off(
        self,
        wired: WiredFlow,
        request: RunRequest,
        caller: Caller,
        left: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> EndedByAdmin | None:
        """For whoever waits for a place: what `find_off` finds, once it finds something; None once `left` returns."""
        leaving = asyncio.ensure_future(left()) if left else None
        try:
            while not (leaving and leaving.done()):
                if off := self.find_off(wired, request, caller):
                    return off
                await self._wait_for_change(leaving)
            return None
        finally:
            if leaving:
                leaving.cancel()

    async def _wait_for_change(self, leaving: asyncio.Future[Any] | None) -> None:
        change = asyncio.ensure_future(self._changed.wait())
        awaited: set[asyncio.Future[Any]] = {change, leaving} if leaving else {change}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()

    async def switch_off(self, kind: SwitchKind, name: str, *, says: str, by: str) -> None:
        """Ends what runs of it: here at once, in other processes within seconds."""
        await self._store.write(switches.switch_off, kind=kind, name=name, says=says, by=by)
        await self._look_again()

    async def switch_on(self, kind: SwitchKind, name: str, *, by: str) -> bool:
        """False when it was on."""
        was_off = await self._store.write(switches.switch_on, kind=kind, name=name, by=by)
        await self._look_again()
        return was_off

    async def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._looking:
            await asyncio.wait([self._looking])

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._begin_look)

    def _begin_look(self) -> None:
        self._timer = None
        if self._running.list_runs():
            self._set_timer()
            if self._looking is None or self._looking.done():
                self._looking = asyncio.ensure_future(self._look_again())

    async def _look_again(self) -> None:
        async with self._lock:
            await self._look()

    async def _look(self) -> None:
        """Heeds what is asked for. While the database does not answer, what was known before counts."""
        with suppress(StoreUnavailable):
            orders = await self._store.read(stop_requests.read_orders, holder=self._running.holder)
            self._apply(orders.off, orders.stops)
            if outcomes := {passed: self._take_decision(passed) for passed in orders.decisions}:
                await self._store.write(passed_decisions.note_outcomes, outcomes=outcomes)
        self._looked = time.monotonic()

    def _take_decision(self, passed: PassedDecision) -> Outcome:
        try:
            return "taken" if self._running.decide(*passed) else "nothing_waits"
        except NothingWaits:
            return "nothing_waits"

    def _apply(self, off: Sequence[Switch], stops: Mapping[str, StopKind]) -> None:
        for run_id, kind in stops.items():
            self._running.end_early(run_id, StoppedByAdmin() if kind == "admin" else RunStopped())
        known = {(switch.kind, switch.name): switch for switch in off}
        if known == self._off:
            return
        self._off = known
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        told: dict[int, EndedByAdmin | None] = {}  # many runs are of one flow, which may be large
        for run_id, run in self._running.list_runs().items():
            if id(run.wired) not in told:
                told[id(run.wired)] = self.find_off(run.wired)
            if why := told[id(run.wired)] or self._find_off_fallback(run.asked_instead):
                self._running.end_early(run_id, why)
        self.on_change()
