"""The passages that a run looked up, numbered so that an answer can cite them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.citations import NumberedPassage
from flowground.components.base import LookedUp, LookUp
from flowground.events import PassagesFound
from flowground.runner.inner import Events
from flowground.values import Record

_MOST = 1_000
"""Passages of one run that are kept to be cited."""
_LEAST = 500
"""Bytes of a passage that are worth giving where there is no room for all of it."""


@dataclass(slots=True)
class RunPassages:
    """Of a run and the flows within it: numbered from 1 in the order in which they were asked for, each once."""

    by_number: dict[int, NumberedPassage] = field(default_factory=dict)
    _numbers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _before: asyncio.Future[None] | None = None

    async def look_up(
        self,
        look_up: LookUp,
        events: Events,
        knowledge: str,
        question: str,
        *,
        is_hidden: bool = False,
        find_room: Callable[[], int] = lambda: 0,
        **how: Any,
    ) -> LookedUp:
        """As `LookUp` says, each record with its `number`; `events` are told which are new, and that they are
        `is_hidden`. `find_room` says how many bytes are given at most, 0 for all.

        What was asked for earlier has its numbers first, however long it takes.
        """
        before, done = self._before, asyncio.get_running_loop().create_future()
        self._before = done
        try:
            found = await look_up(knowledge, question, **how)
            if before:
                await asyncio.wait([before])
            records, new = self._take(_cut(found.records, find_room()), is_hidden=is_hidden)
        finally:
            if before and not before.done():  # it failed first: who comes after it waits for the one before
                before.add_done_callback(lambda _: done.set_result(None))
            else:
                done.set_result(None)
        if new:
            events.put(PassagesFound(new))
        return LookedUp(records, found.note)

    def _take(self, records: Sequence[Record], *, is_hidden: bool) -> tuple[list[Record], list[NumberedPassage]]:
        taken: list[Record] = []
        new: list[NumberedPassage] = []
        for record in records:
            key = (record["source"], record["start"], record["end"], record["text"])
            number = self._numbers.setdefault(key, len(self._numbers) + 1)
            taken.append({"number": number, **record})
            if number not in self.by_number and number <= _MOST:
                told = ("text", "source", "page", "title", "start", "end")
                known = {name: record[name] for name in told if name in record}
                new.append(NumberedPassage(number, **known, is_hidden=is_hidden))
                self.by_number[number] = new[-1]
            elif not is_hidden and number <= _MOST and self.by_number[number].is_hidden:
                self.by_number[number] = replace(self.by_number[number], is_hidden=False)
                new.append(self.by_number[number])
        return taken, new


def _cut(records: Sequence[Record], room: int) -> Sequence[Record]:
    """The best of them that have room together with their places, the last one as much of it as has."""
    if not room:
        return records
    kept: list[Record] = []
    for record in records:
        room -= len(f"[1] {record['source']}: {record.get('title', '')}".encode())
        if kept and room < _LEAST:
            break
        text = record["text"].encode()
        short = text[: max(0, room)].decode(errors="ignore")
        is_whole = len(text) <= room
        kept.append(record if is_whole else {**record, "text": short, "end": record["start"] + len(short)})
        room -= len(text)
    return kept
