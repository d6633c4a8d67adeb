"""Property: whatever a client received before its stream was cut, the same request with its key tells all of it again.

Byte for byte: while the run goes on, after its end, and from the store; in every shape and framing.
"""

import asyncio
import json
import uuid

import pytest

from flowground.runtime.stream_turns import StreamTurns
from tests.api.calls import Api
from tests.stored import list_runs

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.test_resuming import FLOWS_HERE, Line
from tests.api.test_resuming import serve as serve  # a fixture

STREAMS = ("stream=true", "stream=true&shape=simple", "stream=sse", "stream=sse&shape=simple")
WAYS = ("", "shape=simple", *STREAMS)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(FLOWS_HERE)),
    st.text(max_size=40),
    st.sampled_from(STREAMS),
    st.integers(1, 5_000) | st.none(),
    st.sampled_from([0, 0.004, 0.04]),
    st.permutations(WAYS),
)
def test_a_stream_that_was_cut_is_told_whole_again(
    serve: tuple[asyncio.Runner, Api],
    flow: str,
    said: str,
    first: str,
    reach: int | None,
    pause: float,
    again: tuple[str, ...],
) -> None:
    runner, api = serve
    runner.run(tell_again(api, flow, said, first, reach, pause, again))


async def tell_again(
    api: Api, flow: str, said: str, first: str, reach: int | None, pause: float, again: tuple[str, ...]
) -> None:
    key = uuid.uuid4().hex
    headers = [(b"x-api-key", api.client.headers["x-api-key"].encode()), (b"idempotency-key", key.encode())]
    body = json.dumps({"input_value": said}).encode()
    before = len(await api.runtime.store.read(list_runs, flow_id=flow, limit=10_000))
    cut = await Line(api, headers, reach).ask("POST", f"/api/v1/run/{flow}", query=first, body=body)
    await asyncio.sleep(pause)

    async def ask(way: str) -> tuple[int, bytes]:
        sent = {"idempotency-key": key, "content-type": "application/json"}
        told = await api.client.post(f"/api/v1/run/{flow}?{way}", content=body, headers=sent)
        assert told.headers["idempotency-replayed"] == "true"
        return told.status_code, told.content

    live = {way: await ask(way) for way in again}
    assert live[first][1].startswith(cut)
    assert reach is None or len(cut) == min(reach, len(live[first][1]))
    api.runtime._stream_turns = StreamTurns()
    assert {way: await ask(way) for way in again} == live
    assert len(await api.runtime.store.read(list_runs, flow_id=flow, limit=10_000)) == before + 1
