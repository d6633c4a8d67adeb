"""The runs of this process (their stops, their text so far), and the end of runs whose process died.

A run that ends soon costs two entries in a dictionary. The events of longer runs are written after half a second, then
every second, all at once, so that what people had read survives a process that dies. Whether a process lives is
decided by its lock (`Store.process`), never by a clock.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from flowground.core.errors import RunError, RunStopped, StoreUnavailable
from flowground.core.events import ToolWaits
from flowground.core.messages import Decision, Usage
from flowground.core.words import count
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import Journal
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
"""Ends of runs that wait to be written. Of further runs only the failure is stored, once the others are written."""
_SETTLED = 2.0
"""Multiples of the store's longest wait after which every run that began before is known to run or not."""
_STOP_SECONDS = 10.0
_FOLLOWED_SECONDS, _FLUSH_SECONDS, _POLLED_SECONDS = 10.0, 0.05, 0.25
"""How long a run counts as followed by another process, and seconds between two writes of its events then, where
notices tell of them and where these are polled."""
_MOST_ALLOWED = 10_000
_AGAIN = 1.0
"""Seconds between two attempts to take a lost lock again."""
_DEAD_SECONDS = 0.5
"""Seconds between two looks for processes that died."""


class RunningTurn(Protocol):
    """A running turn as `RunningRuns` needs it; `turns.TurnRecord` implements it."""

    @property
    def address(self) -> Mapping[str, str]:
        """The flow_id, owner and session_id of its conversation."""

    @property
    def wired(self) -> WiredFlow:
        """The flow that runs, with the request's tweaks."""

    @property
    def is_kept(self) -> bool:
        """Whether its messages are stored."""

    @property
    def journal(self) -> Journal:
        """Its events so far."""

    @property
    def usage(self) -> Usage | None:
        """Tokens that models have counted so far; None where none has."""

    @property
    def asked_instead(self) -> Collection[str]:
        """Providers of fallbacks that were asked, which the flow does not name."""

    def decide(self, call: int, digest: str, decision: Decision) -> None:
        """Decides a waiting call. Raises NothingWaits."""

    def list_waiting(self) -> Sequence[ToolWaits]:
        """Calls that wait for a person now."""

    def read_texts(self) -> Mapping[str, str]:
        """Message id of each answer -> its text so far."""


class ChatAllowances:
    """Tools that people have allowed for the rest of a chat, in this process; the oldest of too many are forgotten."""

    def __init__(self) -> None:
        self._allowed: OrderedDict[tuple[str, str, str, str, str], None] = OrderedDict()

    def add(self, address: Mapping[str, str], version: str, tool: str) -> None:
        """Allows a tool. `address` is the conversation's; another `version` of the flow asks again."""
        self._allowed[address["owner"], address["flow_id"], address["session_id"], version, tool] = None
        if len(self._allowed) > _MOST_ALLOWED:
            self._allowed.popitem(last=False)

    def has(self, address: Mapping[str, str], version: str, tool: str) -> bool:
        return (address["owner"], address["flow_id"], address["session_id"], version, tool) in self._allowed

    def forget(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """Forgets what was allowed in these conversations, which are deleted; see `RunningRuns.stop_conversations`."""
        for key in [*self._allowed]:
            owner, flow_id, session, *_ = key
            if owner in owners and (flows is None or flow_id in flows) and session_id in (None, session):
                del self._allowed[key]


@dataclass(slots=True)
class _RunHere:
    run: RunningTurn
    task: asyncio.Task[object] | None
    stop: RunError | None = None
    """Why the run was cancelled."""
    is_ending: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=time.monotonic)
    kept: int = 0
    """The number of the last event that was written."""
    is_kept: bool = False
    followed_until: float = 0
    """Monotonic time until which another process follows the run."""


