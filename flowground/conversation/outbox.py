"""What one socket has still to be sent: in order, by one task; bounded, and with all others of its person too."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.types import Message

_MOST_CHARS = 64_000
"""Of what waits to be sent, beyond which a growing answer is not added to: its reader gets the rest joined later."""
_MOST_OF_A_PERSON = 10_000_000
"""Of what waits on all sockets of one person. Twenty of them may be opened at once, each with half a million."""


class UnsentFrames:
    """Of all sockets of one person, on their loop: where too much waits, who took nothing for longest is given up."""

    def __init__(self) -> None:
        self._chars = 0
        self._waiting: dict[Outbox, None] = {}
        """Those of which something waits; who took something last is the last."""

    def count(self, outbox: "Outbox", chars: int) -> None:
        """So much more waits there."""
        self._chars += chars
        self._waiting.setdefault(outbox)
        while self._chars > _MOST_OF_A_PERSON and len(self._waiting) > 1:
            next(iter(self._waiting)).drop()

    def take_off(self, outbox: "Outbox", chars: int, *, is_empty: bool) -> None:
        """So much was taken, or goes nowhere."""
        self._chars -= chars
        self._waiting.pop(outbox, None)
        if not is_empty:
            self._waiting[outbox] = None


class Outbox:
    """Of one socket, on its loop. `patience`: seconds that one frame may take; `give_up` ends a socket that takes none.

    `refill` is asked once nothing waits: it may put more. `unsent` counts it with the others of its person.
    """

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        *,
        patience: float,
        give_up: Callable[[], None],
        refill: Callable[[], None],
        unsent: UnsentFrames,
    ) -> None:
        self._unsent = unsent
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
        self._unsent.count(self, len(frame))

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
                    self._take_off(len(frame))
                    if not self._frames:
                        self._refill()
                    if not self.is_full:
                        self._room.set()
                self._empty.set()
        except TimeoutError:
            self.drop()
        finally:
            self._close()

    def drop(self) -> None:
        """Gives the socket up, and all that waits."""
        self._close()
        self._give_up()

    def _close(self) -> None:
        self._is_over = True
        self._frames.clear()
        self._take_off(self._chars)
        self._room.set()
        self._empty.set()

    def _take_off(self, chars: int) -> None:
        chars = min(chars, self._chars)  # nothing waits any more where it was dropped meanwhile
        self._chars -= chars
        self._unsent.take_off(self, chars, is_empty=not self._chars)
