"""What one socket has still to be sent: in order, bounded, by one task."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.types import Message

_MOST_CHARS = 64_000
"""Of what waits to be sent, beyond which a growing answer is not added to: its reader gets the rest joined later."""


class Outbox:
    """Of one socket, on its loop. `patience`: seconds that one frame may take; `give_up` ends a socket that takes none.

    `refill` is asked once nothing waits: it may put more.
    """

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        *,
        patience: float,
        give_up: Callable[[], None],
        refill: Callable[[], None],
    ) -> None:
        self._send, self._patience, self._give_up, self._refill = send, patience, give_up, refill
        self._frames: deque[str] = deque()
        self._chars = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._is_over = False

    @property
    def is_full(self) -> bool:
        return self._chars > _MOST_CHARS

    def put(self, frame: str) -> None:
        """Goes nowhere where the socket takes nothing any more."""
        if self._is_over:
            return
        self._frames.append(frame)
        self._chars += len(frame)
        if self.is_full:
            self._room.clear()
        self._empty.clear()
        self._news.set()

    async def wait_for_room(self) -> bool:
        """A page that does not read is not listened to either. False once the socket takes nothing any more."""
        await self._room.wait()
        return not self._is_over

    async def flush(self) -> None:
        """Returns once all was sent."""
        if self._frames or self._chars:
            await self._empty.wait()

    async def run(self) -> None:
        """Sends what is put, until it is cancelled or the socket takes nothing any more."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._frames:
                    frame = self._frames.popleft()
                    async with asyncio.timeout(self._patience):
                        await self._send({"type": "websocket.send", "text": frame})
                    self._chars -= len(frame)
                    if not self._frames:
                        self._refill()
                    if not self.is_full:
                        self._room.set()
                self._empty.set()
        except TimeoutError:
            self._give_up()
        finally:
            self._is_over = True
            self._frames.clear()
            self._chars = 0
            self._room.set()
            self._empty.set()
