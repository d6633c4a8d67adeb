"""What the log says of a model's server that is down: when it begins and when it ends, not at each call."""

import pytest

from flowground.errors import ProviderError
from tests.chat_answers import ANSWER, CALL, KEY, all_of, model
from tests.wire import whole

pytestmark = pytest.mark.anyio


async def test_an_outage_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    down = whole({"error": {"message": f"Overloaded {KEY}"}}, status="503 Away")
    async with model([down], [down], [down], [ANSWER], [ANSWER], [down], retries=0) as (provider, _):
        for _ in range(3):
            with pytest.raises(ProviderError):
                await provider.complete(CALL)
        await all_of(provider)
        await provider.complete(CALL)
        with pytest.raises(ProviderError):
            await all_of(provider)
    begun = (
        "The provider 'mine' is down, which is told once: The provider 'mine' answered with status 503: Overloaded …"
    )
    assert [record.getMessage() for record in caplog.records] == [begun, "The provider 'mine' answers again.", begun]


async def test_a_call_that_is_refused_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    async with model([whole({"error": "no such model"}, status="404 No")], retries=0) as (provider, _):
        with pytest.raises(ProviderError):
            await provider.complete(CALL)
    assert caplog.records == []
