"""What a turn has said so far, numbered; each who follows it gets it from the first event."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import assert_never

from flowground.errors import FlowgroundError
from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)

_MOST_CHARS = 2048
"""Pieces of text are joined up to this many characters: a long answer then takes the room of its letters."""
_MOST_PIECES = 64
"""Pieces that wait to be joined."""


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """`number` counts from 1. Pieces of text that were joined have the last one's."""

    number: int
    event: Event


@dataclass(slots=True)
class _JoinedText:
    """Neighbouring pieces of one answer's text."""

    component_id: str
    before: int
    """The number of the event before the first piece."""
    _pieces: list[str] = field(default_factory=list)
    _ends: "array[int]" = field(default_factory=lambda: array("I"))
    """Where each piece ends, in characters."""

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._ends.append(self.size + len(text))
        if len(self._pieces) > _MOST_PIECES:
            self._join()

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def last(self) -> int:
        """The number of the last piece."""
        return self.before + len(self._ends)

    def read(self, after: int, to: int) -> Token:
        """The pieces with the numbers from `after` + 1 to `to`, as one."""
        self._join()
        begins = self._ends[after - self.before - 1] if after > self.before else 0
        return Token(self.component_id, self._pieces[0][begins : self._ends[to - self.before - 1]])

    def _join(self) -> None:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]


class TurnLog:
    """Of one turn, on its loop. The first piece of an answer is never joined: what is said before it is its event's.

    `is_exact`: no piece is, so that each who follows is told the same.
    """

    def __init__(self, *, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self.size = 0
        """Characters of text in it, about."""
        self._begun: set[str] = set()
        """Components whose answers have begun."""
        self._entries: list[NumberedEvent | _JoinedText] = []
        self._firsts: list[int] = []
        """The number before each entry."""
        self._count = 0
        self._followers: set[asyncio.Event] = set()
        self._is_ended = False
        self.error: FlowgroundError | None = None
        """Why the turn has no answer, once it has its end."""

    @property
    def followers(self) -> int:
        """How many follow just now."""
        return len(self._followers)

    def add(self, event: Event) -> None:
        match event:
            case Token():
                self._add_text(event)
            case TurnFinished():
                self.size += sum(len(result.text) for result in event.results.values())
                self._append(NumberedEvent(self._count + 1, event))
            case ComponentFinished() | ToolReturned() | ModelThought():
                self.size += len(event.text)
                self._append(NumberedEvent(self._count + 1, event))
            case PassagesFound():
                self.size += sum(len(passage.text) for passage in event.passages)
                self._append(NumberedEvent(self._count + 1, event))
            case TurnStarted() | ComponentStarted() | ModelProgress() | ToolCalled() | ToolWaits() | ThinkingBegan():
                self._append(NumberedEvent(self._count + 1, event))
            case _:
                assert_never(event)
        self._count += 1
        self._tell()

    def end(self, error: FlowgroundError | None = None) -> None:
        """Nothing more comes; `error` is why the turn has no answer."""
        self._is_ended, self.error = True, error
        self._tell()

    async def follow(self, *, split_after: int = 0) -> AsyncGenerator[NumberedEvent, None]:
        """Every event from the first, then each as it comes, to the turn's end; raises a failed turn's error.

        Texts that wait for this follower come joined, where the log is not exact; never across the event with the
        number `split_after`.
        """
        after = 0
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                while (found := self._read(after, split_after)) is not None:
                    after = found.number
                    yield found
                if self._is_ended:
                    break
                await news.wait()
        finally:
            self._followers.discard(news)
        if self.error:
            raise self.error

    async def follow_batches(self) -> AsyncGenerator[list[NumberedEvent], None]:
        """As `follow`, all that is there at a time: who comes for more later gets it joined."""
        after = 0
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                if batch := self._list_after(after):
                    after = batch[-1].number
                    yield batch
                elif self._is_ended:
                    break
                else:
                    await news.wait()
        finally:
            self._followers.discard(news)
        if self.error:
            raise self.error

    def list_events(self) -> list[Event]:
        """All of them, of a turn that has its end."""
        return [item.event for item in self._list_after(0)]

    def measure_texts(self, number: int) -> dict[str, int]:
        """How many characters of each answer the events up to this number said, by its component."""
        found: dict[str, int] = {}
        after = 0
        while after < number and (item := self._read(after, number)):
            after = item.number
            if isinstance(item.event, Token):
                name = item.event.component_id
                found[name] = found.get(name, 0) + len(item.event.text)
        return found

    def _list_after(self, number: int) -> list[NumberedEvent]:
        """What there is now behind this event."""
        found: list[NumberedEvent] = []
        while item := self._read(number, 0):
            number = item.number
            found.append(item)
        return found

    def _read(self, after: int, split_after: int) -> NumberedEvent | None:
        """The next event after this number; None when there is none yet."""
        if after >= self._count:
            return None
        entry = self._entries[bisect_right(self._firsts, after) - 1]
        if isinstance(entry, NumberedEvent):
            return entry
        to = split_after if after < split_after < entry.last else entry.last
        if self._is_exact:
            to = after + 1
        return NumberedEvent(to, entry.read(after, to))

    def _add_text(self, token: Token) -> None:
        self.size += len(token.text)
        if token.component_id not in self._begun:
            self._begun.add(token.component_id)
            self._append(NumberedEvent(self._count + 1, token))
            return
        last = self._entries[-1] if self._entries else None
        if not isinstance(last, _JoinedText) or last.component_id != token.component_id or last.size >= _MOST_CHARS:
            self._append(last := _JoinedText(token.component_id, self._count))
        last.add(token.text)

    def _append(self, entry: NumberedEvent | _JoinedText) -> None:
        self._entries.append(entry)
        self._firsts.append(self._count)

    def _tell(self) -> None:
        for follower in self._followers:
            follower.set()
