"""Runs of other processes, followed by the rows in which these keep their events."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from flowground.core.errors import StoreUnavailable
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import Journal
from flowground.store import Store
from flowground.store.runs import chunks, progress, requests
from flowground.store.runs.records import RunRecord, StoredMessage

_log = logging.getLogger(__name__)
_LOOK_SECONDS, _TELL_SECONDS = 0.25, 5.0
"""Seconds between two looks, on PostgreSQL unless a notice comes; and between two words to those who run them."""
_PAUSE_SECONDS = 0.02
"""Least seconds between two looks."""
_RUNS_PER_LOOK = 200
_CHARS_PER_LOOK = 1_000_000
"""Most runs of one look, and most characters that it reads. Runs that waited longest come first."""


@dataclass(slots=True, eq=False)
class RunElsewhere:
    """A run that another process runs: its events as far as they are known here. `wired` is the flow as it is here."""

    run: RunRecord
    wired: WiredFlow
    journal: Journal = field(default_factory=Journal)
    known: int = 0
    """The number of the last event that was read."""
    answers: Sequence[StoredMessage] = ()
    """Its answers as they are stored, once it has ended."""
    task: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done once the run has ended."""
    is_alone: bool = False
    """Whether the last look found nobody who follows it."""

    @property
    def is_done(self) -> bool:
        return self.task.done()


class RunsElsewhere:
    """The followed runs of other processes, on the runtime's loop: all are polled in one read, and none is while nobody
    follows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followed: dict[str, RunElsewhere] = {}
        """By run; runs that were looked at last are at the end."""
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._told = -float("inf")

    def look_soon(self) -> None:
        """Looks at once: events were written."""
        self._news.set()

    def open(self, run: RunRecord, wired: WiredFlow) -> RunElsewhere:
        """The run, to be followed at once."""
        found = self._followed.get(run.id)
        if found is None:
            found = self._followed[run.id] = RunElsewhere(run, wired)
            self._told = -float("inf")
            self._news.set()
        found.is_alone = False
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        return found

    def stop(self) -> None:
        """Ends the polling, with the process."""
        if self._task:
            self._task.cancel()

    async def _look_on(self) -> None:
        try:
            while self._followed:
                self._news.clear()
                try:
                    await self._tell()
                    await self._look()
                except StoreUnavailable:
                    pass  # the store logs the outage
                except Exception:  # noqa: BLE001 - the next look goes on
                    _log.exception("runs of other processes could not be looked at")
                await asyncio.sleep(_PAUSE_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)
                self._drop_lonely()
        finally:
            self._task = None

    def _drop_lonely(self) -> None:
        """Drops runs that nobody followed at two looks: who opens a run follows it a moment later."""
        for one in [*self._followed.values()]:
            if one.is_alone and not one.journal.followers:
                del self._followed[one.run.id]
            one.is_alone = not one.journal.followers

    async def _tell(self) -> None:
        """Tells the processes of the runs that they are followed."""
        now = time.monotonic()
        if now - self._told > _TELL_SECONDS:
            await self._store.write(requests.follow, runs=[*self._followed][:_RUNS_PER_LOOK])
            self._told = now

    async def _look(self) -> None:
        followed = [*self._followed.values()][:_RUNS_PER_LOOK]
        known = {one.run.id: one.known for one in followed}
        found = await self._store.read(chunks.poll, after=known, most_chars=_CHARS_PER_LOOK)
        for chunk in found.chunks:
            one = self._followed[chunk.run_id]
            for event in chunk.read(after=one.known):
                one.journal.append(event)
            one.known = chunk.last
        grown = {chunk.run_id for chunk in found.chunks}
        for one in followed:
            if one.run.id not in found.running and one.run.id not in grown:
                await self._end(one)
            else:
                self._followed[one.run.id] = self._followed.pop(one.run.id)

    async def _end(self, one: RunElsewhere) -> None:
        run = await self._store.read(progress.find_run, run_id=one.run.id)
        one.answers = await self._store.read(progress.list_answers, run=run) if run else ()
        del self._followed[one.run.id]
        one.task.set_result(None)
        one.journal.end()
