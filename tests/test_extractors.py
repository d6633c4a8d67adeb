"""Files that are soon read do not wait for those that take long."""

import asyncio

import pytest

from flowground.extraction import ExtractionLimits
from flowground.extraction.extractors import Extractors

pytestmark = pytest.mark.anyio

SLOW = b"<html><body>" + b"<!" * 3_000_000
"""Each of these may begin a comment, and Python looks for its end."""


async def test_files_that_take_minutes_keep_those_of_others_from_nothing() -> None:
    extractors = Extractors(ExtractionLimits(seconds=600))
    slow = [asyncio.create_task(extractors.extract(SLOW, "slow.html")) for _ in range(3)]
    try:
        await asyncio.sleep(0)
        found = await asyncio.wait_for(extractors.extract(b"Hello", "soon.txt"), 300)
        assert found.text == "Hello"
        assert not any(task.done() for task in slow)
    finally:
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
        await extractors.close()
