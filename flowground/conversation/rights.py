"""Looks whether those who have conversations open may still: at once after a change in this process, else at a pace.

What another process changes, what expires and which files go is found within seconds: one look for each sign-in and
flow, however many sockets show it, and no more looks a second than `_A_SECOND`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from flowground.caller import Caller
from flowground.errors import FlowgroundError, FlowNotFound, NotAllowed, NotSignedIn, StoreUnavailable
from flowground.runtime import Runtime
from flowground.wiring import WiredFlow

_SECONDS = 10.0
"""Between two looks at everybody, at least; more where so many looks would be over `_A_SECOND`."""
_A_SECOND = 10
_AT_ONCE = 20
"""Looks in a row, after which others on the loop have their turn."""

RightsKey = tuple[str, str | None, str]
"""Owner, sign-in and flow."""


class RightsWatch:
    """On the runtime's loop, while something is open. `list_open` gives who has what open, each once.

    `take` is told what they may now, `end` why they may no more. `then` looks at what else is looked at with it.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        list_open: Callable[[], Mapping[RightsKey, tuple[Caller, WiredFlow]]],
        take: Callable[[RightsKey, Caller, WiredFlow], None],
        end: Callable[[RightsKey, FlowgroundError], None],
        then: Callable[[], Awaitable[None]],
        seconds: float = _SECONDS,
    ) -> None:
        self._runtime = runtime
        self._list_open, self._take, self._end, self._then = list_open, take, end, then
        self._seconds = seconds
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Something is open. A second call does nothing."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look_on())

    def look_soon(self) -> None:
        """Rights were changed. On the loop."""
        self._wanted.set()

    def stop(self) -> None:
        """Nothing is open any more."""
        if self._task:
            self._task.cancel()
            self._task = None

    async def _look_on(self) -> None:
        while True:
            pause = max(self._seconds, len(self._list_open()) / _A_SECOND)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            self._wanted.clear()
            with suppress(StoreUnavailable):  # nobody is shut out by an outage
                await self._runtime.switches.refresh()
                await self._look(self._list_open().items())
                await self._then()

    async def _look(self, found: Iterable[tuple[RightsKey, tuple[Caller, WiredFlow]]]) -> None:
        for count, (key, (caller, wired)) in enumerate(found, 1):
            try:
                present = await self._runtime.access.recheck(caller)
                self._take(key, present, await self._runtime.access.open_flow(present, wired.id))
            except (NotSignedIn, FlowNotFound, NotAllowed) as error:
                self._end(key, error)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0.01)
