"""`?stream=true`: Langflow's framing, bare JSON and a blank line, against its recordings."""

from typing import Any

import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import events, recording, shape

pytestmark = pytest.mark.anyio


def _first_of_each(found: Any) -> Any:
    """The first event of each kind and state; Langflow repeats complete messages, which says nothing new."""
    firsts: dict[Any, Any] = {}
    for event in found:
        state = event["data"].get("properties", {}).get("state")
        firsts.setdefault((event["event"], event["data"].get("sender"), state), shape(event))
    return firsts


def _data_keys(shaped: Any) -> Any:
    return [name for name, _ in dict(shaped)["data"]]


async def test_a_stream_has_langflows_events_and_shapes(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "hello world!"}, query="?stream=true")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    ours, theirs = events(response.text), events(recording("stream_basic")["body_raw"])
    mine, langflows = _first_of_each(ours), _first_of_each(theirs)
    assert mine.keys() == langflows.keys()
    for kind in mine:
        assert _data_keys(mine[kind]) == _data_keys(langflows[kind]), kind
    assert mine[("end", None, None)] == langflows[("end", None, None)]
    assert mine[("token", None, None)] == langflows[("token", None, None)]
    kinds = [event["event"] for event in ours]
    assert kinds[:3] == ["add_message", "add_message", "token"]
    assert kinds[-2:] == ["add_message", "end"]


async def test_an_echo_streams_in_langflows_shape(api: Api) -> None:
    response = await api.run("echo", {"input_value": "hello world!"}, query="?stream=true")
    assert [shape(event) for event in events(response.text)] == [
        shape(event) for event in events(recording("stream_echo")["body_raw"])
    ]


async def test_frames_are_ascii_json_lines_with_a_blank_line(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "žluťoučký 🐎"}, query="?stream=true")
    assert response.content.isascii()
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    assert [frame[:11] for frame in frames] == ['{"event": "'] * len(frames)
    tokens = [event["data"]["chunk"] for event in events(response.text) if event["event"] == "token"]
    assert "".join(tokens) == "You said: žluťoučký 🐎"


async def test_tokens_carry_the_id_of_the_message_they_build(api: Api) -> None:
    found = events((await api.run("spoken", {"input_value": "x"}, query="?stream=true")).text)
    answer = found[-1]["data"]["result"]["outputs"][0]["outputs"][0]["results"]["message"]["data"]["id"]
    assert {event["data"]["id"] for event in found if event["event"] == "token"} == {answer}


async def test_stream_in_the_body_is_honoured(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "x", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_false_tweak_gives_the_text_whole(api: Api) -> None:
    response = await api.run("spoken", {"input_value": "x", "tweaks": {"stream": False}}, query="?stream=true")
    kinds = [event["event"] for event in events(response.text)]
    assert "token" not in kinds
    assert kinds[-1] == "end"


async def test_a_failing_model_ends_the_stream_with_both_error_shapes_and_no_end(api: Api) -> None:
    response = await api.run("failing", {"input_value": "x"}, query="?stream=true")
    assert response.status_code == 200
    found = events(response.text)
    assert [event["event"] for event in found] == ["add_message", "error", "error"]
    theirs = events(recording("stream_error_500")["body_raw"])
    assert list(found[1]["data"]) == list(theirs[1]["data"])
    last = found[2]["data"]
    assert (last["code"], last["status"], last["detail"]["component"]) == ("model_failed", 502, "Model")
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("case", "tweaks"),
    [
        ("stream_tweak_conflict", {"ChatInput": {"input_value": "x"}}),
        ("stream_tweak_refused", {"Model": {"model": "x:y"}}),
    ],
)
async def test_refusals_come_as_one_error_event(api: Api, case: Any, tweaks: Any) -> None:
    found = events((await api.run("chat", {"input_value": "x", "tweaks": tweaks}, query="?stream=true")).text)
    (theirs,) = events(recording(case)["body_raw"])
    assert [event["event"] for event in found] == ["error"]
    assert theirs["data"].keys() <= found[0]["data"].keys()
