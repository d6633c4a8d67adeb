"""Ends what goes on once the rights that it needs have ended: open conversations and runs.

Rights are checked at once after a change in this process. What another process changes, what expires and which files go
is found within seconds: one check for all that goes on by the same rights, and at most `_LOOKS_PER_SECOND` checks a
second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Protocol

from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError, RequestError, StoreUnavailable
from flowground.flows.wiring import WiredFlow
from flowground.store import Store

_LOOK_SECONDS = 10.0
"""Least seconds between two rounds of checks; more if a round would be over `_LOOKS_PER_SECOND`."""
_LOOKS_PER_SECOND = 10


class Watched(Protocol):
    """What goes on by somebody's rights to a flow."""

    @property
    def rights(self) -> Hashable:
        """Whose rights, and to which flow: what has the same is checked once."""

    async def read_rights(self) -> tuple[Caller, WiredFlow]:
        """The caller and the flow as they are now. Raises a RequestError where the rights have ended."""

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        """Takes what `read_rights` of this, or of another with the same rights, returned."""

    def end_rights(self, error: FlowgroundError) -> None:
        """Ends it: `read_rights` raised the error."""


class RightsWatch:
    """What goes on in one process, checked while there is any. On the loop of what it watches."""

    def __init__(self, store: Store) -> None:
        self.watched: dict[Watched, None] = {}
        """What ends by itself takes itself out."""
        self.on_look: Callable[[], Awaitable[None]] | None = None
        """Called after each round."""
        self._look_now = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.task: asyncio.Task[None] | None = None
        store.on_rights_change = self._look_soon

    def watch(self, one: Watched) -> None:
        """Checks its rights from now on, until it is taken out of `watched`."""
        self.watched[one] = None
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._look_on())

    def look_around(self) -> None:
        """Calls `on_look` soon, without a round of checks."""
        if self.on_look:
            task = asyncio.ensure_future(self._look_around())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _look_soon(self) -> None:
        """Checks at once, since rights were changed. Called in any thread."""
        if self.task:
            self.task.get_loop().call_soon_threadsafe(self._look_now.set)

    async def _look_on(self) -> None:
        while self.watched:
            seconds = max(_LOOK_SECONDS, len({one.rights for one in self.watched}) / _LOOKS_PER_SECOND)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), seconds)
            self._look_now.clear()
            with suppress(StoreUnavailable):  # an outage ends nobody's rights
                await self._look()
            await self._look_around()

    async def _look_around(self) -> None:
        if self.on_look:
            with suppress(StoreUnavailable):
                await self.on_look()

    async def _look(self) -> None:
        groups: dict[Hashable, list[Watched]] = {}
        for one in self.watched:
            groups.setdefault(one.rights, []).append(one)
        for group in groups.values():
            try:
                caller, wired = await group[0].read_rights()
            except RequestError as error:
                for one in self.watched.keys() & group:
                    one.end_rights(error)
            else:
                for one in self.watched.keys() & group:
                    one.take_rights(caller, wired)
