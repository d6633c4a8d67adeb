"""Turns that run by themselves: each follower gets all events from the first, whenever it comes and goes.

Turns of `?stream=sse` can be followed again while they run and for a while after. A request that repeats an idempotency
key gets the turn of the first request, or its stored events.
"""

import asyncio
import logging
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import assert_never

from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.errors import FlowgroundError, UnexpectedFailure
from flowground.core.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)
from flowground.flows.wiring import WiredFlow
from flowground.runs.repeatable_run import AnswerGone, IdempotencyKeyReused, RunInterrupted, RunUnfinished
from flowground.runs.running import Interruptions
from flowground.store import Store
from flowground.store.runs import receipts
from flowground.store.runs.receipts import IdempotencyKey, KeptRun, read_receipt

_log = logging.getLogger(__name__)
_MOST_CHARS = 2048
"""Pieces of text are joined up to this many characters: a list of small pieces takes much more memory."""
_MOST_PIECES = 64
"""Pieces that are kept before they are joined."""
_MOST_AT_ONCE = 1_000
"""Events in one list: making more would block the loop."""
_FIRST_SECONDS = 30.0
"""Seconds for which a turn waits for its first follower at least: a response takes a moment to begin."""
_MOST_ENDED_CHARS = 30_000_000
"""Characters of all ended turns. Running turns are bounded by the number of runs."""
_TURN_CHARS = 15_000
"""Characters that each ended turn counts as, beside its own."""
_POLL_SECONDS = 0.2
"""Seconds before the first poll of a run of another process; each wait is longer than the last, up to a second."""
_MOST_WAITING = 50
"""Requests of one person or token that poll at once; a further one gets RunUnfinished at once."""


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event and its number in the turn, from 1. Joined pieces of text have the number of the last piece."""

    number: int
    event: Event


@dataclass(slots=True)
class _JoinedText:
    """Neighbouring pieces of one answer's text."""

    component_id: str
    before: int
    """The number of the event before the first piece."""
    _pieces: list[str] = field(default_factory=list)
    _ends: "array[int]" = field(default_factory=lambda: array("I"))
    """Where each piece ends, in characters."""

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._ends.append(self.size + len(text))
        if len(self._pieces) > _MOST_PIECES:
            self._join()

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def last(self) -> int:
        """The number of the last piece."""
        return self.before + len(self._ends)

    def read(self, after: int, to: int) -> Token:
        """The pieces with the numbers from `after` + 1 to `to`, as one."""
        self._join()
        begins = self._ends[after - self.before - 1] if after > self.before else 0
        return Token(self.component_id, self._pieces[0][begins : self._ends[to - self.before - 1]])

    def _join(self) -> None:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]