class RunningRuns:
    """The runs of one process, on its loop. `holder` is the id of the process in the rows of its runs."""

    def __init__(self, store: Store, *, seconds: float = _KEEP_SECONDS) -> None:
        self.store = store
        self._seconds = seconds
        self._runs: dict[str, _RunHere] = {}
        """Runs by id; those written last are at the end."""
        self.chats = ChatAllowances()
        self._late: deque[WriteEnd] = deque()
        self._dropped_at: float | None = None
        """When an end of a run was dropped last because too many waited, in seconds since 1970."""
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
        self._runs[run_id] = _RunHere(run, asyncio.current_task())
        self._set_timer()

    def discard(self, run_id: str) -> None:
        """Removes a run that has ended."""
        if run := self._runs.pop(run_id, None):
            run.ended.set()

    def note_ending(self, run_id: str) -> None:
        """Notes that the run is complete and being stored: from now on `stop` waits for that."""
        if run := self._runs.get(run_id):
            run.is_ending = True

    def end_early(self, run_id: str, why: RunError) -> None:
        """Cancels the run, which then raises `why`; a run that is not here, or is ending, stays as it is."""
        run = self._runs.get(run_id)
        if run and run.task and not (run.stop or run.is_ending):
            run.stop = why
            run.task.cancel()

    async def stop(self, run_id: str, why: RunError | None = None) -> bool:
        """As `end_early`, by default with RunStopped; waits for the end. False when the run is not here."""
        run = self._runs.get(run_id)
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

        places = {run_id: here.run.address for run_id, here in self._runs.items()}
        self.chats.forget(owners, flows, session_id)
        found = [key for key, at in places.items() if is_meant(at["owner"], at["flow_id"], at["session_id"])]
        await asyncio.gather(*map(self.stop, found))

    def decide(self, run_id: str, call: int, digest: str, decision: Decision) -> bool:
        """As `RunningTurn.decide`. False when the run is not here."""
        run = self._runs.get(run_id)
        if run is None:
            return False
        run.run.decide(call, digest, decision)
        return True

    def list_waiting(self, run_id: str) -> Sequence[ToolWaits]:
        """Calls of the run that wait for a person now; none when the run is not here."""
        run = self._runs.get(run_id)
        return () if run is None else run.run.list_waiting()

    def find_stop(self, run_id: str) -> RunError | None:
        """The error with which `stop` or `end_early` cancelled the run; None where they did not."""
        run = self._runs.get(run_id)
        return None if run is None else run.stop

    def list_runs(self) -> dict[str, RunningTurn]:
        """The runs of this process by id."""
        return {run_id: here.run for run_id, here in self._runs.items()}

    def was_kept(self, run_id: str) -> bool:
        """Whether some event of the run was written, or may have been."""
        run = self._runs.get(run_id)
        return run is not None and run.is_kept

    def read_texts(self, run_id: str) -> Mapping[str, str] | None:
        """Message id of each answer -> its text so far; None when the run is not here."""
        run = self._runs.get(run_id)
        return None if run is None else run.run.read_texts()

    def write_later(self, write_end: WriteEnd) -> None:
        """Keeps the end of a run that could not be stored, and retries until the process ends."""
        self._late.append(write_end)
        if len(self._late) > _MOST_LATE:
            self._late.popleft()
            self._dropped_at = time.time()
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
        for here in [self._runs[run_id] for run_id in run_ids if run_id in self._runs]:
            here.followed_until = until
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
        if not (self._runs or self._late or self._dropped_at):
            return
        self._set_timer()
        if self._writing and not self._writing.done():
            return
        now = time.monotonic()
        is_time = now - self._wrote_all >= self._seconds
        if is_time:
            self._wrote_all = now
        grown = self._collect(began_by=now - self._seconds * _SOON, is_time=is_time)
        if grown or (is_time and (self._late or self._dropped_at)):
            self._writing = asyncio.ensure_future(self._write(grown))

    def _collect(self, *, began_by: float, is_time: bool) -> list[Chunk]:
        """Events that are not written yet; unless `is_time`, only of runs of which nothing was written, and of followed
        ones."""
        found: list[Chunk] = []
        chars, now = 0, time.monotonic()
        for run_id, here in [*self._runs.items()]:
            is_due = here.began <= began_by and (is_time or not here.is_kept)
            is_due = here.run.is_kept and (is_due or now < here.followed_until)
            if not is_due or chars > _MOST_CHARS or not (news := here.run.journal.list_after(here.kept)):
                continue
            chunk = Chunk.of(run_id, here.kept, news[-1].number, [item.event for item in news])
            if chunk.last == here.kept:
                continue
            chars += len(chunk.body)
            here.is_kept = True  # or may be kept, where the outcome of the write is unknown
            found.append(chunk)
            self._runs[run_id] = self._runs.pop(run_id)
        return found

    async def _write(self, grown: Sequence[Chunk]) -> None:
        with suppress(StoreUnavailable):  # the store has logged it; the next write has more
            if grown:
                await self.store.write(chunks.keep, chunks=grown, holder=self.holder)
            for chunk in grown:
                if here := self._runs.get(chunk.run_id):
                    here.kept = chunk.last
            while self._late:
                await self._write_end(self._late.popleft())
            await self._end_dropped_runs()

    async def _write_end(self, write_end: WriteEnd) -> None:
        try:
            await write_end()
        except StoreUnavailable:
            self._late.appendleft(write_end)
            raise
        except Exception:  # noqa: BLE001 - an error in one end must not keep later ends from being stored
            _log.exception("the end of a run could not be stored")

    async def _end_dropped_runs(self) -> None:
        """Ends runs whose end was dropped, once every run that began before is known."""
        at = self._dropped_at
        if at is not None and time.time() - at > _SETTLED * self.store.seconds:
            await self.store.write(progress.end_lost_runs, holder=self.holder, before=at, known=[*self._runs])
            self._dropped_at = None


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
        """Takes this process's lock, then starts to look for dead processes. Raises ConfigError."""
        await asyncio.to_thread(self._store.process.acquire)
        self._watch()
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
            self._begin_retaking()
        else:
            for notice in dict.fromkeys(notices):
                self.on_notice(notice)

    def _begin_retaking(self) -> None:
        """Takes the lock again after its connection broke; until then this process looks dead to others."""
        self._unwatch()
        self._retaking = asyncio.ensure_future(self._retake())

    async def _retake(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._store.process.acquire)
            except Exception as error:  # noqa: BLE001 - drivers raise anything when the server is away
                _log.warning("this process's lock in the database was lost: %s", str(error).partition("\n")[0])
                await asyncio.sleep(_AGAIN)
            else:
                self._watch()
                return
