"""What runs in a process: its text is kept while it runs, and its end until it is stored."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from flowground.core.errors import StoreUnavailable
from flowground.core.events import Token
from flowground.core.messages import join_surrogates
from flowground.runs.journal import Journal
from flowground.runs.running import RunningRuns
from flowground.store import Store
from flowground.store.runs import chunks, progress, turns
from tests.run_rows import HERE, begin, eventually, has_status, started, statuses

pytestmark = pytest.mark.anyio


class Speaking:
    """A run that says what it is told to."""

    address = HERE
    kept, was_kept, followed_until = 0, False, 0.0

    def __init__(self) -> None:
        self.journal, self.ended = Journal(), asyncio.Event()
        self.turn = started("r", ["r answer"])
        self.journal.append(self.turn)

    def say(self, text: str) -> None:
        self.journal.append(Token("r answer", text))


def add(running: RunningRuns, run_id: str) -> Speaking:
    speaking: Any = Speaking()
    running.add(run_id, speaking)
    return cast(Speaking, speaking)


async def read_kept(store: Store) -> dict[str, str]:
    return progress.read_texts(await store.read(chunks.read, run_id="r"))


async def test_the_text_of_a_run_is_kept_while_it_runs(store: Store) -> None:
    await begin(store, "r", holder="h")
    running = RunningRuns(store, seconds=0.05)
    speaking = add(running, "r")

    async def is_kept() -> bool:
        return await read_kept(store) == {"r answer": said}

    assert not speaking.was_kept
    said = raw = ""
    for text in ("One", " two", " half a pair \ud83d", "\udc4b"):
        speaking.say(text)
        raw += text
        said = join_surrogates(raw).rstrip("\ufffd")
        await eventually(is_kept)
    assert said == "One two half a pair 👋"
    assert speaking.was_kept
    running.discard("r")
    await running.close()


async def test_events_of_a_followed_run_are_written_soon(store: Store) -> None:
    await begin(store, "r", holder="h")
    running = RunningRuns(store, seconds=10_000)
    add(running, "r").say("One")
    running.keep_soon(["r", "of another process"])

    async def is_kept() -> bool:
        return await read_kept(store) == {"r answer": "One"}

    await eventually(is_kept)
    await running.close()


async def test_a_run_that_is_over_soon_is_never_written(store: Store) -> None:
    """One such run follows another, each within the second that is soon here, while a long one is written twice."""
    await begin(store, "r", holder="h")
    running = RunningRuns(store, seconds=4)
    speaking = add(running, "r")
    for text, whole in (("One", "One"), (" two", "One two")):
        speaking.say(text)
        kept: dict[str, str] = {}
        while kept != {"r answer": whole}:
            short = add(running, "short")
            short.say("Hello")
            kept = await read_kept(store)
            assert not short.was_kept
            running.discard("short")
    running.discard("r")
    await running.close()


async def test_an_end_that_could_not_be_stored_is_tried_again(store: Store) -> None:
    run = await begin(store, "r", holder=store.process.id)
    running, tries = RunningRuns(store, seconds=0.02), 0

    async def write_end() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable
        await store.write(turns.end_run, run=replace(run, status="failed", error_code="store_busy"))

    async def fail() -> None:
        raise TypeError("a mistake of ours")

    running.write_later(fail)  # can never be stored, and keeps no other from it
    running.write_later(write_end)
    await eventually(lambda: has_status(store, "failed"))
    assert (tries, await statuses(store)) == (3, {"r": ("failed", "store_busy")})
    await running.close()
