"""From a script's thread to the runtime's loop and back."""

import asyncio
import concurrent.futures
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowground.ui.page import bridge
from tests.in_process import runtime_of
from tests.servers import write_folder


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path) -> Iterator[None]:
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={})):
        yield


def test_call_gives_results_and_errors() -> None:
    async def double(number: int) -> int:
        if number < 0:
            raise TimeoutError("its own")
        return number * 2

    assert bridge.call(double(4)) == 8
    with pytest.raises(TimeoutError, match="its own"):
        bridge.call(double(-1))


def test_a_job_that_ends_just_as_the_script_stops_waiting_gives_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's thread loses the processor for that moment."""
    result = concurrent.futures.Future.result

    def stop_waiting(future: concurrent.futures.Future[Any], timeout: float | None = None) -> Any:
        try:
            return result(future, timeout)
        except TimeoutError:
            concurrent.futures.wait([future])
            raise

    async def give() -> int:
        await asyncio.sleep(0.05)
        return 7

    monkeypatch.setattr(bridge, "_STEP", 0)
    monkeypatch.setattr(concurrent.futures.Future, "result", stop_waiting)
    assert bridge.call(give()) == 7
