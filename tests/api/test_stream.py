"""`?stream=true`, Langflow's framing, against its recordings, and our additions: `?shape=simple` and `?stream=sse`."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from flowground.api.stream import write_sse
from tests.api.calls import Api, find_message
from tests.api.langflow_shapes import events, frames, join, recording, shape


def _first_of_each(found: Any) -> Any:
    """The first event of each kind and state; Langflow repeats complete messages, which says nothing new."""
    firsts: dict[Any, Any] = {}
    for event in found:
        state = event["data"].get("properties", {}).get("state")
        firsts.setdefault((event["event"], event["data"].get("sender"), state), shape(event))
    return firsts


async def stream(api: Api, flow: str, said: str = "hi", **more: Any) -> list[dict[str, Any]]:
    response = await api.run(flow, {"input_value": said} | more, query="?stream=true")
    assert response.status_code == 200
    return events(response.text)


async def test_a_stream_has_langflows_events_and_shapes(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "hello world!"}, query="?stream=true")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    ours, theirs = events(response.text), events(recording("stream_basic")["body_raw"])
    mine, langflows = _first_of_each(ours), _first_of_each(theirs)
    assert mine.keys() == langflows.keys()
    for kind in mine:
        ours_of, theirs_of = [[name for name, _ in dict(kinds[kind])["data"]] for kinds in (mine, langflows)]
        assert ours_of == theirs_of, kind
    assert mine[("end", None, None)] == langflows[("end", None, None)]
    assert mine[("token", None, None)] == langflows[("token", None, None)]
    kinds = [event["event"] for event in ours]
    assert (kinds[:3], kinds[-2:]) == (["add_message", "add_message", "token"], ["add_message", "end"])
    answer = find_message(ours[-1]["data"]["result"])["data"]["id"]
    assert {event["data"]["id"] for event in ours if event["event"] == "token"} == {answer}


async def test_an_echo_streams_in_langflows_shape(api: Api) -> None:
    theirs = events(recording("stream_echo")["body_raw"])
    assert [shape(event) for event in await stream(api, "echo")] == [shape(event) for event in theirs]


async def test_frames_are_ascii_json_lines_with_a_blank_line(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "žluťoučký 🐎"}, query="?stream=true")
    assert response.content.isascii()
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    assert [frame[:11] for frame in frames] == ['{"event": "'] * len(frames)
    tokens = [event["data"]["chunk"] for event in events(response.text) if event["event"] == "token"]
    assert "".join(tokens) == "You said: žluťoučký 🐎"


async def test_stream_in_the_body_is_honoured_and_the_query_decides_over_it(api: Api) -> None:
    body = {"input_value": "x", "stream": True}
    assert (await api.run("spoken", body)).headers["content-type"].startswith("text/event-stream")
    for query in ("?stream=false", "?stream=0", "?stream="):
        assert (await api.run("spoken", body, query=query)).headers["content-type"] == "application/json"


async def test_a_text_that_is_wanted_whole_comes_without_tokens(api: Api) -> None:
    """By a tweak, and by the flow's author."""
    for found in (await stream(api, "spoken", tweaks={"stream": False}), await stream(api, "whole")):
        assert [event["event"] for event in found] == ["add_message", "add_message", "end"]


async def test_a_failing_model_ends_the_stream_with_both_error_shapes_and_no_end(api: Api) -> None:
    found = await stream(api, "failing")
    assert [event["event"] for event in found] == ["add_message", "error", "error"]
    theirs = events(recording("stream_error_500")["body_raw"])
    assert list(found[1]["data"]) == list(theirs[1]["data"])
    last = found[2]["data"]
    assert (last["code"], last["status"], last["detail"]["component"]) == ("model_failed", 502, "Model")
    assert "Traceback" not in str(found)


@pytest.mark.parametrize(
    ("case", "tweaks"),
    [("stream_tweak_conflict", {"ChatInput": {"input_value": "x"}}), ("stream_tweak_refused", {"Model": {"code": 1}})],
)
async def test_refusals_come_as_one_error_event(api: Api, case: Any, tweaks: Any) -> None:
    (found,) = await stream(api, "chat", tweaks=tweaks)
    (theirs,) = events(recording(case)["body_raw"])
    assert found["event"] == "error"
    assert theirs["data"].keys() <= found["data"].keys()
    body = {"input_value": "hi", "tweaks": tweaks}
    plain, sse = [await api.run("chat", body, query=query) for query in ("", "?stream=sse")]  # nothing ran yet
    assert (sse.status_code, sse.json()) == (plain.status_code, plain.json())
    assert sse.status_code in (400, 422)


async def test_the_simple_shape_is_one_flat_object(api: Api) -> None:
    body = (await api.run("spoken", {"input_value": "hi", "session_id": "s"}, query="?shape=simple")).json()
    assert list(body) == ["text", "run_id", "session_id", "flow_id", "version", "usage"]
    assert (body["text"], body["session_id"], body["flow_id"]) == ("You said: hi", "s", "spoken")
    assert body["usage"].keys() == {"input_tokens", "output_tokens", "total_tokens"}


async def test_sse_is_what_event_sources_read(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "hi there"}, query="?stream=sse")
    assert response.headers["content-type"].startswith("text/event-stream")
    found = frames(response.text)
    ids = [(run, tuple(map(int, place.split(".")))) for run, _, place in (told[0].partition("/") for told in found)]
    assert ids[0][0]
    assert ids == sorted(set(ids))
    assert {run for run, _ in ids} == {ids[0][0]}
    assert [event for _, event, _ in found][:4] == ["start", "add_message", "add_message", "token"]
    assert [told[3] for told in join(found) if told[1] == "token"] == ["You said: hi there"]
    assert found[-1][1] == "end"


@pytest.mark.parametrize(("flow", "answers"), [("spoken", 1), ("tweaked", 2)])
async def test_sse_in_the_simple_shape_tells_several_answers_apart(api: Api, flow: str, answers: int) -> None:
    told = join(frames((await api.run(flow, {"input_value": "hi"}, query="?stream=sse&shape=simple")).text))
    assert {event for _, event, *_ in told} == {"start", "token", "end"}
    said: dict[str, str] = {}
    for _, _, answer, text in told[1:-1]:
        said[answer] = said.get(answer, "") + text
    assert len(said) == answers
    assert set(json.loads(told[-1][2])["text"].split("\n\n")) == set(said.values())


async def test_silence_is_bridged_by_comments() -> None:
    go = asyncio.Event()

    async def slow() -> Any:
        await go.wait()
        yield (1, 0), ("end", "{}")

    async with aclosing(write_sse(slow(), lambda frame: f"run/{frame[0]}", heartbeat=0.01)) as frames:
        assert [await anext(frames) for _ in range(3)] == [b": still here\n\n"] * 3
        go.set()
        assert [frame async for frame in frames][-1] == b"id: run/1\nevent: end\ndata: {}\n\n"
