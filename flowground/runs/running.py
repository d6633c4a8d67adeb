"""The runs of this process (their stops, their text so far), and the end of runs whose process died.

A run that ends soon costs two entries in a dictionary. The events of longer runs are written after half a second, then
every second, all at once, so that what people had read survives a process that dies. Whether a process lives is
decided by its lock (`Store.process`), never by a clock.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from flowground.core.errors import RunError, RunStopped, StoreUnavailable
from flowground.core.events import ToolWaits, TurnStarted, fold
from flowground.core.messages import Decision
from flowground.core.words import count
from flowground.flows.wiring import WiredFlow
from flowground.runs.inner import RunBudget
from flowground.runs.journal import Journal
from flowground.runs.scope import Allowed, Approvals
from flowground.store import Store
from flowground.store.runs import chunks, progress
from flowground.store.runs.chunks import Chunk

_log = logging.getLogger(__name__)
WriteEnd = Callable[[], Awaitable[object]]
_KEEP_SECONDS = 1.0
_SOON = 0.5
"""Part of `_KEEP_SECONDS` after which a run's first events are written; a shorter run costs no statement."""
_MOST_CHARS = 1_000_000
"""Characters that are written at once, of the runs that waited longest; encoding more would block the loop."""
_MOST_LATE = 1_000
"""Ends of runs that wait to be written; a further run has its end with that of this process."""
_STOP_SECONDS = 10.0
_FOLLOWED_SECONDS, _FLUSH_SECONDS, _POLLED_SECONDS = 10.0, 0.05, 0.25
"""How long a run counts as followed by another process, and seconds between two writes of its events then, where
notices tell of them and where these are polled."""
_AGAIN = 1.0
"""Seconds between two attempts to take a lost lock again."""
_DEAD_SECONDS = 0.5
"""Seconds between two looks for processes that died."""


