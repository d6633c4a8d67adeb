"""What runs in a process: its text is kept while it runs, and its end until it is stored."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from flowground.errors import StoreUnavailable
from flowground.running import RunningRuns
from flowground.store import Store
from flowground.store.runs import progress, turns
from tests.run_rows import HERE, begin, eventually, has_status, statuses

pytestmark = pytest.mark.anyio


@dataclass
class Speaking:
    """A run that says what it is told to."""

    text: str = ""
    address: Any = field(default_factory=lambda: HERE)

    @property
    def said_chars(self) -> int:
        return len(self.text)

    def read_texts(self) -> dict[str, str]:
        return {"r answer": self.text}


async def test_the_text_of_a_run_is_kept_while_it_runs(store: Store) -> None:
    await begin(store, "r", holder="h")
    running, speaking = RunningRuns(store, seconds=0.05), Speaking()
    running.add("r", speaking)

    async def is_kept() -> bool:
        return await store.read(progress.read_texts, run_id="r") == {"r answer": speaking.text}

    assert not running.was_kept("r")
    for text in ("One", "One two"):
        speaking.text = text
        await eventually(is_kept)
    assert running.was_kept("r")
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

    running.write_later(write_end)
    await eventually(lambda: has_status(store, "failed"))
    assert (tries, await statuses(store)) == (3, {"r": ("failed", "store_busy")})
    await running.close()
