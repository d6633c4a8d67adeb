"""The plain run, against what the real Langflow answered (tests/api/recordings)."""

import asyncio
import json
from typing import Any

import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import recording, shape

pytestmark = pytest.mark.anyio


async def test_a_run_answers_in_langflows_shape(api: Api) -> None:
    response = await api.run("chat", {"input_value": "hello world!", "input_type": "chat", "output_type": "chat"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert shape(response.json()) == shape(recording("run_basic")["body"])


async def test_an_echo_answers_in_langflows_shape(api: Api) -> None:
    body = (await api.run("echo", {"input_value": "hello world!"})).json()
    assert shape(body) == shape(recording("run_echo")["body"])


async def test_a_text_output_answers_in_langflows_shape(api: Api) -> None:
    body = (await api.run("both", {"input_value": "hello world!", "output_type": "text"})).json()
    assert shape(body) == shape(recording("multi_output_type_text")["body"])


async def test_the_text_stands_in_all_five_places(api: Api) -> None:
    body = (await api.run("echo", {"input_value": "five"})).json()
    output = body["outputs"][0]["outputs"][0]
    assert [
        output["results"]["message"]["text"],
        output["results"]["message"]["data"]["text"],
        output["outputs"]["message"]["message"],
        output["messages"][0]["message"],
        output["artifacts"]["message"],
    ] == ["five"] * 5


async def test_the_model_sees_what_the_flow_says(api: Api) -> None:
    seen = json.loads(await api.text("chat", {"input_value": 'it\'s "so"\n$HOME'}))
    assert seen["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": 'it\'s "so"\n$HOME'},
    ]
    assert seen["options"] == {"temperature": 0.1}


async def test_endpoint_name_and_hosted_path_reach_the_same_flow(api: Api) -> None:
    for path in ("/api/v1/run/chat", "/api/v1/run/talk", "/lf/any-tenant/api/v1/run/talk"):
        response = await api.client.post(path, json={"input_value": "x"})
        assert response.status_code == 200, path


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_value": null}'])
async def test_without_input_the_flows_own_value_is_used(api: Api, body: Any) -> None:
    answer = (await api.client.post("/api/v1/run/echo", content=body)).json()
    assert answer["outputs"][0]["inputs"] == {}
    answer = (await api.client.post("/api/v1/run/chat", content=body)).json()
    chat = json.loads(answer["outputs"][0]["outputs"][0]["artifacts"]["message"])
    assert chat["messages"][-1]["content"] == "Hello"


async def test_every_form_of_body_is_taken(api: Api) -> None:
    said = {"input_value": "said"}
    answers = [
        await api.client.post("/api/v1/run/echo", json={"input_request": said}),
        await api.client.post("/api/v1/run/echo", content=json.dumps(said), headers={"content-type": "text/plain"}),
        await api.client.post("/api/v1/run/echo", content=json.dumps(said), headers={"content-type": ""}),
        await api.client.post("/api/v1/run/echo", data=said | {"tweaks": "{}"}, files={"ignored": b"x"}),
    ]
    assert [answer.json()["outputs"][0]["outputs"][0]["artifacts"]["message"] for answer in answers] == ["said"] * 4


async def test_output_component_selects_by_id_and_display_name(api: Api) -> None:
    for wanted in ("TextOutput", "Text Output"):
        body = (await api.run("both", {"input_value": "x", "output_component": wanted})).json()
        assert [item["component_id"] for item in body["outputs"][0]["outputs"]] == ["TextOutput"]
    nothing = (await api.run("both", {"input_value": "x", "output_component": "Nope-123"})).json()
    assert shape(nothing) == shape(recording("run_output_component_unknown")["body"])


async def test_output_type_any_gives_all_outputs_and_debug_every_component(api: Api) -> None:
    both = (await api.run("both", {"input_value": "x", "output_type": "any"})).json()
    assert {item["component_id"] for item in both["outputs"][0]["outputs"]} == {"ChatOutput", "TextOutput"}
    every = (await api.run("chat", {"input_value": "x", "output_type": "debug"})).json()
    assert {item["component_id"] for item in every["outputs"][0]["outputs"]} == {
        "ChatInput",
        "Prompt",
        "Model",
        "ChatOutput",
    }


async def test_newlines_are_the_same_in_all_five_places(api: Api) -> None:
    said = "one\ntwo\n\nthree\n"
    [output] = (await api.run("echo", {"input_value": said})).json()["outputs"][0]["outputs"]
    message = output["results"]["message"]
    places = (message["text"], message["data"]["text"], output["artifacts"]["message"])
    assert {*places, output["outputs"]["message"]["message"], output["messages"][0]["message"]} == {said}


async def test_under_debug_a_text_input_has_its_message(api: Api) -> None:
    body = (await api.run("wordy", {"input_value": "hi", "input_type": "text", "output_type": "debug"})).json()
    given, shown = body["outputs"][0]["outputs"]
    assert (given["component_id"], shown["component_id"]) == ("Topic", "TextOutput")
    assert given["results"] == shown["results"]
    assert given["results"]["text"]["text"] == "hi"
    assert given["messages"] == [{**shown["messages"][0], "component_id": "Topic"}]


async def test_input_type_says_which_input_gets_the_text(api: Api) -> None:
    async def topic(input_type: str) -> str:
        body = {"input_value": "given", "input_type": input_type, "output_type": "text"}
        output = (await api.run("both", body)).json()["outputs"][0]["outputs"][0]
        text: str = output["results"]["text"]["text"]
        return text

    assert await topic("chat") == "Topic: default topic User: given"
    assert await topic("text") == "Topic: given User: "
    assert await topic("any") == "Topic: given User: given"


async def test_without_session_each_run_is_fresh_and_a_given_one_continues(api: Api) -> None:
    first = (await api.run("remember", {"input_value": "my name is Bob"})).json()
    second = (await api.run("remember", {"input_value": "who am I?"})).json()
    assert first["session_id"] != second["session_id"]
    seen = json.loads(await api.text("remember", {"input_value": "who am I?", "session_id": first["session_id"]}))
    memory = seen["messages"][0]["content"]
    assert "my name is Bob" in memory
    assert "who am I?" not in memory


async def test_two_hundred_runs_at_once_keep_their_tweaks_apart(api: Api) -> None:
    async def one(number: int) -> tuple[int, Any]:
        tweaks = {"Model": {"temperature": number / 1000}}
        seen = json.loads(await api.text("chat", {"input_value": str(number), "tweaks": tweaks}))
        return int(seen["messages"][-1]["content"]), seen["options"]["temperature"]

    answers = await asyncio.gather(*(one(number) for number in range(200)))
    assert answers == [(number, number / 1000) for number in range(200)]
    assert json.loads(await api.text("chat", {"input_value": "after"}))["options"] == {"temperature": 0.1}
