"""Our own two additions: the simple body and true server-sent events."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from flowground.api.stream import write_sse
from tests.api.calls import Api

pytestmark = pytest.mark.anyio


def _sse(raw: Any) -> Any:
    """(id, event, data) of each server-sent event."""
    for block in raw.split("\n\n"):
        if block and not block.startswith(":"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            run, _, place = fields["id"].partition("/")
            yield (run, tuple(map(int, place.split(".")))), fields["event"], json.loads(fields["data"])


async def test_the_simple_shape_is_one_flat_object(api: Api) -> None:
    body = (await api.run("spoken", {"input_value": "hi", "session_id": "s"}, query="?shape=simple")).json()
    assert list(body) == ["text", "session_id", "flow_id", "version", "usage"]
    assert (body["text"], body["session_id"], body["flow_id"]) == ("You said: hi", "s", "spoken")
    assert body["usage"].keys() == {"input_tokens", "output_tokens", "total_tokens"}


async def test_several_outputs_stand_one_after_the_other_in_the_simple_shape(api: Api) -> None:
    body = (await api.run("both", {"input_value": "x", "output_type": "any"}, query="?shape=simple")).json()
    assert body["usage"]["total_tokens"] > 0
    assert "Topic: default topic User: x" in body["text"].split("\n\n")


async def test_an_unknown_shape_is_refused(api: Api) -> None:
    response = await api.run("echo", query="?shape=round")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", "shape"]


async def test_sse_is_what_event_sources_read(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "hi there"}, query="?stream=sse")
    assert response.headers["content-type"].startswith("text/event-stream")
    found = list(_sse(response.text))
    runs, places = {run for (run, _), _, _ in found}, [place for (_, place), _, _ in found]
    assert len(runs) == 1
    assert "" not in runs
    assert places == sorted(set(places))
    assert [event for _, event, _ in found][:3] == ["add_message", "add_message", "token"]
    assert "".join(data["chunk"] for _, event, data in found if event == "token") == "You said: hi there"
    assert found[-1][1] == "end"


async def test_sse_in_the_simple_shape(api: Api) -> None:
    found = list(_sse((await api.run("spoken", {"input_value": "hi"}, query="?stream=sse&shape=simple")).text))
    assert {event for _, event, _ in found} == {"token", "end"}
    assert "".join(data["text"] for _, event, data in found if event == "token") == found[-1][2]["text"]


async def test_tokens_of_several_answers_can_be_told_apart_in_the_simple_shape(api: Api) -> None:
    query = "?stream=sse&shape=simple"
    found = list(_sse((await api.run("tweaked", {"input_value": "hi"}, query=query)).text))
    said: dict[str, str] = {}
    for _, event, data in found:
        if event == "token":
            said[data["id"]] = said.get(data["id"], "") + data["text"]
    assert len(said) == 2
    assert set(found[-1][2]["text"].split("\n\n")) == set(said.values())


async def test_silence_is_bridged_by_comments() -> None:
    go = asyncio.Event()

    async def slow() -> Any:
        await go.wait()
        yield "run/1", "end", "{}"

    async with aclosing(write_sse(slow(), heartbeat=0.01)) as frames:
        assert [await anext(frames) for _ in range(3)] == [b": still here\n\n"] * 3
        go.set()
        assert [frame async for frame in frames][-1] == b"id: run/1\nevent: end\ndata: {}\n\n"
