"""Calls of tools that wait until a person allows them, of one run: no tool runs before."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowground.errors import InvalidRequest, ToolNotCalled
from flowground.events import ToolCalled, ToolWaits
from flowground.messages import Decision
from flowground.store.sql import spell_json

LONGEST_ASKED = 20_000
"""Characters of arguments that a person is shown; a call with longer ones is refused."""
_NOBODY = "Nobody is there who could allow it, so it was not called."
_TOO_LONG = f"Its arguments are longer than the {LONGEST_ASKED:,} characters that a person can be asked about."


class CallRefused(ToolNotCalled):
    """A tool was not called: a person refused it, did not answer, or is not there."""


class NothingWaits(InvalidRequest):
    """What was decided about waits for nobody: it never did, has its end, or had other arguments."""

    code = "nothing_waits"

    def __init__(self) -> None:
        super().__init__("No call of this run waits with that number and digest.", hint="Look again at what waits.")


class Allowances(Protocol):
    """Tools that a person has allowed for the rest of a chat."""

    def is_allowed(self, tool: str) -> bool:
        """Whether it need not be asked about."""

    def allow(self, tool: str) -> None:
        """From now on."""


@dataclass(slots=True)
class Approvals:
    """Of one run. Without `allowances` nobody is there to be asked; `seconds` is how long one is waited for.

    While calls wait, the run's time stands still.
    """

    seconds: float
    allowances: Allowances | None = None
    waiting: dict[int, tuple[ToolWaits, "asyncio.Future[Decision]"]] = field(default_factory=dict)
    stood: float = 0
    """Seconds for which the run's time stood still."""
    _stands: tuple[float | None, float] = (None, 0)
    """When the run's time would have ended, and since when it stands still."""

    def begin(
        self,
        called: ToolCalled,
        arguments: Mapping[str, Any],
        *,
        flow: str,
        sends: str | None,
        is_always_asked: bool,
    ) -> ToolWaits | None:
        """The call waits from now on; None where the tool is allowed already. `sends` as `Component.show_call` says.

        `is_always_asked`: it never is. Raises CallRefused.
        """
        if self.allowances is None:
            raise CallRefused(_NOBODY)
        if not is_always_asked and self.allowances.is_allowed(_name_tool(flow, called)):
            return None
        written = spell_json(dict(arguments), is_sorted=True)
        if max(len(written), len(sends or "")) > LONGEST_ASKED:
            raise CallRefused(_TOO_LONG)
        asked = (_name_tool(flow, called), str(called.number), written, *([] if sends is None else [sends]))
        digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()
        waits = ToolWaits(called, written, digest, time.time() + self.seconds, False, sends, is_always_asked)
        self.waiting[called.number] = waits, asyncio.get_running_loop().create_future()
        return waits

    async def wait(self, waits: ToolWaits, *, flow: str, clock: asyncio.Timeout) -> None:
        """Returns once it was allowed. Raises CallRefused."""
        number = waits.called.number
        _, decided = self.waiting[number]
        self._stop_clock(clock)
        try:
            decision = await asyncio.wait_for(decided, self.seconds)
        except TimeoutError:
            raise CallRefused("Nobody allowed it in time, so it was not called.") from None
        finally:
            del self.waiting[number]
            self._start_clock(clock)
        if decision == "refuse":
            raise CallRefused("The person refused it, so it was not called. Do not try it again.")
        if decision == "chat" and self.allowances and not waits.is_always_asked:
            self.allowances.allow(_name_tool(flow, waits.called))

    def decide(self, number: int, digest: str, decision: Decision) -> None:
        """Raises NothingWaits."""
        waits, decided = self.waiting.get(number, (None, None))
        if waits is None or decided is None or decided.done() or waits.digest != digest:
            raise NothingWaits
        decided.set_result(decision)

    def list_waiting(self) -> list[ToolWaits]:
        """What waits just now."""
        return [waits for waits, decided in self.waiting.values() if not decided.done()]

    def _stop_clock(self, clock: asyncio.Timeout) -> None:
        if len(self.waiting) == 1:
            self._stands = clock.when(), asyncio.get_running_loop().time()
            clock.reschedule(None)

    def _start_clock(self, clock: asyncio.Timeout) -> None:
        if self.waiting:
            return
        end, since = self._stands
        stood = asyncio.get_running_loop().time() - since
        self.stood += stood
        if end is not None:
            clock.reschedule(end + stood)


def _name_tool(flow: str, called: ToolCalled) -> str:
    """One tool, of several that a component stands for too, under the name that a person is shown."""
    return "\n".join((flow, called.tool, called.name, called.label))
