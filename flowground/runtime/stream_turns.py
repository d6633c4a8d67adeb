"""Turns of `?stream=sse` that can be followed again: while they run, and for a while after their end."""

import asyncio
from collections import Counter
from collections.abc import Collection

from flowground.caller import Owner
from flowground.runtime.live_turn import LiveTurn

_MOST_ENDED = 2_000
_MOST_OF_ONE_CALLER = 200
_MOST_CHARS = 30_000_000
"""Of ended turns, of everybody. Running ones are bounded by what may run."""


class StreamTurns:
    """Of one process, on its loop. Where ended ones are too many or too long, the oldest of who keeps most go first."""

    def __init__(self) -> None:
        self._turns: dict[str, LiveTurn] = {}
        self._ended: dict[str, LiveTurn] = {}
        """In the order in which they ended."""
        self._counts = Counter[Owner]()
        self._chars = Counter[Owner]()
        """Of ended turns, by who asked."""
        self._all_chars = 0

    def add(self, run_id: str, turn: LiveTurn, *, keep_seconds: float) -> None:
        """A turn that has begun; it is kept for so long after its end."""
        self._turns[run_id] = turn
        turn.task.add_done_callback(lambda _: self._note_end(run_id, keep_seconds))

    def find(self, run_id: str) -> LiveTurn | None:
        return self._turns.get(run_id)

    def forget(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """Those that ended, in conversations of these owners, with these flows and this id; None: any."""
        for run_id, turn in [*self._ended.items()]:
            is_meant = (flows is None or turn.wired.id in flows) and session_id in (None, turn.request.session_id)
            if is_meant and str(turn.caller.owner) in owners:
                self._forget(run_id)

    def _note_end(self, run_id: str, keep_seconds: float) -> None:
        turn = self._ended[run_id] = self._turns[run_id]
        whose = turn.caller.counted_as
        self._counts[whose] += 1
        self._chars[whose] += turn.size
        self._all_chars += turn.size
        asyncio.get_running_loop().call_later(keep_seconds, self._forget, run_id)
        while self._counts[whose] > _MOST_OF_ONE_CALLER:
            self._forget_oldest(whose)
        while len(self._ended) > _MOST_ENDED:
            self._forget_oldest(max(self._counts, key=self._counts.__getitem__))
        while self._all_chars > _MOST_CHARS:
            self._forget_oldest(max(self._chars, key=self._chars.__getitem__))

    def _forget_oldest(self, whose: Owner) -> None:
        self._forget(next(run for run, turn in self._ended.items() if turn.caller.counted_as == whose))

    def _forget(self, run_id: str) -> None:
        turn = self._ended.pop(run_id, None)
        if turn is None:
            return
        del self._turns[run_id]
        whose = turn.caller.counted_as
        self._counts[whose] -= 1
        self._chars[whose] -= turn.size
        self._all_chars -= turn.size
        if not self._counts[whose]:
            del self._counts[whose], self._chars[whose]
