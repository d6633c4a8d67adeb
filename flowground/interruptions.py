"""Ends the runs that processes left behind which died: at the start, and whenever somebody meets one.

Whether a process lives is told by its lock (`store.database.holders`), never by a clock.
"""

import asyncio
import logging
from contextlib import suppress

from flowground.errors import ConfigError, StoreUnavailable
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
        await asyncio.to_thread(self._store.holder.take)
        self._watch()
        self._begin_look()

    async def close(self) -> None:
        self._unwatch()
        for task in (self._look, self._retaking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def settle(self) -> int:
        """Returns when no run is left whose process is dead; how many were ended. To be called on meeting a run that
        another process holds. Raises StoreUnavailable."""
        return await asyncio.shield(self._begin_look())

    def _begin_look(self) -> asyncio.Task[int]:
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(self._end_left_runs())
            self._look.add_done_callback(_read_error)
        return self._look

    async def _end_left_runs(self) -> int:
        holder = self._store.holder
        dead = await self._find_dead()
        if dead and holder.confirm_seconds:
            await asyncio.sleep(holder.confirm_seconds)
            dead = [name for name in await self._find_dead() if name in dead]
        ended = 0
        while dead and (step := await self._store.write(progress.interrupt_runs, holders=dead)):
            ended += step
        if ended:
            _log.warning("%s had no end: the process that ran them died", count(ended, "run"))
        return ended

    async def _find_dead(self) -> list[str]:
        holder = self._store.holder
        others = [name for name in await self._store.read(progress.list_holders) if name != holder.id]
        return await asyncio.to_thread(holder.find_dead, others) if others else []

    def _watch(self) -> None:
        self._watched = self._store.holder.wait_for_loss()
        if self._watched is not None:
            asyncio.get_running_loop().add_reader(self._watched, self._begin_retaking)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _begin_retaking(self) -> None:
        """The connection broke: until it is taken again, others may think that this process died."""
        self._unwatch()
        self._retaking = asyncio.ensure_future(self._retake())

    async def _retake(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._store.holder.take)
            except ConfigError as error:
                _log.error("%s", error)
                return
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
