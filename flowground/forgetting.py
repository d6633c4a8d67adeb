"""Visitors' conversations end: the oldest of a flow go when there are too many, all of them with age.

No request waits for it: a task of the process looks once an hour, and soon after a visitor's message. It deletes in
small steps and rests between them, so that no other write waits long. Members' conversations are never touched.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from flowground.settings import PublicSettings
from flowground.store import Store
from flowground.store.runs import visitors

_log = logging.getLogger(__name__)

_AT_ONCE = 20
"""Conversations that one look-up finds."""
_DAY = 86_400.0


class Forgetting:
    """`start` belongs to the runtime's loop.

    `at_least` and `at_most` are seconds between two looks, `rest` after each step.
    """

    def __init__(
        self,
        store: Store,
        public: PublicSettings,
        *,
        now: Callable[[], float] = time.time,
        at_least: float = 60,
        at_most: float = 3600,
        rest: float = 0.05,
    ) -> None:
        self._store = store
        self._public = public
        self._now = now
        self._at_least, self._at_most, self._rest = at_least, at_most, rest
        self._spoken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look, where something is to be forgotten at all."""
        if self._public.conversations or self._public.days:
            self._task = asyncio.get_running_loop().create_task(self._look())

    def note_visitor(self) -> None:
        """There may be one conversation more."""
        self._spoken.set()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def forget(self) -> int:
        """Deletes conversations that are too old or too many; how many those were."""
        ended = 0
        before = self._now() - self._public.days * _DAY if self._public.days else 0.0
        while found := await self._store.read(
            visitors.find_surplus, keep=self._public.conversations, before=before, limit=_AT_ONCE
        ):
            for surplus in found:
                done = False
                while not done:
                    done = await self._store.write(visitors.delete_step, surplus=surplus)
                    await asyncio.sleep(self._rest)
            ended += len(found)
        return ended

    async def _look(self) -> None:
        wait = self._at_least
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._spoken.wait(), wait)
            self._spoken.clear()
            try:
                if ended := await self.forget():
                    _log.info("%d conversations of visitors were old or too many: deleted", ended)
            except Exception as error:  # noqa: BLE001 - a task's door: the next look tries again
                _log.warning("visitors' conversations could not be deleted: %s", str(error).partition("\n")[0])
            await asyncio.sleep(self._at_least)
            wait = self._at_most
