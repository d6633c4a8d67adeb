"""What a run and the flows that it runs have together, and where in it a tool is called."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from flowground.components.base import History, Models, Outside
from flowground.components.knowledge import Retrieve
from flowground.errors import ProviderError
from flowground.runner.approvals import Approvals
from flowground.runner.breath import Breath
from flowground.runner.budget import RunBudget
from flowground.runner.inner import find_answer
from flowground.runner.joins import Join
from flowground.runner.passages import RunPassages
from flowground.settings import Limits
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class RunScope:
    """Of one run. `wired` is the flow that was asked for.

    `time_zone` is the name of that of who asks. `timeout` ends all of it when it takes too long; `started` is when it
    began, by the clock of `perf_counter`.
    """

    wired: WiredFlow
    history: History
    models: Models
    outside: Outside
    timeout: asyncio.Timeout
    sees_inside: bool
    limits: Limits
    budget: RunBudget
    started: float
    approvals: Approvals
    time_zone: str
    breath: Breath
    passages: RunPassages = field(default_factory=RunPassages)
    said: dict[str, int] = field(default_factory=dict)
    """Characters that each output of `wired` has said so far."""
    joins: dict[str, Join] = field(default_factory=dict)
    """Of the outputs of `wired` that join what several components say."""
    fetched: list[float] = field(default_factory=list)
    """When weights were first waited for, and when last; by the clock of `perf_counter`."""

    def count_said(self, component_id: str) -> int:
        """Characters of the answer so far, where it is this component's that is streamed, and its turn to speak."""
        answer = find_answer(self.wired)
        if answer in self.joins and not self.joins[answer].is_turn_of(component_id):
            return 0
        return self.said.get(answer, 0) if answer in self.wired.streams_to.get(component_id, ()) else 0

    def note_fetch(self) -> float:
        """Weights are waited for, or are there: when it is."""
        now = time.perf_counter()
        self.fetched[1:] = [now]  # the first one stays
        return now

    def count_seconds(self) -> float:
        """Since the run began, without the time for which it waited for people or weights."""
        fetched = self.fetched[-1] - self.fetched[0] if self.fetched else 0
        return time.perf_counter() - self.started - self.approvals.stood - fetched

    async def breathe(self) -> None:
        """Others go on; this run does in a later turn of the loop."""
        self.budget.breaths += 1
        await self.breath.wait(self.budget.breaths)

    def find_passage_room(self) -> int:
        """Bytes of passages that each Retrieve gives, where all models that the run may ask read slowly; else 0."""
        flows = (self.wired, *self.wired.inner_flows.values())
        looking = sum(isinstance(one, Retrieve) for flow in flows for one in flow.components.values())
        rooms: list[int] = []
        for _, asked in self.wired.list_models():
            try:
                provider, model = self.models.resolve(asked)
            except ProviderError:
                return 0
            rooms.append(provider.takes(model).passage_bytes)
        return max(rooms, default=0) // max(1, looking) if all(rooms) else 0

    def restart_timeout(self) -> None:
        """Half a gigabyte of weights may take longer than any answer: the run's time begins when they are there."""
        if self.limits.run_seconds:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.run_seconds)


class Within(NamedTuple):
    """The number of the call within which a component runs as a tool, and the agents that led there."""

    call: int | None
    agents: tuple[str, ...] = ()
