"""Turns that run by themselves: each follower gets all events from the first, whenever it comes and goes.

Turns of `?stream=sse` can be followed again while they run and for a while after. A request that repeats an idempotency
key gets the turn of the first request, or its stored events.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.errors import FlowgroundError, UnexpectedFailure
from flowground.core.events import Event, TurnStarted, fold
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import Journal
from flowground.runs.repeatable_run import AnswerGone, IdempotencyKeyReused, RunInterrupted, RunUnfinished
from flowground.store import Store
from flowground.store.runs import idempotency
from flowground.store.runs.idempotency import IdempotencyKey, KeptRun
from flowground.store.runs.journals import read_journal

_log = logging.getLogger(__name__)
_FIRST_SECONDS = 30.0
"""Seconds for which a turn waits for its first follower at least: a response takes a moment to begin."""
_MOST_ENDED_CHARS = 30_000_000
"""Characters of all ended turns. Running turns are bounded by the number of runs."""
_TURN_CHARS = 15_000
"""Characters that each ended turn counts as, beside its events."""
_POLL_SECONDS = 0.2
"""Seconds before the first poll of a run of another process; each wait is longer than the last, up to a second."""
_MOST_WAITING = 50
"""Requests of one person or token that poll at once; a further one gets RunUnfinished at once."""


class LiveTurn:
    """A running turn that does not depend on its followers; it knows its caller, flow and request."""

    def __init__(
        self,
        caller: Caller,
        wired: WiredFlow,
        request: RunRequest,
        events: AsyncGenerator[Event, None],
        journal: Journal,
        stop_error: Callable[[], FlowgroundError],
        *,
        alone_seconds: float | None = None,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Begins at once; the turn writes its `events` into the `journal`, which the end of both ends.

        `stop_error` makes the error for followers of a cancelled turn. `alone_seconds` is how long the turn goes on
        without followers; None: to its end. `admit` is awaited before anything else.
        """
        self.caller, self.wired, self.request = caller, wired, request
        self.on_start: Callable[[TurnStarted], None] = lambda _: None
        """Called with the first event. Set it at once."""
        self.started: TurnStarted | None = None
        """The first event; None before it."""
        self._events, self.journal = events, journal
        self._admit = admit
        self.is_waiting = admit is not None
        """Whether `admit` has not returned yet."""
        self._stop_error = stop_error
        self._alone_seconds = alone_seconds
        self._begun = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None
        self.task = asyncio.ensure_future(self._take())
        self.task.add_done_callback(self._end_unbegun)
        self._wait_for_followers(at_least=_FIRST_SECONDS)

    @property
    def is_done(self) -> bool:
        return self.task.done()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; its text so far is kept. Call this on the runtime's loop."""
        self.task.cancel()

    async def wait_for_begin(self) -> FlowgroundError | None:
        """Waits until the turn's message is stored or the turn has ended; returns the error of a turn that failed."""
        await self._begun.wait()
        return self.journal.error

    async def follow(self) -> AsyncGenerator[Event, None]:
        """As `Journal.follow`, event by event from the first; raises RunStopped, EndedByAdmin or ShuttingDown where the
        turn was ended early."""
        if self._leaving:
            self._leaving.cancel()
        try:
            async with aclosing(self.journal.follow()) as batches:
                async for batch in batches:
                    for item in batch:
                        yield item.event
        finally:
            self._wait_for_followers()

    def _wait_for_followers(self, *, at_least: float = 0) -> None:
        """Stops the turn where nobody follows it within `alone_seconds`."""
        if self._alone_seconds is not None and not self.is_done and not self.journal.followers:
            seconds = max(self._alone_seconds, at_least)
            self._leaving = asyncio.get_running_loop().call_later(seconds, self._stop_if_alone)

    def _stop_if_alone(self) -> None:
        if not self.journal.followers:
            self.stop()

    def _end_unbegun(self, _: asyncio.Task[None]) -> None:
        """Ends the log of a task that was cancelled before its first step."""
        if not self._begun.is_set():
            self.journal.end(self._stop_error())
            self._begun.set()

    async def _take(self) -> None:
        error: FlowgroundError | None = None
        try:
            if self._admit:
                await self._admit()
                self.is_waiting = False
            async with aclosing(self._events) as events:
                async for event in events:
                    if isinstance(event, TurnStarted):
                        self.started = event
                        self.on_start(event)
                        needless: dict[str, Any] = {"tweaks": {}, "kept_overrides": {}}
                        self.request = replace(self.request, session_id=event.session_id, **needless)
                        self._begun.set()
        except asyncio.CancelledError:
            error = self._stop_error()
            raise
        except FlowgroundError as failure:
            error = failure
        except Exception as unexpected:  # noqa: BLE001 - followers get an error, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=unexpected)
            error = UnexpectedFailure()
        finally:
            self.journal.end(error)
            self._begun.set()


