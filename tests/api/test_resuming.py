"""Property: a stream that is cut anywhere, however often, and resumed says what an unbroken one says.

While the run goes on and after its end; cuts fall inside frames too, as those of networks do.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.acting import ALWAYS
from tests.api.api_flows import FLOWS
from tests.api.calls import Api, Line
from tests.api.langflow_shapes import Frame, frames, join
from tests.api.serving import serving

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given, settings
from hypothesis import strategies as st

_PROVIDERS = {
    "fast": {"type": "scripted"},
    "paced": {"type": "scripted", "delay": 0.003},
    "joined": {"type": "scripted", "pieces": [f"{number} " for number in range(200)]},
}


def speak(flow: str, model: str) -> str:
    """The flow with another model."""
    return re.sub(r"scripted:\w+", model, FLOWS[flow])


FLOWS_HERE = {
    "spoken": speak("spoken", "paced:echo"),
    "at-once": speak("spoken", "joined:echo"),
    "two": speak("two", "paced:echo"),
    "both": speak("both", "fast:echo"),
    "breaks": speak("spoken", "paced:breaks"),
    "fails": FLOWS["failing"],
    "acts": ALWAYS,
}


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Api]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        folder = tmp_path_factory.mktemp("api")
        api = runner.run(stack.enter_async_context(serving(folder, config={"providers": _PROVIDERS}, flows=FLOWS_HERE)))
        yield runner, api
        runner.run(stack.aclose())


CUTS = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 2), st.sampled_from([0, 0, 0.004, 0.04])), max_size=4)
"""Where it is cut, in thousandths of what is still to come, frames that the client did not keep, and seconds until it
comes again."""


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(FLOWS_HERE)), st.sampled_from(["langflow", "simple"]), CUTS, st.booleans())
def test_a_stream_that_is_cut_and_resumed_says_what_an_unbroken_one_says(
    serve: tuple[asyncio.Runner, Api], flow: str, shape: str, cuts: list[tuple[int, int, float]], by_header: bool
) -> None:
    runner, api = serve
    cut, whole = runner.run(tell_cut_and_whole(api, flow, shape, cuts, by_header=by_header))
    assert whole[-1][1] == ("error" if flow in ("breaks", "fails") else "end")
    assert len(whole) >= (1 if flow == "fails" else 2)
    assert join(cut) == join(whole)
    assert len({frame_id for frame_id, *_ in cut}) == len(cut)


async def tell_cut_and_whole(
    api: Api, flow: str, shape: str, cuts: list[tuple[int, int, float]], *, by_header: bool
) -> tuple[list[Frame], list[Frame]]:
    """What a client that is cut keeps in the end, and what one keeps who comes once more for all of it."""
    key = [(b"x-api-key", api.client.headers["x-api-key"].encode())]

    async def begin(reach: int | None) -> list[Frame]:
        body = json.dumps({"input_value": "one two  three vier fünf 六"}).encode()
        query = f"stream=sse&shape={shape}"
        return frames((await Line(api, key, reach).ask("POST", f"/api/v1/run/{flow}", query=query, body=body)).decode())

    async def resume(after: str, reach: int | None) -> list[Frame]:
        headers = [*key, (b"last-event-id", after.encode())] if by_header else key
        query = "" if by_header else f"after={after}"
        path = f"/api/v1/runs/{after.partition('/')[0]}/events"
        return frames((await Line(api, headers, reach).ask("GET", path, query=query)).decode())

    length = measure(await begin(None))
    told: list[Frame] = []
    for share, lost, wait in cuts:
        reach = share * (length - measure(told)) // 1_000
        told += await (resume(told[-1][0], reach) if told else begin(reach))
        told = told[: max(len(told) - lost, 1)]
        await asyncio.sleep(wait)
    told += await (resume(told[-1][0], None) if told else begin(None))
    return told, await resume(f"{told[0][0].partition('/')[0]}/0", None)


def measure(told: list[Frame]) -> int:
    """About its bytes."""
    return sum(len(frame_id) + len(event) + len(data) + 22 for frame_id, event, data in told)
