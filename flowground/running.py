"""What runs in this process just now, and the keeping of what it said so far.

A run that is over soon costs two entries in a dictionary; every two seconds what all of them said is written at once,
so that a process that dies leaves what people had read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from flowground.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.runs import progress
from flowground.store.runs.progress import TextsSoFar

_KEEP_SECONDS = 2.0
_MOST_CHARS = 1_000_000
"""Of texts that are written at once: those that waited longest. Joining more would keep the loop."""
_MOST_LATE = 1_000
"""Ends that wait to be written."""
_STOP_SECONDS = 10.0

WriteEnd = Callable[[], Awaitable[object]]


class SpeakingRun(Protocol):
    """A run, as far as it is kept: where it belongs, and what it has said."""

    @property
    def address(self) -> Mapping[str, str]:
        """The flow_id, owner and session_id of its conversation."""

    @property
    def said_chars(self) -> int:
        """Characters that it has said."""

    def read_texts(self) -> Mapping[str, str]:
        """The id of each answer -> its text so far."""


@dataclass(slots=True)
class _RunHere:
    run: SpeakingRun
    task: asyncio.Task[object] | None
    is_stopped: bool = False
    is_ending: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    kept: int = 0
    """Characters of what was written last."""
    is_kept: bool = False


class RunningRuns:
    """Of one process, on its loop. `holder` is the process as its runs' rows name it."""

    def __init__(self, store: Store, *, seconds: float = _KEEP_SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._runs: dict[str, _RunHere] = {}
        """Those that were written last at the end."""
        self._late: list[WriteEnd] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def holder(self) -> str:
        return self._store.process.id

    def add(self, run_id: str, run: SpeakingRun) -> None:
        """A run that the current task drives."""
        self._runs[run_id] = _RunHere(run, asyncio.current_task())
        self._set_timer()

    def discard(self, run_id: str) -> None:
        """The run has its end."""
        if run := self._runs.pop(run_id, None):
            run.ended.set()

    def note_ending(self, run_id: str) -> None:
        """It is complete and being stored: from now on `stop` waits for that."""
        if run := self._runs.get(run_id):
            run.is_ending = True

    async def stop(self, run_id: str) -> bool:
        """Cancels the run, which raises RunStopped then, and waits for its end. False when it does not run here."""
        run = self._runs.get(run_id)
        if run is None or run.task is None:
            return False
        if not (run.is_stopped or run.is_ending):
            run.is_stopped = True
            run.task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(run.ended.wait(), _STOP_SECONDS)
        return True

    def is_stopped(self, run_id: str) -> bool:
        """Whether `stop` was called for it."""
        run = self._runs.get(run_id)
        return run is not None and run.is_stopped

    def was_kept(self, run_id: str) -> bool:
        """Whether something of what the run said so far was written, or may have been."""
        run = self._runs.get(run_id)
        return run is not None and run.is_kept

    def read_texts(self, run_id: str) -> Mapping[str, str] | None:
        """What the run has said so far, by the id that each answer will have; None when it does not run here."""
        run = self._runs.get(run_id)
        return None if run is None else run.run.read_texts()

    def write_later(self, write_end: WriteEnd) -> None:
        """The end of a run that could not be stored: tried again until it can, or until the process ends."""
        self._late = [*self._late, write_end][-_MOST_LATE:]
        self._set_timer()

    async def close(self) -> None:
        """Writes no more. What is being written is finished."""
        if self._timer:
            self._timer.cancel()
        if self._writing:
            await asyncio.wait([self._writing])

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._keep)

    def _keep(self) -> None:
        self._timer = None
        if not (self._runs or self._late):
            return
        self._set_timer()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write(self._collect()))

    def _collect(self) -> list[TextsSoFar]:
        """What was said that is not written yet."""
        found: list[TextsSoFar] = []
        chars = 0
        for run_id, here in [*self._runs.items()]:
            said = here.run.said_chars
            if said > here.kept and (not found or chars + said <= _MOST_CHARS):
                chars += said
                here.is_kept = True  # or it may be, where the write's outcome is not known
                found.append(TextsSoFar(run_id, **here.run.address, answers=here.run.read_texts()))
                self._runs[run_id] = self._runs.pop(run_id)
        return found

    async def _write(self, texts: Sequence[TextsSoFar]) -> None:
        with suppress(StoreUnavailable):  # the log has it; the next time it is more
            if texts:
                await self._store.write(progress.keep_texts, texts=texts)
            for said in texts:
                if here := self._runs.get(said.run_id):
                    here.kept = sum(map(len, said.answers.values()))
            while self._late:
                await self._late[0]()
                self._late = self._late[1:]
