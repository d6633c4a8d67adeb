"""What models do, in the API: `content_blocks` as Langflow's clients read them, in streams, bodies and stored messages.

Langflow's shapes are those of `schema/content_types.py` and `base/agents/events.py` of langflow-ai/langflow.
"""

import json
from typing import Any

import pytest

from tests.acting import ACTING, NESTED, SUM, WRONG
from tests.api.calls import Api, find_message
from tests.api.langflow_shapes import events

OUTER = """
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: scripted, input_value: "${ChatInput}", tools: [Desk]}
  Desk: {type: RunFlow, flow: agent, step: {description: Knows sums.}}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
SERVED = ACTING | {"outer": OUTER}
SEES = {"title": "Agent Steps", "allow_markdown": True, "media_url": None}


def list_contents(message: Any) -> list[dict[str, Any]]:
    """Of the one block there is; message and data say it alike."""
    (block,) = message["content_blocks"]
    assert block | {"contents": []} == SEES | {"contents": []}
    if "data" in message:
        assert message["data"]["content_blocks"] == message["content_blocks"]
    contents: list[dict[str, Any]] = block["contents"]
    return contents


async def test_a_body_tells_each_call_in_langflows_shape(api: Api) -> None:
    told = (await api.run("agent", {"input_value": f"{SUM}\n{WRONG}", "session_id": "s"})).json()
    good, bad = list_contents(find_message(told))
    header = {"title": "Executed **Sums**", "icon": "Hammer"}
    called = {"name": "Sums", "tool_input": {"expression": "6*7"}, "output": "42", "error": None}
    wanted = {"type": "tool_use", "duration": good["duration"], "header": header} | called
    assert isinstance(good["duration"], int)
    assert list(good.items()) == list(wanted.items())
    assert bad["header"]["title"] == "Error using **Sums**"
    assert (bad["output"], bad["tool_input"]) == (None, {"expression": "six"})
    assert "failed" in bad["error"]
    (_, stored) = await api.messages(session_id="s")
    assert list_contents(stored) == [good, bad]
    without = (await api.run("agent", {"input_value": "Hello"})).json()
    assert find_message(without)["content_blocks"] == []


async def test_a_stream_sends_the_message_anew_at_each_call(api: Api) -> None:
    found = events((await api.run("agent", {"input_value": f"{SUM}\n{NESTED}"}, query="?stream=true")).text)
    added = [event["data"] for event in found if event["event"] == "add_message"]
    answers = [message for message in added if message["sender"] == "Machine"]
    assert len({answer["id"] for answer in answers}) == 1
    titles = [[one["header"]["title"] for one in list_contents(answer)] for answer in answers]
    executed, nested = "Executed **Sums**", ["Executed **Sums**", "Executed **Expert**", "Executed **Expert › Sums**"]
    assert titles[:3] == [["Accessing **Sums**"], [executed], [executed, "Accessing **Expert**"]]
    assert titles[-2:] == [nested, nested]
    assert [answer["properties"]["state"] for answer in answers] == ["partial"] * (len(answers) - 1) + ["complete"]
    assert found[-1]["event"] == "end"
    assert list_contents(find_message(found[-1]["data"]["result"])) == list_contents(answers[-1])


async def test_what_a_flow_calls_that_is_a_tool_stands_behind_its_name(api: Api) -> None:
    said = f"call Desk {json.dumps({'input_value': NESTED})}"
    told = (await api.run("outer", {"input_value": said, "session_id": "s"})).json()
    contents = list_contents(find_message(told))
    ways = ["Desk", "Desk › Expert", "Desk › Expert › Sums"]
    assert [one["header"]["title"] for one in contents] == [f"Executed **{way}**" for way in ways]
    assert [one["name"] for one in contents] == ["Desk", "Expert", "Sums"]
    (_, stored) = await api.messages(session_id="s")
    plain = [[one | {"duration": 0} for one in each] for each in (list_contents(stored), contents)]
    assert plain[0] == plain[1]  # durations are rounded once more where they are stored


async def test_the_short_shape_says_nothing_of_it(api: Api) -> None:
    told = events((await api.run("agent", {"input_value": SUM}, query="?shape=simple&stream=true")).text)
    assert {event["event"] for event in told} == {"token", "end"}
    assert told[-1]["data"].keys() == {"text", "run_id", "session_id", "flow_id", "version", "usage"}
    long = (await api.run("agent", {"input_value": SUM}, query="?stream=sse")).text
    assert "Accessing **Sums**" in long


@pytest.mark.parametrize("flow", ["agent", "shown"])
async def test_who_sees_answers_only_is_sent_names_unless_the_flow_shows_more(api: Api, flow: str) -> None:
    headers = (await api.token(sees="answers"))[1]
    said = {"input_value": 'call Sums {"expression": "1234567+1"}', "session_id": "s"}
    message = find_message((await api.run(flow, said, headers=headers)).json())
    stream = await api.run(flow, said, query="?stream=true", headers=headers)
    stored = await api.messages(headers, session_id="s")
    partial = next(event["data"] for event in events(stream.text) if event["data"].get("sender") == "Machine")
    for told in (message, partial, stored[1]):
        (call,) = list_contents(told)
        assert call.get("is_hidden", False) is (flow == "agent")
        assert (call["name"], call["tool_input"]) == ("Sums", {"expression": "1234567+1"} if flow == "shown" else {})
        assert (call["output"] is None) is (told is partial or flow == "agent")
        assert (call["duration"] is None) is (told is partial or flow == "agent")
