"""What runs in this process just now, and the keeping of what it said so far.

A run that is over soon costs two entries in a dictionary; every two seconds what all of them said is written at once,
so that a process that dies leaves what people had read.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from flowground.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.runs import progress
from flowground.store.runs.progress import TextsSoFar

_KEEP_SECONDS = 2.0

ReadTexts = Callable[[], Mapping[str, str]]
"""Gives what a run has said so far: the id of each answer -> its text."""


@dataclass(slots=True)
class _RunHere:
    address: Mapping[str, str]
    read_texts: ReadTexts
    task: asyncio.Task[object] | None
    is_stopped: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_kept: bool = False
    kept: int = 0
    """Characters of what was written last."""


class RunningRuns:
    """Of one process, on its loop. `holder` is the process as its runs' rows name it."""

    def __init__(self, store: Store, *, seconds: float = _KEEP_SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._runs: dict[str, _RunHere] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def holder(self) -> str:
        return self._store.process.id

    def add(self, run_id: str, address: Mapping[str, str], read_texts: ReadTexts) -> None:
        """A run that the current task drives. `address` has flow_id, owner and session_id of its conversation."""
        self._runs[run_id] = _RunHere(address, read_texts, asyncio.current_task())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._keep)

    def discard(self, run_id: str) -> None:
        """The run has its end."""
        if run := self._runs.pop(run_id, None):
            run.ended.set()

    async def stop(self, run_id: str) -> bool:
        """Cancels the run, which raises RunStopped then, and waits for its end. False when it does not run here."""
        run = self._runs.get(run_id)
        if run is None or run.task is None:
            return False
        run.is_stopped = True
        run.task.cancel()
        await run.ended.wait()
        return True

    def was_kept(self, run_id: str) -> bool:
        """Whether something of what the run said so far was written, or may have been."""
        run = self._runs.get(run_id)
        return run is not None and run.is_kept

    def is_stopped(self, run_id: str) -> bool:
        """Whether `stop` was called for it."""
        run = self._runs.get(run_id)
        return run is not None and run.is_stopped

    def read_texts(self, run_id: str) -> Mapping[str, str] | None:
        """What the run has said so far, by the id that each answer will have; None when it does not run here."""
        run = self._runs.get(run_id)
        return None if run is None else run.read_texts()

    def _keep(self) -> None:
        self._timer = None
        if not self._runs:
            return
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._keep)
        if (self._writing is None or self._writing.done()) and (texts := self._collect()):
            self._writing = asyncio.ensure_future(self._write(texts))

    def _collect(self) -> list[TextsSoFar]:
        """What was said that is not written yet."""
        found = []
        for run_id, run in self._runs.items():
            texts = run.read_texts()
            if sum(map(len, texts.values())) > run.kept:
                found.append(TextsSoFar(run_id, **run.address, answers=texts))
        return found

    async def _write(self, texts: Sequence[TextsSoFar]) -> None:
        for said in texts:
            if run := self._runs.get(said.run_id):
                run.is_kept = True  # or it may be, where the write's outcome is not known
        with suppress(StoreUnavailable):  # the log has it; the next time it is more
            await self._store.write(progress.keep_texts, texts=texts)
            for said in texts:
                if run := self._runs.get(said.run_id):
                    run.kept = sum(map(len, said.answers.values()))
