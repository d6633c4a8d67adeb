"""From a script's thread to the runtime's loop: values in order, errors, and an early end."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from flowground.errors import RunError
from flowground.ui.page import bridge
from tests.in_process import runtime_of
from tests.servers import write_folder


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path) -> Iterator[None]:
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={})):
        yield


class Counting:
    """Counts for as long as somebody listens."""

    def __init__(self, *, end: int = 1_000_000, fails: bool = False) -> None:
        self.end = end
        self.fails = fails
        self.closed = threading.Event()

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.end):
                await asyncio.sleep(0.001)
                yield number
            if self.fails:
                raise RunError("no more")
        finally:
            self.closed.set()


def test_values_come_in_order() -> None:
    found = bridge.read_batches(Counting(end=5).numbers())
    assert [number for batch in found for number in batch] == [0, 1, 2, 3, 4]


def test_an_error_comes_after_the_values() -> None:
    numbers = (number for batch in bridge.read_batches(Counting(end=3, fails=True).numbers()) for number in batch)
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RunError, match="no more"):
        next(numbers)


def test_stopping_early_closes_the_generator() -> None:
    counting = Counting()
    found = bridge.read_batches(counting.numbers())
    assert next(found)[0] == 0
    found.close()
    assert counting.closed.wait(5)


def test_call_gives_results_and_errors() -> None:
    async def double(number: int) -> int:
        if number < 0:
            raise TimeoutError("its own")
        return number * 2

    assert bridge.call(double(4)) == 8
    with pytest.raises(TimeoutError, match="its own"):
        bridge.call(double(-1))
