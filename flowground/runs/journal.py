"""The journal of one run: its events so far, numbered; whoever follows it gets all of them, whenever they come.

An event's number is its place: a text counts its characters, any other event counts 1. So neighbouring pieces of an
answer are joined, or cut, wherever that helps, and "after number 12" means the same to every reader.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from operator import itemgetter
from typing import NamedTuple

from flowground.core.errors import FlowgroundError
from flowground.core.events import (
    ComponentFinished,
    Event,
    ModelThought,
    PassagesFound,
    Token,
    ToolReturned,
    TurnFinished,
    TurnStarted,
)
from flowground.store.runs.records import StoredMessage

_MOST_CHARS = 2048
"""Pieces of text are joined up to this many characters: a list of small pieces takes much more memory."""
_MOST_AT_ONCE = 1_000
"""Events in one list: making more would block the loop."""


class NumberedEvent(NamedTuple):
    """An event and its number in the run; a text has the number of its last character."""

    number: int
    event: Event


def count_numbers(event: Event) -> int:
    """How many numbers an event takes: the characters of a text, else 1."""
    return len(event.text) if isinstance(event, Token) else 1


class Journal:
    """The events of one run so far, on the loop of the run."""

    def __init__(self) -> None:
        self._entries: list[NumberedEvent] = []
        self._component, self._pieces = "", list[str]()
        """The text that grows, behind the entries."""
        self.count = 0
        """The number of the last event."""
        self._followers: set[asyncio.Event] = set()
        self._is_ended = False
        self.error: FlowgroundError | None = None
        """Why the ended run has no answer; None where it has one."""
        self.answers: Sequence[StoredMessage] = ()
        """The messages of the ended run, without steps, as they are stored; also where they are not."""

    @property
    def followers(self) -> int:
        """The number of present followers."""
        return len(self._followers)

    @property
    def size(self) -> int:
        """About the number of characters in the journal."""
        return sum(_count_chars(event) for event in self.list_events())

    def append(self, event: Event) -> None:
        """Adds the next event."""
        if not isinstance(event, Token):
            self._close_text()
            self.count += 1
            self._entries.append(NumberedEvent(self.count, event))
        elif event.text:
            grown = self.count - (self._entries[-1].number if self._entries else 0)
            if event.component_id != self._component or grown >= _MOST_CHARS:
                self._close_text()
            self._component = event.component_id
            self._pieces.append(event.text)
            self.count += len(event.text)
        for follower in self._followers:
            follower.set()

    def end(self, error: FlowgroundError | None = None) -> None:
        """Ends the journal; `error` is why the run has no answer."""
        self._is_ended, self.error = True, error
        for follower in self._followers:
            follower.set()

    async def follow(self, after: int = 0) -> AsyncGenerator[list[NumberedEvent], None]:
        """Every event after this number, in lists of those that are there, to the run's end; raises the error of a
        failed run."""
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                if batch := self.list_after(after, most=_MOST_AT_ONCE):
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

    def list_events(self, *, to: int | None = None) -> Sequence[Event]:
        """The events so far, those of an ended run from any thread; up to the number `to`, at which a text is cut."""
        self._close_text()
        events = [event for number, event in self._entries if to is None or number <= to]
        if to is not None and len(events) < len(self._entries):
            number, event = self._entries[len(events)]
            if isinstance(event, Token) and (left := len(event.text) - (number - to)) > 0:
                events.append(Token(event.component_id, event.text[:left]))
        return events

    def list_after(self, after: int, *, most: int | None = None) -> list[NumberedEvent]:
        """The events after this number that are there now, the first `most`."""
        if after >= self.count:
            return []
        self._close_text()
        first = bisect_right(self._entries, after, key=itemgetter(0))
        batch = self._entries[first : None if most is None else first + most]
        number, event = batch[0]
        if isinstance(event, Token) and (left := number - after) < len(event.text):
            batch[0] = NumberedEvent(number, Token(event.component_id, event.text[-left:]))
        return batch

    def _close_text(self) -> None:
        """Makes an entry of the text that grew, or adds it to the last one."""
        if not self._pieces:
            return
        text, self._pieces = "".join(self._pieces), []
        last = self._entries[-1].event if self._entries else None
        if isinstance(last, Token) and last.component_id == self._component and len(last.text) < _MOST_CHARS:
            text = last.text + text
            self._entries.pop()
        self._entries.append(NumberedEvent(self.count, Token(self._component, text)))


def _count_chars(event: Event) -> int:
    match event:
        case Token() | ComponentFinished() | ToolReturned() | ModelThought():
            return len(event.text)
        case PassagesFound():
            return sum(len(passage.text) for passage in event.passages)
        case TurnStarted():
            return len(event.input_value or "")
        case TurnFinished():
            return sum(len(result.text) for result in event.results.values())
        case _:
            return 0
