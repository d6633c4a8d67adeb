"""Property: a stream that is cut anywhere, however often, and resumed says what an unbroken one says.

While the run goes on and after its end; cuts fall inside frames too, as those of networks do.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowground.api import create_api
from tests.acting import ALWAYS
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.serving import serving

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given, settings
from hypothesis import strategies as st

_FRAME = re.compile(rb"id: ([^\n]+)\nevent: (\w+)\ndata: ([^\n]*)\n\n")
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


@dataclass
class Line:
    """A connection to the API in this process, over which `reach` bytes come before it is cut; None: all."""

    api: Api
    headers: list[tuple[bytes, bytes]]
    reach: int | None = None
    received: bytearray = field(default_factory=bytearray)
    _cut: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def ask(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> bytes:
        """What came."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [*self.headers, (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("flowground", 80),
        }

        async def receive() -> dict[str, Any]:
            if not self._asked:
                self._asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self._cut.wait()
            return {"type": "http.disconnect"}

        app: Callable[..., Awaitable[None]] = create_api(lambda: self.api.runtime)
        await app(scope, receive, self._take)
        return bytes(self.received)

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        room = None if self.reach is None else self.reach - len(self.received)
        self.received += message.get("body", b"")[:room]
        if self.reach is not None and len(self.received) >= self.reach:
            self._cut.set()


Told = list[tuple[str, str, bytes]]
"""Id, event and data of each frame that came whole."""


def read(received: bytes) -> Told:
    return [(id_.decode(), event.decode(), data) for id_, event, data in _FRAME.findall(received)]


def join(told: Told) -> list[Any]:
    """Neighbouring texts of one answer as one, with the id of the last: how they are cut is chance."""
    joined: list[Any] = []
    for frame_id, event, data in told:
        if event != "token":
            joined.append((frame_id, event, data))
            continue
        said = json.loads(data)
        text, answer = said.get("chunk", said.get("text")), said["id"]
        if joined and joined[-1][1:3] == ("token", answer):
            text = joined.pop()[3] + text
        joined.append((frame_id, "token", answer, text))
    return joined


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
) -> tuple[Told, Told]:
    """What a client that is cut keeps in the end, and what one keeps who comes once more for all of it."""
    key = [(b"x-api-key", api.client.headers["x-api-key"].encode())]

    async def begin(reach: int | None) -> Told:
        body = json.dumps({"input_value": "one two  three vier fünf 六"}).encode()
        query = f"stream=sse&shape={shape}"
        return read(await Line(api, key, reach).ask("POST", f"/api/v1/run/{flow}", query=query, body=body))

    async def resume(after: str, reach: int | None) -> Told:
        headers = [*key, (b"last-event-id", after.encode())] if by_header else key
        query = "" if by_header else f"after={after}"
        path = f"/api/v1/runs/{after.partition('/')[0]}/events"
        return read(await Line(api, headers, reach).ask("GET", path, query=query))

    length = measure(await begin(None))
    told: Told = []
    for share, lost, wait in cuts:
        reach = share * (length - measure(told)) // 1_000
        told += await (resume(told[-1][0], reach) if told else begin(reach))
        told = told[: max(len(told) - lost, 1)]
        await asyncio.sleep(wait)
    told += await (resume(told[-1][0], None) if told else begin(None))
    return told, await resume(f"{told[0][0].partition('/')[0]}/0", None)


def measure(told: Told) -> int:
    """About its bytes."""
    return sum(len(frame_id) + len(event) + len(data) + 22 for frame_id, event, data in told)
