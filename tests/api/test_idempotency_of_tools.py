"""`Idempotency-Key`: what a flow sent to another server is not sent again by a repeat, whatever became of it."""

from pathlib import Path

import pytest

from tests.api.repeated_requests import ask, count_runs
from tests.api.serving import serving
from tests.wire import whole, wire

pytestmark = pytest.mark.anyio


async def test_what_was_sent_and_failed_is_not_sent_twice(tmp_path: Path) -> None:
    async with wire([whole({}, status="500 No")]) as server:
        flow = f"""
components:
  ChatInput: {{type: ChatInput}}
  Order:
    type: APIRequest
    method: POST
    url_input: {server.url}/orders
    body: {{item: "{{item}}"}}
    item: ${{ChatInput}}
  Said: {{type: Prompt, template: "{{v}}", v: "${{Order}}"}}
  ChatOutput: {{type: ChatOutput, input_value: "${{Said}}"}}
"""
        config = {"outgoing": {"private_networks": ["127.0.0.1"]}}
        async with serving(tmp_path, config=config, flows={"order": flow}) as api:
            answers = [await ask(api, "order") for _ in range(2)]
            assert [answer.status_code for answer in answers] == [500, 500]
            assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True]
            assert await count_runs(api, "order") == 1
        assert [asked.body for asked in server.asked] == [{"item": "a b c"}]
