"""On what terms a turn is taken: who may refuse it, what counts it, by which key it is known again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowground.messages import Usage
from flowground.repeatable_run import RepeatableRun
from flowground.running import ChatAllowances
from flowground.store.runs.records import RunCounts
from flowground.wiring import WiredFlow


class CountedRun(Protocol):
    """A run as limits count it."""

    counts: RunCounts

    def end(self, used: Sequence[tuple[str | None, Usage]], *, size: int) -> RunCounts:
        """Told once what the run's models counted, by the names that they were asked by (None: the default), and how
        many bytes are stored of it; by what limits find its row again."""


@dataclass(frozen=True, slots=True)
class TurnTerms:
    """`refuse` raises where the flow may not run, as it is tweaked; `count` is told what the run used; `repeatable`
    takes an idempotency key for it, and raises IdempotencyKeyTaken, with nothing stored, where another run has that.
    `chats` is there where a person may be asked whether a tool is called: what they allowed before.
    """

    refuse: Callable[[WiredFlow], None] = lambda _: None
    count: CountedRun | None = None
    repeatable: RepeatableRun | None = None
    chats: ChatAllowances | None = None
