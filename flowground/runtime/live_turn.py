"""A turn that pages watch: it runs by itself, and each of them sees all of it, whenever they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from flowground.errors import FlowgroundError, UnexpectedFailure
from flowground.events import Event

_log = logging.getLogger(__name__)


class LiveTurn:
    """A turn that is being taken, independent of who watches."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._events = events
        self._log: list[Event] = []
        self._watchers: set[asyncio.Event] = set()
        self._error: FlowgroundError | None = None
        self.task = asyncio.ensure_future(self._take())
        self.task.add_done_callback(lambda _: self._tell())

    @property
    def done(self) -> bool:
        return self.task.done()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; what was said so far is kept. Call it on the runtime's loop."""
        self.task.cancel()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Every event from the start, then each as it comes, until the turn ends; raises a failed turn's error."""
        news = asyncio.Event()
        self._watchers.add(news)
        seen = 0
        try:
            while True:
                news.clear()
                while seen < len(self._log):
                    yield self._log[seen]
                    seen += 1
                if self.done:
                    break
                await news.wait()
        finally:
            self._watchers.discard(news)
        if self._error:
            raise self._error

    async def _take(self) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    self._log.append(event)
                    self._tell()
        except FlowgroundError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - the task's door: watchers are told, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=error)
            self._error = UnexpectedFailure()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher.set()
