"""Events on their way from a run to its one reader."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from flowground.events import ComponentEvent

_AHEAD = 256
"""Unread events at most; a component that emits more waits until the reader catches up."""


class EventQueue:
    """`note` is told each event when it is put in."""

    def __init__(self, note: Callable[[ComponentEvent], None]) -> None:
        self._note = note
        self._events: deque[ComponentEvent | None] = deque()  # an asyncio.Queue takes five calls for one event
        self._arrival: asyncio.Future[None] | None = None
        """Who waits for the next event."""
        self._room = asyncio.Event()

    def put(self, event: ComponentEvent) -> None:
        self._note(event)
        self._add(event)

    def end(self) -> None:
        """Nothing comes after this."""
        self._add(None)

    def _add(self, event: ComponentEvent | None) -> None:
        self._events.append(event)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    async def wait_for_room(self) -> None:
        """Returns when the reader is not far behind."""
        while len(self._events) >= _AHEAD:
            self._room.clear()
            await self._room.wait()

    def take_all(self) -> Iterator[ComponentEvent]:
        """Everything that is there, for a run that is over."""
        while self._events and (event := self._events.popleft()):
            yield event

    async def take(self) -> ComponentEvent | None:
        """The next event, None at the end."""
        while not self._events:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        event = self._events.popleft()
        if len(self._events) <= _AHEAD // 2:
            self._room.set()
        return event
