"""Which components of a run may begin, those that wait for nothing any more, and which have their end."""

import asyncio
from collections import deque
from collections.abc import Iterable

from flowground.wiring import WiredFlow


class Schedule:
    """`ready` are those that may begin now, in the file's order at first, then as what they waited for has its end."""

    def __init__(self, wired: WiredFlow) -> None:
        self._followers = wired.followers
        self._missing = dict(wired.waits)
        self.ready = deque(wired.begins)
        self.ended = 0
        """How many components have their end."""

    def end(self, name: str) -> None:
        """The component has its end: it ran, or was skipped."""
        self.ended += 1
        for follower in self._followers.get(name, ()):
            self._missing[follower] -= 1
            if not self._missing[follower]:
                self.ready.append(follower)


async def wait_for_first(running: dict[asyncio.Task[None], str]) -> list[str]:
    """Waits until one of them has its end, takes those that have out, and gives their names.

    Raises what the first of them failed with.
    """
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in running if task in done]
    if failures := read_failures(ended):
        raise failures[0]
    return [running.pop(task) for task in ended]


def read_failures(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException]:
    """Why these ended tasks failed, all of them read: one that nobody reads is told in the log."""
    return [error for task in tasks if not task.cancelled() and (error := task.exception())]
