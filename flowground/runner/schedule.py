"""Which components of a run may begin: those that wait for nothing any more."""

from collections import deque

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
