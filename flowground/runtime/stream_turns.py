"""Turns of `?stream=sse` that can be followed again: while they run, and for a while after their end."""

import asyncio
from collections import Counter

from flowground.runtime.live_turn import LiveTurn

_MOST_ENDED = 2_000
_MOST_OF_ONE_CALLER = 200
_MOST_CHARS = 30_000_000
"""Of ended turns. Running ones are bounded by what may run."""


class StreamTurns:
    """Of one process, on its loop. Of ended turns the oldest go first, one caller's own where these are too many."""

    def __init__(self) -> None:
        self._turns: dict[str, LiveTurn] = {}
        self._ended: dict[str, LiveTurn] = {}
        """In the order in which they ended."""
        self._of_callers = Counter[str]()
        self._chars = 0

    def add(self, run_id: str, turn: LiveTurn, *, keep_seconds: float) -> None:
        """A turn that has begun; it is kept for so long after its end."""
        self._turns[run_id] = turn
        turn.task.add_done_callback(lambda _: self._note_end(run_id, keep_seconds))

    def find(self, run_id: str) -> LiveTurn | None:
        return self._turns.get(run_id)

    def _note_end(self, run_id: str, keep_seconds: float) -> None:
        turn = self._ended[run_id] = self._turns[run_id]
        self._of_callers[turn.caller.key] += 1
        self._chars += turn.size
        asyncio.get_running_loop().call_later(keep_seconds, self._forget, run_id)
        while self._of_callers[turn.caller.key] > _MOST_OF_ONE_CALLER:
            self._forget(next(run for run, other in self._ended.items() if other.caller.key == turn.caller.key))
        while len(self._ended) > _MOST_ENDED or self._chars > _MOST_CHARS:
            self._forget(next(iter(self._ended)))

    def _forget(self, run_id: str) -> None:
        turn = self._ended.pop(run_id, None)
        if turn is None:
            return
        del self._turns[run_id]
        self._chars -= turn.size
        self._of_callers[turn.caller.key] -= 1
        if not self._of_callers[turn.caller.key]:
            del self._of_callers[turn.caller.key]
