"""A turn that runs by itself: each who follows it sees all of it, whenever they come and go."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

from flowground.caller import Caller, RunRequest
from flowground.errors import FlowgroundError, RunStopped, ShuttingDown, UnexpectedFailure
from flowground.events import Event, TurnStarted
from flowground.runtime.turn_log import NumberedEvent, TurnLog
from flowground.wiring import WiredFlow

_log = logging.getLogger(__name__)
_FIRST_SECONDS = 30.0
"""How long a turn waits for its first follower at least: a response takes a moment to begin."""


class LiveTurn:
    """A turn that is being taken, independent of who follows: whose it is, and what was asked of which flow."""

    def __init__(
        self,
        caller: Caller,
        wired: WiredFlow,
        request: RunRequest,
        events: AsyncGenerator[Event, None],
        explain_stop: Callable[[], FlowgroundError],
        *,
        alone_seconds: float | None = None,
    ) -> None:
        """Begins at once.

        `explain_stop` gives the error for those who follow a turn that was cancelled. `alone_seconds` is how long it
        goes on while nobody follows any more; None: to its end.
        """
        self.caller, self.wired, self.request = caller, wired, request
        self.on_start: Callable[[TurnStarted], None] = lambda _: None
        """Is told the first event. To be set at once."""
        self._events = events
        self._explain_stop = explain_stop
        self._alone_seconds = alone_seconds
        self._turn_log = TurnLog()
        self._leaving: asyncio.TimerHandle | None = None
        self.task = asyncio.ensure_future(self._take())
        self._wait_for_followers(at_least=_FIRST_SECONDS)

    @property
    def size(self) -> int:
        """Characters that it keeps, about."""
        return self._turn_log.size

    @property
    def is_done(self) -> bool:
        return self.task.done()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; what was said so far is kept. Call it on the runtime's loop."""
        self.task.cancel()

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Every event from the start, then each as it comes, until the turn ends; raises a failed turn's error.

        A turn that was stopped ends without `TurnFinished`.
        """
        with suppress(RunStopped, ShuttingDown):
            async with aclosing(self.follow()) as events:
                async for item in events:
                    yield item.event

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """As `TurnLog.follow`; raises RunStopped or ShuttingDown where the turn was ended early."""
        if self._leaving:
            self._leaving.cancel()
        try:
            async with aclosing(self._turn_log.follow(split_after=split_after)) as events:
                async for item in events:
                    yield item
        finally:
            self._wait_for_followers()

    def _wait_for_followers(self, *, at_least: float = 0) -> None:
        """Stops the turn where nobody follows it within `alone_seconds`."""
        if self._alone_seconds is not None and not self.is_done and not self._turn_log.followers:
            seconds = max(self._alone_seconds, at_least)
            self._leaving = asyncio.get_running_loop().call_later(seconds, self._stop_if_alone)

    def _stop_if_alone(self) -> None:
        if not self._turn_log.followers:
            self.stop()

    async def _take(self) -> None:
        error: FlowgroundError | None = None
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    if isinstance(event, TurnStarted):
                        self.on_start(event)
                        self.request = replace(self.request, tweaks={}, kept_overrides={})  # nobody asks for them again
                    self._turn_log.add(event)
        except asyncio.CancelledError:
            error = self._explain_stop()
            raise
        except FlowgroundError as failure:
            error = failure
        except Exception as unexpected:  # noqa: BLE001 - the task's door: followers are told, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=unexpected)
            error = UnexpectedFailure()
        finally:
            self._turn_log.end(error)
