"""Ends the runs of processes that died: at the start, and when somebody meets such a run.

Whether a process lives is told by its lock (`store.database.process_locks`), never by a clock.
"""

import asyncio
import logging
from contextlib import suppress

from flowground.errors import StoreUnavailable
from flowground.store import Store
from flowground.store.runs import progress
from flowground.words import count

_log = logging.getLogger(__name__)
_AGAIN = 1.0
"""Seconds between two tries to take a lock that was lost."""


class Interruptions:
    """`start` and all else belong to the runtime's loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._look: asyncio.Task[int] | None = None
        self._retaking: asyncio.Task[None] | None = None
        self._watched: int | None = None

    async def start(self) -> None:
        """Takes this process's lock, then looks for what others left, without waiting for it. Raises ConfigError."""
        await asyncio.to_thread(self._store.process.take)
        self._watch()
        self._begin_look()

    async def close(self) -> None:
        self._unwatch()
        for task in (self._look, self._retaking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def end_left_runs(self) -> int:
        """Ends the runs whose process is dead by now; how many those were. To be called on meeting a run of another
        process. Raises StoreUnavailable."""
        if self._look is not None and not self._look.done():
            await asyncio.wait([self._look])  # it began before, and may have looked already
        return await asyncio.shield(self._begin_look())

    def _begin_look(self) -> asyncio.Task[int]:
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(self._look_once())
            self._look.add_done_callback(_read_error)
        return self._look

    async def _look_once(self) -> int:
        process = self._store.process
        dead = await self._find_dead()
        if dead and process.confirm_seconds:
            await asyncio.sleep(process.confirm_seconds)
            dead = [name for name in await self._find_dead() if name in dead]
        ended = 0
        while dead and (step := await self._store.write(progress.interrupt_runs, holders=dead)):
            ended += step
        if ended:
            _log.warning("%s had no end: the process that ran them died", count(ended, "run"))
        return ended

    async def _find_dead(self) -> list[str]:
        process = self._store.process
        others = [name for name in await self._store.read(progress.list_holders) if name != process.id]
        return await asyncio.to_thread(process.find_dead, others) if others else []

    def _watch(self) -> None:
        self._watched = self._store.process.find_descriptor()
        if self._watched is not None:
            asyncio.get_running_loop().add_reader(self._watched, self._begin_retaking)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _begin_retaking(self) -> None:
        """The lock's connection broke: until the lock is taken again, others may think that this process died."""
        self._unwatch()
        self._retaking = asyncio.ensure_future(self._retake())

    async def _retake(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._store.process.take)
            except Exception as error:  # noqa: BLE001 - whatever the driver says of a server that is away
                _log.warning("this process's lock in the database was lost: %s", str(error).partition("\n")[0])
                await asyncio.sleep(_AGAIN)
            else:
                self._watch()
                return


def _read_error(task: asyncio.Task[int]) -> None:
    with suppress(asyncio.CancelledError, StoreUnavailable):  # an outage is told by the store
        if (error := task.exception()) is not None:
            _log.warning("runs that were left behind could not be ended: %s", str(error).partition("\n")[0])
