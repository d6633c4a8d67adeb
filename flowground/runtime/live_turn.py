"""A turn that pages watch: it runs by itself, and each of them sees all of it, whenever they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import assert_never

from flowground.errors import FlowgroundError, UnexpectedFailure
from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    Token,
    TurnFinished,
    TurnStarted,
)

_log = logging.getLogger(__name__)

_STRETCH_CHARS = 2048
"""Pieces of text are joined up to this many characters: a long answer then takes the room of its letters."""


class _Stretch:
    """Text that came without another event between its pieces; with two models at once, of several answers."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: dict[str, list[str]] = {}

    def add(self, token: Token) -> None:
        self.size += len(token.text)
        self._pieces.setdefault(token.component_id, []).append(token.text)

    def take_unseen(self, seen: dict[str, int]) -> list[Token]:
        """What came after the `seen` characters of each answer; counts it as seen."""
        found = []
        for name, pieces in self._pieces.items():
            if len(pieces) > 1:
                pieces[:] = ["".join(pieces)]
            if text := pieces[0][seen.get(name, 0) :]:
                found.append(Token(name, text))
                seen[name] = len(pieces[0])
        return found


@dataclass(slots=True)
class _LogCursor:
    """How far a watcher is in a log: all before `entry`, and of that the `seen` characters of each answer."""

    entry: int = 0
    seen: dict[str, int] = field(default_factory=dict)


class LiveTurn:
    """A turn that is being taken, independent of who watches."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._events = events
        self._log: list[Event | _Stretch] = []
        self._watchers: set[asyncio.Event] = set()
        self._error: FlowgroundError | None = None
        self.task = asyncio.ensure_future(self._take())
        self.task.add_done_callback(lambda _: self._tell())

    @property
    def is_done(self) -> bool:
        return self.task.done()

    def stop(self) -> None:
        """Cancels the turn, down to the provider; what was said so far is kept. Call it on the runtime's loop."""
        self.task.cancel()

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Every event from the start, then each as it comes, until the turn ends; raises a failed turn's error.

        Pieces of text that wait for this watcher come joined.
        """
        news = asyncio.Event()
        self._watchers.add(news)
        cursor = _LogCursor()
        try:
            while True:
                news.clear()
                while events := self._read_on(cursor):
                    for event in events:
                        yield event
                if self.is_done:
                    break
                await news.wait()
        finally:
            self._watchers.discard(news)
        if self._error:
            raise self._error

    def _read_on(self, cursor: _LogCursor) -> list[Event]:
        """What stands in the log after `cursor`, which goes on by it; nothing when there is no more yet."""
        while cursor.entry < len(self._log):
            entry = self._log[cursor.entry]
            if not isinstance(entry, _Stretch):
                cursor.entry += 1
                return [entry]
            if found := entry.take_unseen(cursor.seen):
                return [*found]
            if entry is self._log[-1]:
                break  # it may grow
            cursor.entry += 1
            cursor.seen.clear()
        return []

    def _note(self, event: Event) -> None:
        match event:
            case Token():
                if not self._log or not isinstance(last := self._log[-1], _Stretch) or last.size >= _STRETCH_CHARS:
                    self._log.append(last := _Stretch())
                last.add(event)
            case TurnStarted() | ComponentStarted() | ComponentFinished() | ModelProgress() | TurnFinished():
                self._log.append(event)
            case _:
                assert_never(event)

    async def _take(self) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    self._note(event)
                    self._tell()
        except FlowgroundError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - the task's door: watchers are told, the log has the rest
            _log.error("unexpected failure of a turn", exc_info=error)
            self._error = UnexpectedFailure()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher.set()
