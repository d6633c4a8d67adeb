"""Few things that many people use: who waits for one has their turn as a person, however much they want."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class PersonTurns(Generic[Thing]):
    """`free` are the things that nobody uses. On one loop."""

    def __init__(self, free: list[Thing]) -> None:
        self._free = free
        self._waiting: dict[str, deque[asyncio.Future[Thing]]] = {}

    @asynccontextmanager
    async def take(self, whose: str) -> AsyncIterator[Thing]:
        one = self._free.pop() if self._free else await self._wait(whose)
        try:
            yield one
        finally:
            self._give_back(one)

    async def _wait(self, whose: str) -> Thing:
        place: asyncio.Future[Thing] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._give_back(place.result())
            raise

    def _give_back(self, one: Thing) -> None:
        while self._waiting:
            whose = next(iter(self._waiting))
            places = self._waiting.pop(whose)
            place = places.popleft()
            if places:
                self._waiting[whose] = places  # behind the others
            if not place.done():
                place.set_result(one)
                return
        self._free.append(one)