class StreamTurns:
    """The stream turns of one process, on its loop. Beyond the bound, whoever keeps most loses the oldest ended
    turn."""

    def __init__(self) -> None:
        self._turns: dict[str, LiveTurn] = {}
        self._ended: dict[str, LiveTurn] = {}
        """Ended turns by run id, in the order in which they ended."""
        self._chars = Counter[Owner]()
        """Characters of ended turns, by caller."""

    def add(self, run_id: str, turn: LiveTurn, *, keep_seconds: float) -> None:
        """Keeps a turn that has begun, until `keep_seconds` after its end."""
        self._turns[run_id] = turn
        turn.task.add_done_callback(lambda _: self._note_end(run_id, keep_seconds))

    def find(self, run_id: str) -> LiveTurn | None:
        return self._turns.get(run_id)

    def forget(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """Forgets ended turns of these owners, in these flows and with this session id; None: any."""
        for run_id, turn in [*self._ended.items()]:
            is_meant = (flows is None or turn.wired.id in flows) and session_id in (None, turn.request.session_id)
            if is_meant and str(turn.caller.owner) in owners:
                self._forget(run_id)

    def _note_end(self, run_id: str, keep_seconds: float) -> None:
        turn = self._ended[run_id] = self._turns[run_id]
        self._chars[turn.caller.counted_as] += _TURN_CHARS + turn.journal.size
        asyncio.get_running_loop().call_later(keep_seconds, self._forget, run_id)
        while self._chars.total() > _MOST_ENDED_CHARS:
            most = max(self._chars, key=self._chars.__getitem__)
            self._forget(next(run for run, turn in self._ended.items() if turn.caller.counted_as == most))

    def _forget(self, run_id: str) -> None:
        turn = self._ended.pop(run_id, None)
        if turn is None:
            return
        del self._turns[run_id]
        whose = turn.caller.counted_as
        self._chars[whose] -= _TURN_CHARS + turn.journal.size
        if not self._chars[whose]:
            del self._chars[whose]


@dataclass(frozen=True, slots=True)
class ReplayedFlow:
    """A flow as it was when a stored run ended: what its messages are encoded with."""

    version: str = ""
    components: Mapping[str, type[Component]] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)
    streams_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shows_tools: bool = False


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """An ended turn that is replayed from the store; `failure` is why it has no answer."""

    run_id: str
    wired: ReplayedFlow
    events: Sequence[Event]
    failure: FlowgroundError | None

    async def follow(self) -> AsyncGenerator[Event, None]:
        """As `LiveTurn.follow`."""
        for event in self.events:
            yield event
        if self.failure:
            raise self.failure


@dataclass(frozen=True, slots=True)
class IdempotencyCache:
    """Finds the first request with an idempotency key. `find_live` finds a turn of this process by its run id;
    `seconds` is how long a repeat waits for a first request that another process answers."""

    store: Store
    find_live: Callable[[str], LiveTurn | None]
    seconds: float
    _waiting: Counter[Owner] = field(default_factory=Counter)

    async def find_first(self, idempotency_key: IdempotencyKey, whose: Owner) -> LiveTurn | ReplayedTurn | None:
        """The first request's turn; None where the key is free. `whose` is the owner of the key.

        Raises IdempotencyKeyReused, RunUnfinished and AnswerGone.
        """
        found = await self._find(idempotency_key)
        if not isinstance(found, str):
            return found
        if self._waiting[whose] >= _MOST_WAITING:
            raise RunUnfinished(found)
        self._waiting[whose] += 1
        try:
            wait, end = _POLL_SECONDS, asyncio.get_running_loop().time() + self.seconds
            while isinstance(found, str):
                if asyncio.get_running_loop().time() >= end:
                    raise RunUnfinished(found)
                await asyncio.sleep(wait)
                wait = min(1.0, 1.5 * wait)
                found = await self._find(idempotency_key)
        finally:
            self._waiting[whose] -= 1
            if not self._waiting[whose]:
                del self._waiting[whose]
        return found

    async def _find(self, idempotency_key: IdempotencyKey) -> LiveTurn | ReplayedTurn | str | None:
        """As `find_first` without waiting; the run's id while it goes on in another process."""
        gone = False
        while taken := await self.store.read(idempotency.find_first_request, key_id=idempotency_key.id):
            if taken.digest != idempotency_key.digest:
                raise IdempotencyKeyReused
            if turn := self.find_live(taken.run_id):
                return turn
            kept = await self.store.read(idempotency.find_kept_run, run_id=taken.run_id)
            if kept and kept.run.status == "running":
                return taken.run_id
            if kept and kept.was_given_up:  # its begin was stored after it was given up
                await self.store.write(idempotency.release, key_id=idempotency_key.id, run_id=taken.run_id)
            elif kept and (replayed := replay(kept)):
                return replayed
            elif gone:
                raise AnswerGone(taken.run_id)
            else:
                gone = True  # or its key was freed between the two reads
        return None


def replay(kept: KeptRun) -> ReplayedTurn | None:
    """The ended turn of a stored run; None where its answer was not kept."""
    read = read_journal(kept.journal, kept.messages, kept.run) if kept.journal else None
    view = fold(read.events) if read and read.is_whole else None
    if read and view and view.started:
        types = {name: result.type for name, result in view.finished.results.items()} if view.finished else {}
        if COMPONENTS.keys() >= {*types.values()}:  # a package that added one may be gone
            wired = ReplayedFlow(
                version=kept.run.flow_version,
                components={name: COMPONENTS[kind] for name, kind in types.items()},
                display_names=read.names,
                streams_to={"": view.started.streamed},
                shows_tools=view.started.shows_tools,
            )
            return ReplayedTurn(kept.run.id, wired, read.events, read.failure)
    if kept.run.status == "interrupted":
        return ReplayedTurn(kept.run.id, ReplayedFlow(), (), RunInterrupted(kept.run.id))
    return None