class TurnLog:
    """The events of one turn so far, on its loop. The first piece of an answer is an event of its own, never joined.

    `is_exact`: no piece is joined, so that every follower gets the same events.
    """

    def __init__(self, *, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self.size = 0
        """About the number of characters in the log."""
        self._begun: set[str] = set()
        """Components whose answers have begun."""
        self._entries: list[NumberedEvent | _JoinedText] = []
        self._firsts: list[int] = []
        """The number of the event before each entry."""
        self._count = 0
        self._followers: set[asyncio.Event] = set()
        self._is_ended = False
        self.error: FlowgroundError | None = None
        """Why the ended turn has no answer; None where it has one."""

    @property
    def followers(self) -> int:
        """The number of present followers."""
        return len(self._followers)

    def add(self, event: Event) -> None:
        match event:
            case Token():
                self._add_text(event)
            case TurnFinished():
                self.size += sum(len(result.text) for result in event.results.values())
                self._append(NumberedEvent(self._count + 1, event))
            case ComponentFinished() | ToolReturned() | ModelThought():
                self.size += len(event.text)
                self._append(NumberedEvent(self._count + 1, event))
            case PassagesFound():
                self.size += sum(len(passage.text) for passage in event.passages)
                self._append(NumberedEvent(self._count + 1, event))
            case TurnStarted():
                self.size += len(event.input_value or "")
                self._append(NumberedEvent(self._count + 1, event))
            case ComponentStarted() | ModelProgress() | ToolCalled() | ToolWaits() | ThinkingBegan():
                self._append(NumberedEvent(self._count + 1, event))
            case _:
                assert_never(event)
        self._count += 1
        self._wake_followers()

    def end(self, error: FlowgroundError | None = None) -> None:
        """Ends the log; `error` is why the turn has no answer."""
        self._is_ended, self.error = True, error
        self._wake_followers()

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[list[NumberedEvent], None]:
        """Every event from the first, in lists of those that are there, to the turn's end; raises the error of a failed
        turn.

        Texts that this follower has not read yet come joined, unless the log is exact; never across the event with the
        number `split_after`.
        """
        after = 0
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                if batch := [*islice(self._read_after(after, split_after), _MOST_AT_ONCE)]:
                    after = batch[-1].number
                    yield batch
                elif self._is_ended:
                    break
                else:
                    await news.wait()
        finally:
            self._followers.discard(news)
        if self.error:
            raise self.error

    def list_events(self) -> list[Event]:
        """All events of an ended turn, neighbouring texts joined. From any thread."""
        return [item.event for item in self._read_after(0, 0)]

    def measure_texts(self, number: int) -> dict[str, int]:
        """Component -> characters of its answer in the events up to this number."""
        found = Counter[str]()
        for item in self._read_after(0, number):
            if item.number > number:
                break
            if isinstance(item.event, Token):
                found[item.event.component_id] += len(item.event.text)
        return found

    def _read_after(self, number: int, split_after: int) -> Iterator[NumberedEvent]:
        """The events after this number that are there now."""
        while item := self._read(number, split_after):
            number = item.number
            yield item

    def _read(self, after: int, split_after: int) -> NumberedEvent | None:
        """The next event after this number; None when there is none yet."""
        if after >= self._count:
            return None
        entry = self._entries[bisect_right(self._firsts, after) - 1]
        if isinstance(entry, NumberedEvent):
            return entry
        to = split_after if after < split_after < entry.last else entry.last
        if self._is_exact:
            to = after + 1
        return NumberedEvent(to, entry.read(after, to))

    def _add_text(self, token: Token) -> None:
        self.size += len(token.text)
        if token.component_id not in self._begun:
            self._begun.add(token.component_id)
            self._append(NumberedEvent(self._count + 1, token))
            return
        last = self._entries[-1] if self._entries else None
        if not isinstance(last, _JoinedText) or last.component_id != token.component_id or last.size >= _MOST_CHARS:
            self._append(last := _JoinedText(token.component_id, self._count))
        last.add(token.text)

    def _append(self, entry: NumberedEvent | _JoinedText) -> None:
        self._entries.append(entry)
        self._firsts.append(self._count)

    def _wake_followers(self) -> None:
        for follower in self._followers:
            follower.set()


class LiveTurn:
    """A running turn that does not depend on its followers; it knows its caller, flow and request."""

    def __init__(
        self,
        caller: Caller,
        wired: WiredFlow,
        request: RunRequest,
        events: AsyncGenerator[Event, None],
        stop_error: Callable[[], FlowgroundError],
        *,
        alone_seconds: float | None = None,
        admit: Callable[[], Awaitable[None]] | None = None,
        is_exact: bool = False,
    ) -> None:
        """Begins at once.

        `stop_error` makes the error for followers of a cancelled turn. `alone_seconds` is how long the turn goes on
        without followers; None: to its end. `admit` is awaited before anything else. `is_exact`: all followers get
        the same pieces of text.
        """
        self.caller, self.wired, self.request = caller, wired, request
        self.on_start: Callable[[TurnStarted], None] = lambda _: None
        """Called with the first event. Set it at once."""
        self.started: TurnStarted | None = None
        """The first event; None before it."""
        self._events = events
        self._admit = admit
        self.is_waiting = admit is not None
        """Whether `admit` has not returned yet."""
        self._stop_error = stop_error
        self._alone_seconds = alone_seconds
        self.log = TurnLog(is_exact=is_exact)
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
        return self.log.error

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """As `TurnLog.follow`, event by event; raises RunStopped, EndedByAdmin or ShuttingDown where the turn was ended
        early."""
        if self._leaving:
            self._leaving.cancel()
        try:
            async with aclosing(self.log.follow(split_after=split_after)) as batches:
                async for batch in batches:
                    for item in batch:
                        yield item
        finally:
            self._wait_for_followers()

    def _wait_for_followers(self, *, at_least: float = 0) -> None:
        """Stops the turn where nobody follows it within `alone_seconds`."""
        if self._alone_seconds is not None and not self.is_done and not self.log.followers:
            seconds = max(self._alone_seconds, at_least)
            self._leaving = asyncio.get_running_loop().call_later(seconds, self._stop_if_alone)

    def _stop_if_alone(self) -> None:
        if not self.log.followers:
            self.stop()

    def _end_unbegun(self, _: asyncio.Task[None]) -> None:
        """Ends the log of a task that was cancelled before its first step."""
        if not self._begun.is_set():
            self.log.end(self._stop_error())
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
                        # Tweaks are needed no more, but for the overrides of a turn of which nothing is stored.
                        kept = {} if event.is_kept else self.request.kept_overrides
                        self.request = replace(
                            self.request, session_id=event.session_id, tweaks={}, kept_overrides=kept
                        )
                        self._begun.set()
                    self.log.add(event)
        except asyncio.CancelledError:
            error = self._stop_error()
            raise
        except FlowgroundError as failure:
            error = failure
        except Exception as unexpected:  # noqa: BLE001 - followers get an error, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=unexpected)
            error = UnexpectedFailure()
        finally:
            self.log.end(error)
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
        self._chars[turn.caller.counted_as] += _TURN_CHARS + turn.log.size
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
        self._chars[whose] -= _TURN_CHARS + turn.log.size
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
    events: tuple[tuple[int, Event], ...]
    failure: FlowgroundError | None

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:  # noqa: ARG002 - nothing is joined
        """As `LiveTurn.follow`."""
        for number, event in self.events:
            yield NumberedEvent(number, event)
        if self.failure:
            raise self.failure


@dataclass(frozen=True, slots=True)
class IdempotencyCache:
    """Finds the first request with an idempotency key. `find_live` finds a turn of this process by its run id;
    `seconds` is how long a repeat waits for a first request that another process answers."""

    store: Store
    interruptions: Interruptions
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
        with self._count_waiting(found, whose):
            wait, end = _POLL_SECONDS, asyncio.get_running_loop().time() + self.seconds
            while isinstance(found, str):
                if asyncio.get_running_loop().time() >= end:
                    raise RunUnfinished(found)
                await asyncio.sleep(wait)
                wait = min(1.0, 1.5 * wait)
                found = await self._find(idempotency_key)
        return found

    async def _find(self, idempotency_key: IdempotencyKey) -> LiveTurn | ReplayedTurn | str | None:
        """As `find_first` without waiting; the run's id while it goes on in another process."""
        gone = False
        while taken := await self.store.read(receipts.find_first_request, key_id=idempotency_key.id):
            if taken.digest != idempotency_key.digest:
                raise IdempotencyKeyReused
            if turn := self.find_live(taken.run_id):
                return turn
            kept = await self.store.read(receipts.find_kept_run, run_id=taken.run_id)
            if kept and kept.run.status == "running":
                if kept.run.holder == self.store.process.id or not await self.interruptions.end_left_runs():
                    return taken.run_id
            elif kept and kept.was_given_up:  # its begin was stored after it was given up
                await self.store.write(receipts.release, key_id=idempotency_key.id, run_id=taken.run_id)
            elif kept and (replayed := _replay(kept)):
                return replayed
            elif gone:
                raise AnswerGone(taken.run_id)
            else:
                gone = True  # or its key was freed between the two reads
        return None

    @contextmanager
    def _count_waiting(self, run_id: str, whose: Owner) -> Iterator[None]:
        """Counts a repeat that waits. Raises RunUnfinished where too many wait."""
        if self._waiting[whose] >= _MOST_WAITING:
            raise RunUnfinished(run_id)
        self._waiting[whose] += 1
        try:
            yield
        finally:
            self._waiting[whose] -= 1
            if not self._waiting[whose]:
                del self._waiting[whose]


def _replay(kept: KeptRun) -> ReplayedTurn | None:
    """The ended turn of a stored run; None where its answer was not kept."""
    receipt = read_receipt(kept)
    if receipt and COMPONENTS.keys() >= {*receipt.types.values()}:  # a package that added one may be gone
        wired = ReplayedFlow(
            version=receipt.version,
            components={name: COMPONENTS[kind] for name, kind in receipt.types.items()},
            display_names=receipt.names,
            streams_to={"": tuple(receipt.streamed)},
            shows_tools=receipt.shows_tools,
        )
        return ReplayedTurn(kept.run.id, wired, receipt.events, receipt.failure)
    if kept.run.status == "interrupted":
        return ReplayedTurn(kept.run.id, ReplayedFlow(), (), RunInterrupted(kept.run.id))
    return None
