"""The work that files make while they arrive: one piece at a time, whosever it is, and then a longer rest.

Between two pieces the loop, the interpreter's lock and a core belong to runs. What is not read yet waits in its
client's socket, so that nothing piles up here, and twenty people who upload cost runs no more than one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_REST = 3
"""Multiples of the time that a piece took: uploads get a quarter of what there is."""
_LONGEST_REST = 0.02
"""Seconds: a piece that waited for a slow disk cost nobody anything."""


@dataclass(slots=True)
class Turns:
    """For one event loop."""

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Waits for the turn, and has it until the rest after the block is over."""
        now = asyncio.get_running_loop().time
        async with self._lock:
            began = now()
            yield
            await asyncio.sleep(min(_REST * (now() - began), _LONGEST_REST))
