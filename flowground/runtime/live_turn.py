"""A turn that runs by itself: each who follows it sees all of it, whenever they come and go."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from flowground.caller import Caller, RunRequest
from flowground.errors import FlowgroundError, UnexpectedFailure
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
        admit: Callable[[], Awaitable[None]] | None = None,
        is_exact: bool = False,
    ) -> None:
        """Begins at once.

        `explain_stop` gives the error for those who follow a turn that was cancelled. `alone_seconds` is how long it
        goes on while nobody follows any more; None: to its end. `admit` is awaited before anything else.
        `is_exact`: all who follow are told the same pieces.
        """
        self.caller, self.wired, self.request = caller, wired, request
        self.on_start: Callable[[TurnStarted], None] = lambda _: None
        """Is told the first event. To be set at once."""
        self.started: TurnStarted | None = None
        """The first event, once there is one."""
        self._events = events
        self._admit = admit
        self.is_waiting = admit is not None
        """Whether it is not admitted yet."""
        self._explain_stop = explain_stop
        self._alone_seconds = alone_seconds
        self._turn_log = TurnLog(is_exact=is_exact)
        self._begun = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None
        self.task = asyncio.ensure_future(self._take())
        self.task.add_done_callback(self._end_unbegun)
        self._wait_for_followers(at_least=_FIRST_SECONDS)

    @property
    def size(self) -> int:
        """Characters that it keeps, about."""
        return self._turn_log.size

    @property
    def is_done(self) -> bool:
        return self.task.done()

    @property
    def error(self) -> FlowgroundError | None:
        """Why a turn that has its end has no answer."""
        return self._turn_log.error

    def list_events(self) -> list[Event]:
        """What a turn that has its end told, neighbouring texts joined; in any thread."""
        return self._turn_log.list_events()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; what was said so far is kept. Call it on the runtime's loop."""
        self.task.cancel()

    async def wait_for_begin(self) -> FlowgroundError | None:
        """Returns once its message is stored, or its end came first; with the error where there is one."""
        await self._begun.wait()
        return self.error

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """As `TurnLog.follow`; raises RunStopped, EndedByAdmin or ShuttingDown where the turn was ended early."""
        if self._leaving:
            self._leaving.cancel()
        try:
            async with aclosing(self._turn_log.follow(split_after=split_after)) as events:
                async for item in events:
                    yield item
        finally:
            self._wait_for_followers()

    def follow_batches(self) -> AsyncGenerator[list[NumberedEvent], None]:
        """As `TurnLog.follow_batches`, of a turn that does not end when nobody follows it; raises as `follow`."""
        return self._turn_log.follow_batches()

    def measure_texts(self, number: int) -> dict[str, int]:
        """As `TurnLog.measure_texts`."""
        return self._turn_log.measure_texts(number)

    def _wait_for_followers(self, *, at_least: float = 0) -> None:
        """Stops the turn where nobody follows it within `alone_seconds`."""
        if self._alone_seconds is not None and not self.is_done and not self._turn_log.followers:
            seconds = max(self._alone_seconds, at_least)
            self._leaving = asyncio.get_running_loop().call_later(seconds, self._stop_if_alone)

    def _stop_if_alone(self) -> None:
        if not self._turn_log.followers:
            self.stop()

    def _end_unbegun(self, _: asyncio.Task[None]) -> None:
        """Where the task was cancelled before its first step, it told nobody."""
        if not self._begun.is_set():
            self._turn_log.end(self._explain_stop())
            self._begun.set()

    async def _take(self) -> None:
        error: FlowgroundError | None = None
        try:
            if self._admit:
                await self._admit()
                self.is_waiting = False
            async with aclosing(self._events) as events:
                async for event in events:
                    if isinstance(event, TurnStarted):
                        self.started = event
                        self.on_start(event)
                        # Nobody asks for tweaks again, but for those of a turn of which nothing is stored.
                        kept = {} if event.is_kept else self.request.kept_overrides
                        self.request = replace(
                            self.request, session_id=event.session_id, tweaks={}, kept_overrides=kept
                        )
                        self._begun.set()
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
            self._begun.set()
