"""The largest requests with an idempotency key keep nobody waiting, and their repeats neither."""

import httpx2
import pytest

from flowground.runtime.stream_turns import StreamTurns
from tests.api.calls import Api
from tests.api.test_large_requests import TWEAKED, body, text
from tests.heartbeat import stays_responsive

pytestmark = pytest.mark.anyio
CASES = {name: TWEAKED[name] for name in ("the largest message", "as many lists as may be", "a long output")} | {
    name: TWEAKED[name] for name in ("tweaks of unknown fields", "a text as long as an answer", "long numbers")
}


@pytest.mark.parametrize("case", CASES)
async def test_the_largest_requests_with_a_key_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = CASES[case]
    content = build()
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        for query in ("", "?stream=sse"):
            headers = {"idempotency-key": "k"}
            answers.append(await api.client.post(f"/api/v1/run/tweaked{query}", content=content, headers=headers))
            api.runtime._stream_turns = StreamTurns()  # the next repeat is told from the store

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers[::2]} == {status}, answers[0].text[:300]
    first = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert len(first) == (1 if status == 200 else len(answers))


async def test_the_largest_answer_of_many_components_is_kept_and_told_again(api: Api) -> None:
    content = body({"input_value": text(190_000, "日本"), "output_type": "debug"})
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        headers = {"idempotency-key": f"k{len(answers)}"}
        for _ in range(2):
            answers.append(await api.client.post("/api/v1/run/both", content=content, headers=headers))
            api.runtime._stream_turns = StreamTurns()

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].content == answers[1].content
