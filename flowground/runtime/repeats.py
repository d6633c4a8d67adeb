"""What a repeated request finds of the first one with its idempotency key: its turn, or what that told."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from flowground.caller import Owner
from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.errors import FlowgroundError
from flowground.events import Event
from flowground.interruptions import Interruptions
from flowground.repeatable_run import AnswerGone, IdempotencyKeyReused, RunInterrupted, RunUnfinished
from flowground.runtime.live_turn import LiveTurn
from flowground.runtime.turn_log import NumberedEvent
from flowground.store import Store
from flowground.store.runs import idempotency_keys
from flowground.store.runs.idempotency_keys import IdempotencyKey, KeptRun
from flowground.store.runs.receipts import Receipt, read_receipt

_LOOK_SECONDS = 0.2
"""Between two looks at a run of another process, at first; each is longer than the one before, to a second."""
_MOST_WAITING = 50
"""Requests of one person, or token, that look so at once; one more is told at once that the run has no end yet."""


@dataclass(frozen=True, slots=True)
class ToldFlow:
    """A flow as it was when a stored run told its answer: no more of it than its messages are written with."""

    version: str = ""
    components: Mapping[str, type[Component]] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)
    streams_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shows_tools: bool = False


@dataclass(frozen=True, slots=True)
class ToldTurn:
    """A turn that has its end and is told again from the store; `failure` is why it has no answer."""

    run_id: str
    wired: ToldFlow
    events: tuple[tuple[int, Event], ...]
    failure: FlowgroundError | None

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:  # noqa: ARG002 - nothing is joined
        """As `LiveTurn.follow`."""
        for number, event in self.events:
            yield NumberedEvent(number, event)
        if self.failure:
            raise self.failure


@dataclass(frozen=True, slots=True)
class Repeats:
    """`find_live` finds the turn of this process that is a run, by the run's id; `seconds` is how long a request waits
    for a first one that is answered where it cannot be followed."""

    store: Store
    interruptions: Interruptions
    find_live: Callable[[str], LiveTurn | None]
    seconds: float
    _waiting: Counter[Owner] = field(default_factory=Counter)

    async def find_first(self, idempotency_key: IdempotencyKey, whose: Owner) -> LiveTurn | ToldTurn | None:
        """The first request's turn; None where the key is free. `whose` the key is.

        Raises IdempotencyKeyReused, RunUnfinished and AnswerGone.
        """
        found = await self._look(idempotency_key)
        if not isinstance(found, str):
            return found
        with self._count_waiting(found, whose):
            wait, end = _LOOK_SECONDS, asyncio.get_running_loop().time() + self.seconds
            while isinstance(found, str):
                if asyncio.get_running_loop().time() >= end:
                    raise RunUnfinished(found)
                await asyncio.sleep(wait)
                wait = min(1.0, 1.5 * wait)
                found = await self._look(idempotency_key)
        return found

    async def _look(self, idempotency_key: IdempotencyKey) -> LiveTurn | ToldTurn | str | None:
        """As `find_first`, without a wait: the run's id while it goes on and cannot be followed here."""
        gone = False
        while taken := await self.store.read(idempotency_keys.find_first_request, key_id=idempotency_key.id):
            if taken.digest != idempotency_key.digest:
                raise IdempotencyKeyReused
            if turn := self.find_live(taken.run_id):
                return turn
            kept = await self.store.read(idempotency_keys.find_kept_run, run_id=taken.run_id)
            if kept and kept.run.status == "running":
                if kept.run.holder == self.store.process.id or not await self.interruptions.end_left_runs():
                    return taken.run_id
            elif kept and kept.was_given_up:  # and its beginning came after that
                await self.store.write(idempotency_keys.release, key_id=idempotency_key.id, run_id=taken.run_id)
            elif kept and (told := _tell_again(kept)):
                return told
            elif gone:
                raise AnswerGone(taken.run_id)
            else:
                gone = True  # or its key was freed between the two looks
        return None

    @contextmanager
    def _count_waiting(self, run_id: str, whose: Owner) -> Iterator[None]:
        """Raises RunUnfinished where too many wait."""
        if self._waiting[whose] >= _MOST_WAITING:
            raise RunUnfinished(run_id)
        self._waiting[whose] += 1
        try:
            yield
        finally:
            self._waiting[whose] -= 1
            if not self._waiting[whose]:
                del self._waiting[whose]


def _tell_again(kept: KeptRun) -> ToldTurn | None:
    """None where it is not kept what the run answered."""
    receipt = read_receipt(kept)
    if receipt and COMPONENTS.keys() >= {*receipt.types.values()}:  # a package that added one may be gone
        return ToldTurn(kept.run.id, _show_flow(receipt), receipt.events, receipt.failure)
    if kept.run.status == "interrupted":
        return ToldTurn(kept.run.id, ToldFlow(), (), RunInterrupted(kept.run.id))
    return None


def _show_flow(receipt: Receipt) -> ToldFlow:
    return ToldFlow(
        version=receipt.version,
        components={name: COMPONENTS[kind] for name, kind in receipt.types.items()},
        display_names=receipt.names,
        streams_to={"": tuple(receipt.streamed)},
        shows_tools=receipt.shows_tools,
    )