@dataclass(slots=True)
class RunningTurn:
    """A turn that runs in this process: its flow with the request's tweaks, and how far it is. `owner` is the
    conversation's."""

    wired: WiredFlow
    turn: TurnStarted
    budget: RunBudget
    journal: Journal
    _: KW_ONLY
    owner: str = field(init=False)
    approvals: Approvals = field(init=False)
    results: dict[str, str] = field(default_factory=dict)
    """The texts of the answers by component, once the run is complete."""
    task: asyncio.Task[object] | None = None
    stop: RunError | None = None
    """Why `RunningRuns` cancelled the run."""
    is_ending: bool = False
    """Whether the run is complete and being stored: a stop waits for that."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = 0
    """Monotonic time since which the run is among `RunningRuns`."""
    kept: int = 0
    """The number of the last event that was written."""
    was_kept: bool = False
    """Whether an event was written, or may have been, where the outcome of the write is unknown."""
    followed_until: float = 0
    """Monotonic time until which another process follows the run."""

    @property
    def address(self) -> dict[str, Any]:
        return {"flow_id": self.wired.id, "owner": self.owner, "session_id": self.turn.session_id}

    def read_texts(self) -> dict[str, str]:
        """Future message id of each answer -> its text so far."""
        texts = fold(self.journal.list_events()).texts | self.results
        return {key: texts.get(name, "") for name, key in self.turn.answer_ids.items()}


class RunningRuns:
    """The runs of one process, on its loop. `holder` is the id of the process in the rows of its runs."""

    def __init__(self, store: Store, *, seconds: float = _KEEP_SECONDS) -> None:
        self.store = store
        self._seconds = seconds
        self.runs: dict[str, RunningTurn] = {}
        """Runs by id; those written last are at the end."""
        self.allowed: Allowed = {}
        """Tools that people have allowed for the rest of a chat, in this process."""
        self._late: deque[WriteEnd] = deque()
        self._wrote_all = time.monotonic()
        """Monotonic time of the last write of all texts; newer runs get an earlier first write."""
        self._followed_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def holder(self) -> str:
        return self.store.process.id

    def add(self, run_id: str, run: RunningTurn) -> None:
        """Adds a run that the current task drives."""
        run.task, run.began = asyncio.current_task(), time.monotonic()
        self.runs[run_id] = run
        self._set_timer()

    def discard(self, run_id: str) -> None:
        """Removes a run that has ended."""
        if run := self.runs.pop(run_id, None):
            run.ended.set()

    def end_early(self, run_id: str, why: RunError) -> None:
        """Cancels the run, which then raises `why`; a run that is not here, or is ending, stays as it is."""
        run = self.runs.get(run_id)
        if run and run.task and not (run.stop or run.is_ending):
            run.stop = why
            run.task.cancel()

    async def stop(self, run_id: str, why: RunError | None = None) -> bool:
        """As `end_early`, by default with RunStopped; waits for the end. False when the run is not here."""
        run = self.runs.get(run_id)
        if run is None or run.task is None:
            return False
        self.end_early(run_id, why or RunStopped())
        with suppress(TimeoutError):
            await asyncio.wait_for(run.ended.wait(), _STOP_SECONDS)
        return True

    async def stop_conversations(
        self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None
    ) -> None:
        """As `stop`, for the runs of these owners, in these flows and with this session id; None: any."""

        def is_meant(owner: str, flow_id: str, session: str) -> bool:
            return owner in owners and (flows is None or flow_id in flows) and session_id in (None, session)

        for key in [key for key in self.allowed if is_meant(*key[:3])]:
            del self.allowed[key]
        places = [(run_id, run.address) for run_id, run in self.runs.items()]
        found = [key for key, at in places if is_meant(at["owner"], at["flow_id"], at["session_id"])]
        await asyncio.gather(*map(self.stop, found))

    def decide(self, run_id: str, call: int, digest: str, decision: Decision) -> bool:
        """As `Approvals.decide`. False when the run is not here."""
        run = self.runs.get(run_id)
        if run:
            run.approvals.decide(call, digest, decision)
        return run is not None

    def list_waiting(self, run_id: str) -> Sequence[ToolWaits]:
        """Calls of the run that wait for a person now; none when the run is not here."""
        run = self.runs.get(run_id)
        return run.approvals.list_waiting() if run else ()

    def read_texts(self, run_id: str) -> Mapping[str, str] | None:
        """Message id of each answer -> its text so far; None when the run is not here."""
        run = self.runs.get(run_id)
        return run.read_texts() if run else None

    def write_later(self, write_end: WriteEnd) -> None:
        """Keeps the end of a run that could not be stored, and retries until the process ends."""
        if len(self._late) < _MOST_LATE:
            self._late.append(write_end)
        self._set_timer()

    async def close(self) -> None:
        """Ends writing; a write that goes on is finished."""
        if self._timer:
            self._timer.cancel()
        if self._writing:
            await asyncio.wait([self._writing])

    def keep_soon(self, run_ids: Collection[str]) -> None:
        """For a while writes the events of these runs, as far as they are here, soon: another process follows them, or
        a person is asked."""
        until = time.monotonic() + _FOLLOWED_SECONDS
        for run in [self.runs[run_id] for run_id in run_ids if run_id in self.runs]:
            run.followed_until = until
            self._followed_until = until
        if self._followed_until == until and self._timer:
            self._timer.cancel()
            self._timer = None
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            is_followed = time.monotonic() < self._followed_until
            soon = _FLUSH_SECONDS if self.store.process.has_notices else _POLLED_SECONDS
            seconds = soon if is_followed else self._seconds * _SOON / 2
            self._timer = asyncio.get_running_loop().call_later(seconds, self._keep)

    def _keep(self) -> None:
        self._timer = None
        if not (self.runs or self._late):
            return
        self._set_timer()
        if self._writing and not self._writing.done():
            return
        now = time.monotonic()
        is_time = now - self._wrote_all >= self._seconds
        if is_time:
            self._wrote_all = now
        grown = self._collect(began_by=now - self._seconds * _SOON, is_time=is_time)
        if grown or (is_time and self._late):
            self._writing = asyncio.ensure_future(self._write(grown))

    def _collect(self, *, began_by: float, is_time: bool) -> list[Chunk]:
        """Events that are not written yet; unless `is_time`, only of runs of which nothing was written, and of followed
        ones."""
        found: list[Chunk] = []
        chars, now = 0, time.monotonic()
        for run_id, run in [*self.runs.items()]:
            is_due = run.began <= began_by and (is_time or not run.was_kept)
            is_due = run.turn.is_kept and (is_due or now < run.followed_until)
            if not is_due or chars > _MOST_CHARS or not (news := run.journal.list_after(run.kept)):
                continue
            chunk = Chunk.of(run_id, run.kept, news[-1].number, [item.event for item in news])
            if chunk.last == run.kept:
                continue
            chars += len(chunk.body)
            run.was_kept = True
            found.append(chunk)
            self.runs[run_id] = self.runs.pop(run_id)
        return found

    async def _write(self, grown: Sequence[Chunk]) -> None:
        with suppress(StoreUnavailable):  # the store has logged it; the next write has more
            if grown:
                await self.store.write(chunks.keep, chunks=grown, holder=self.holder)
            for chunk in grown:
                if run := self.runs.get(chunk.run_id):
                    run.kept = chunk.last
            while self._late:
                await self._write_end(self._late.popleft())

    async def _write_end(self, write_end: WriteEnd) -> None:
        try:
            await write_end()
        except StoreUnavailable:
            self._late.appendleft(write_end)
            raise
        except Exception:  # noqa: BLE001 - an error in one end must not keep later ends from being stored
            _log.exception("the end of a run could not be stored")


class Interruptions:
    """Ends runs of processes that died, within half a second after `confirm_seconds`. Belongs to the runtime's loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looking: asyncio.Task[None] | None = None
        self._suspected: dict[str, float] = {}
        """Processes whose lock is free -> the monotonic time since when it was found so at each look."""
        self._retaking: asyncio.Task[None] | None = None
        self._watched: int | None = None
        self.on_notice: Callable[[str], None] = lambda _: None
        """Called with each notice of another process, or of this one (`sql.notify`)."""

    async def start(self) -> None:
        """Takes this process's lock, ends runs of processes known as dead, then looks on. Raises ConfigError."""
        await asyncio.to_thread(self._store.process.acquire)
        self._watch()
        with suppress(StoreUnavailable):  # the store has logged it; the looks go on
            await self._look()
        self._looking = asyncio.ensure_future(self._look_on())

    async def close(self) -> None:
        self._unwatch()
        for task in (self._looking, self._retaking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def end_left_runs(self) -> None:
        """Ends the runs of processes that are dead now. Raises StoreUnavailable."""
        if await self._look():
            await asyncio.sleep(self._store.process.confirm_seconds)
            await self._look()

    async def _look_on(self) -> None:
        is_due = True
        while True:
            try:
                is_due = self._store.process.may_have_died() or is_due
                if is_due:
                    await self._look()
                    is_due = False
            except StoreUnavailable:  # the store logs an outage
                self._suspected = {}
            except Exception:  # noqa: BLE001 - the next look goes on
                _log.exception("runs that were left behind could not be ended")
            await asyncio.sleep(_DEAD_SECONDS)

    async def _look(self) -> bool:
        """Ends the runs of processes that were dead for long enough. Whether some may be that are dead since later."""
        process = self._store.process
        dead = await self._store.read(lambda here: process.find_dead(here, holders=progress.list_holders(here)))
        now, since = time.monotonic(), self._suspected
        self._suspected = {name: since.get(name, now) for name in dead}
        confirmed = [name for name, at in self._suspected.items() if now - at >= process.confirm_seconds]
        ended = 0
        while confirmed and (step := await self._store.write(progress.interrupt_runs, holders=confirmed)):
            ended += step
        if ended:
            _log.warning("%s had no end: the process that ran them died", count(ended, "run"))
        return len(confirmed) < len(dead)

    def _watch(self) -> None:
        self._watched = self._store.process.find_descriptor()
        if self._watched is not None:
            asyncio.get_running_loop().add_reader(self._watched, self._read_notices)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _read_notices(self) -> None:
        try:
            notices = self._store.process.read_notices()
        except Exception:  # noqa: BLE001 - drivers raise anything when the server is away
            self._unwatch()
            self._retaking = asyncio.ensure_future(self._retake())
        else:
            for notice in dict.fromkeys(notices):
                self.on_notice(notice)

    async def _retake(self) -> None:
        """Takes the lock again after its connection broke; until then this process looks dead to others."""
        while True:
            try:
                await asyncio.to_thread(self._store.process.acquire)
            except Exception as error:  # noqa: BLE001 - drivers raise anything when the server is away
                _log.warning("this process's lock in the database was lost: %s", str(error).partition("\n")[0])
                await asyncio.sleep(_AGAIN)
            else:
                self._watch()
                return
