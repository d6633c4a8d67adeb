"""From a script's thread to the runtime's loop and back."""

from collections.abc import Iterator
from pathlib import Path

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
