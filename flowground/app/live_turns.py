"""A turn that runs by itself: each who follows it sees all of it, whenever they come and go.

What a turn has said so far, numbered; each who follows it gets it from the first event.

Turns of `?stream=sse` that can be followed again: while they run, and for a while after their end.

What a repeated request finds of the first one with its idempotency key: its turn, or what that told.
"""

import asyncio
import logging
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
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
from flowground.store.runs.receipts import IdempotencyKey, KeptRun, Receipt, read_receipt

_log = logging.getLogger(__name__)
_MOST_CHARS = 2048
"""Pieces of text are joined up to this many characters: a long answer then takes the room of its letters."""
_MOST_PIECES = 64
"""Pieces that wait to be joined."""
_FIRST_SECONDS = 30.0
"""How long a turn waits for its first follower at least: a response takes a moment to begin."""
_MOST_ENDED = 2_000
_MOST_OF_ONE_CALLER = 200
_MOST_ENDED_CHARS = 30_000_000
"""Of ended turns, of everybody. Running ones are bounded by what may run."""
_POLL_SECONDS = 0.2
"""Between two looks at a run of another process, at first; each is longer than the one before, to a second."""
_MOST_WAITING = 50
"""Requests of one person, or token, that look so at once; one more is told at once that the run has no end yet."""


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """`number` counts from 1. Pieces of text that were joined have the last one's."""

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
    """Of one turn, on its loop. The first piece of an answer is never joined: what is said before it is its event's.

    `is_exact`: no piece is, so that each who follows is told the same.
    """

    def __init__(self, *, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self.size = 0
        """Characters of text in it, about."""
        self._begun: set[str] = set()
        """Components whose answers have begun."""
        self._entries: list[NumberedEvent | _JoinedText] = []
        self._firsts: list[int] = []
        """The number before each entry."""
        self._count = 0
        self._followers: set[asyncio.Event] = set()
        self._is_ended = False
        self.error: FlowgroundError | None = None
        """Why the turn has no answer, once it has its end."""

    @property
    def followers(self) -> int:
        """How many follow just now."""
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
            case TurnStarted() | ComponentStarted() | ModelProgress() | ToolCalled() | ToolWaits() | ThinkingBegan():
                self._append(NumberedEvent(self._count + 1, event))
            case _:
                assert_never(event)
        self._count += 1
        self._wake_followers()

    def end(self, error: FlowgroundError | None = None) -> None:
        """Nothing more comes; `error` is why the turn has no answer."""
        self._is_ended, self.error = True, error
        self._wake_followers()

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """Every event from the first, then each as it comes, to the turn's end; raises a failed turn's error.

        Texts that wait for this follower come joined, where the log is not exact; never across the event with the
        number `split_after`.
        """
        after = 0
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                while (found := self._read(after, split_after)) is not None:
                    after = found.number
                    yield found
                if self._is_ended:
                    break
                await news.wait()
        finally:
            self._followers.discard(news)
        if self.error:
            raise self.error

    async def follow_batches(self) -> AsyncGenerator[list[NumberedEvent], None]:
        """As `follow`, all that is there at a time: who comes for more later gets it joined."""
        after = 0
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                if batch := self._list_after(after):
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
        """All of them, of a turn that has its end."""
        return [item.event for item in self._list_after(0)]

    def measure_texts(self, number: int) -> dict[str, int]:
        """How many characters of each answer the events up to this number said, by its component."""
        found: dict[str, int] = {}
        after = 0
        while after < number and (item := self._read(after, number)):
            after = item.number
            if isinstance(item.event, Token):
                name = item.event.component_id
                found[name] = found.get(name, 0) + len(item.event.text)
        return found

    def _list_after(self, number: int) -> list[NumberedEvent]:
        """What there is now behind this event."""
        found: list[NumberedEvent] = []
        while item := self._read(number, 0):
            number = item.number
            found.append(item)
        return found

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
    """A turn that is being taken, independent of who follows: whose it is, and what was asked of which flow."""

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

        `stop_error` gives the error for those who follow a turn that was cancelled. `alone_seconds` is how long it
        goes on while nobody follows any more; None: to its end. `admit` is awaited before anything else.
        `is_exact`: all who follow are told the same pieces.
        """
        self.caller, self.wired, self.request = caller, wired, request
        self.on_start: Callable[[TurnStarted], None] = lambda _: None
        """Is told the first event. To be set at once."""
        self.started: TurnStarted | None = None
        """The first event, once there is one."""
        self._events = events
        self._admit = admit
        self.is_waiting = admit is not None
        """Whether it is not admitted yet."""
        self._explain_stop = stop_error
        self._alone_seconds = alone_seconds
        self._turn_log = TurnLog(is_exact=is_exact)
        self._begun = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None
        self.task = asyncio.ensure_future(self._take())
        self.task.add_done_callback(self._end_unbegun)
        self._wait_for_followers(at_least=_FIRST_SECONDS)

    @property
    def size(self) -> int:
        """Characters that it keeps, about."""
        return self._turn_log.size

    @property
    def is_done(self) -> bool:
        return self.task.done()

    @property
    def error(self) -> FlowgroundError | None:
        """Why a turn that has its end has no answer."""
        return self._turn_log.error

    def list_events(self) -> list[Event]:
        """What a turn that has its end told, neighbouring texts joined; in any thread."""
        return self._turn_log.list_events()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; what was said so far is kept. Call it on the runtime's loop."""
        self.task.cancel()

    async def wait_for_begin(self) -> FlowgroundError | None:
        """Returns once its message is stored, or its end came first; with the error where there is one."""
        await self._begun.wait()
        return self.error

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """As `TurnLog.follow`; raises RunStopped, EndedByAdmin or ShuttingDown where the turn was ended early."""
        if self._leaving:
            self._leaving.cancel()
        try:
            async with aclosing(self._turn_log.follow(split_after=split_after)) as events:
                async for item in events:
                    yield item
        finally:
            self._wait_for_followers()

    def follow_batches(self) -> AsyncGenerator[list[NumberedEvent], None]:
        """As `TurnLog.follow_batches`, of a turn that does not end when nobody follows it; raises as `follow`."""
        return self._turn_log.follow_batches()

    def measure_texts(self, number: int) -> dict[str, int]:
        """As `TurnLog.measure_texts`."""
        return self._turn_log.measure_texts(number)

    def _wait_for_followers(self, *, at_least: float = 0) -> None:
        """Stops the turn where nobody follows it within `alone_seconds`."""
        if self._alone_seconds is not None and not self.is_done and not self._turn_log.followers:
            seconds = max(self._alone_seconds, at_least)
            self._leaving = asyncio.get_running_loop().call_later(seconds, self._stop_if_alone)

    def _stop_if_alone(self) -> None:
        if not self._turn_log.followers:
            self.stop()

    def _end_unbegun(self, _: asyncio.Task[None]) -> None:
        """Where the task was cancelled before its first step, it told nobody."""
        if not self._begun.is_set():
            self._turn_log.end(self._explain_stop())
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
                        # Nobody asks for tweaks again, but for those of a turn of which nothing is stored.
                        kept = {} if event.is_kept else self.request.kept_overrides
                        self.request = replace(
                            self.request, session_id=event.session_id, tweaks={}, kept_overrides=kept
                        )
                        self._begun.set()
                    self._turn_log.add(event)
        except asyncio.CancelledError:
            error = self._explain_stop()
            raise
        except FlowgroundError as failure:
            error = failure
        except Exception as unexpected:  # noqa: BLE001 - the task's door: followers are told, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=unexpected)
            error = UnexpectedFailure()
        finally:
            self._turn_log.end(error)
            self._begun.set()


class StreamTurns:
    """Of one process, on its loop. Where ended ones are too many or too long, the oldest of who keeps most go first."""

    def __init__(self) -> None:
        self._turns: dict[str, LiveTurn] = {}
        self._ended: dict[str, LiveTurn] = {}
        """In the order in which they ended."""
        self._counts = Counter[Owner]()
        self._chars = Counter[Owner]()
        """Of ended turns, by who asked."""
        self._all_chars = 0

    def add(self, run_id: str, turn: LiveTurn, *, keep_seconds: float) -> None:
        """A turn that has begun; it is kept for so long after its end."""
        self._turns[run_id] = turn
        turn.task.add_done_callback(lambda _: self._note_end(run_id, keep_seconds))

    def find(self, run_id: str) -> LiveTurn | None:
        return self._turns.get(run_id)

    def forget(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """Those that ended, in conversations of these owners, with these flows and this id; None: any."""
        for run_id, turn in [*self._ended.items()]:
            is_meant = (flows is None or turn.wired.id in flows) and session_id in (None, turn.request.session_id)
            if is_meant and str(turn.caller.owner) in owners:
                self._forget(run_id)

    def _note_end(self, run_id: str, keep_seconds: float) -> None:
        turn = self._ended[run_id] = self._turns[run_id]
        whose = turn.caller.counted_as
        self._counts[whose] += 1
        self._chars[whose] += turn.size
        self._all_chars += turn.size
        asyncio.get_running_loop().call_later(keep_seconds, self._forget, run_id)
        while self._counts[whose] > _MOST_OF_ONE_CALLER:
            self._forget_oldest(whose)
        while len(self._ended) > _MOST_ENDED:
            self._forget_oldest(max(self._counts, key=self._counts.__getitem__))
        while self._all_chars > _MOST_ENDED_CHARS:
            self._forget_oldest(max(self._chars, key=self._chars.__getitem__))

    def _forget_oldest(self, whose: Owner) -> None:
        self._forget(next(run for run, turn in self._ended.items() if turn.caller.counted_as == whose))

    def _forget(self, run_id: str) -> None:
        turn = self._ended.pop(run_id, None)
        if turn is None:
            return
        del self._turns[run_id]
        whose = turn.caller.counted_as
        self._counts[whose] -= 1
        self._chars[whose] -= turn.size
        self._all_chars -= turn.size
        if not self._counts[whose]:
            del self._counts[whose], self._chars[whose]


@dataclass(frozen=True, slots=True)
class ReplayedFlow:
    """A flow as it was when a stored run told its answer: no more of it than its messages are written with."""

    version: str = ""
    components: Mapping[str, type[Component]] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)
    streams_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shows_tools: bool = False


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """A turn that has its end and is told again from the store; `failure` is why it has no answer."""

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
    """`find_live` finds the turn of this process that is a run, by the run's id; `seconds` is how long a request waits
    for a first one that is answered where it cannot be followed."""

    store: Store
    interruptions: Interruptions
    find_live: Callable[[str], LiveTurn | None]
    seconds: float
    _waiting: Counter[Owner] = field(default_factory=Counter)

    async def find_first(self, idempotency_key: IdempotencyKey, whose: Owner) -> LiveTurn | ReplayedTurn | None:
        """The first request's turn; None where the key is free. `whose` the key is.

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
        """As `find_first`, without a wait: the run's id while it goes on and cannot be followed here."""
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
            elif kept and kept.was_given_up:  # and its beginning came after that
                await self.store.write(receipts.release, key_id=idempotency_key.id, run_id=taken.run_id)
            elif kept and (told := _replay(kept)):
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


def _replay(kept: KeptRun) -> ReplayedTurn | None:
    """None where it is not kept what the run answered."""
    receipt = read_receipt(kept)
    if receipt and COMPONENTS.keys() >= {*receipt.types.values()}:  # a package that added one may be gone
        return ReplayedTurn(kept.run.id, _show_flow(receipt), receipt.events, receipt.failure)
    if kept.run.status == "interrupted":
        return ReplayedTurn(kept.run.id, ReplayedFlow(), (), RunInterrupted(kept.run.id))
    return None


def _show_flow(receipt: Receipt) -> ReplayedFlow:
    return ReplayedFlow(
        version=receipt.version,
        components={name: COMPONENTS[kind] for name, kind in receipt.types.items()},
        display_names=receipt.names,
        streams_to={"": tuple(receipt.streamed)},
        shows_tools=receipt.shows_tools,
    )
