"""The plain run, against what the real Langflow answered (tests/api/recordings)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acting import ACTING, SUM
from tests.api.api_flows import FLOWS
from tests.api.calls import Api, find_message
from tests.api.langflow_shapes import events, recording, shape
from tests.api.serving import serving

OUTER = """
components:
  ChatInput: {type: ChatInput}
  First: {type: RunFlow, flow: agent, input_value: "${ChatInput}", step: {on_error: continue}}
  Second: {type: RunFlow, flow: agent, input_value: "${First}", step: {on_error: continue}}
  ChatOutput: {type: ChatOutput, input_value: "${Second}"}
"""


async def list_outputs(api: Api, flow: str, **body: Any) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = (await api.run(flow, body)).json()["outputs"][0]["outputs"]
    return outputs


@pytest.mark.parametrize(
    ("flow", "types", "case"),
    [
        ("chat", {"input_type": "chat", "output_type": "chat"}, "run_basic"),
        ("echo", {}, "run_echo"),
        ("both", {"output_type": "text"}, "multi_output_type_text"),
    ],
)
async def test_a_run_answers_in_langflows_shape(api: Api, flow: str, types: dict[str, str], case: str) -> None:
    response = await api.run(flow, {"input_value": "hello world!"} | types)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert shape(response.json()) == shape(recording(case)["body"])


@pytest.mark.parametrize("said", ["five", "one\ntwo\n\nthree\n"])
async def test_the_text_stands_in_all_five_places(api: Api, said: str) -> None:
    [output] = await list_outputs(api, "echo", input_value=said)
    message = output["results"]["message"]
    places = [message["text"], message["data"]["text"], output["artifacts"]["message"]]
    assert [*places, output["outputs"]["message"]["message"], output["messages"][0]["message"]] == [said] * 5


async def test_endpoint_name_and_hosted_path_reach_the_same_flow(api: Api) -> None:
    for path in ("/api/v1/run/chat", "/api/v1/run/talk", "/lf/any-tenant/api/v1/run/talk"):
        response = await api.client.post(path, json={"input_value": "x"})
        assert response.status_code == 200, path


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_value": null}'])
async def test_without_input_the_flows_own_value_is_used(api: Api, body: Any) -> None:
    answer = (await api.client.post("/api/v1/run/echo", content=body)).json()
    assert answer["outputs"][0]["inputs"] == {}
    answer = (await api.client.post("/api/v1/run/chat", content=body)).json()
    assert json.loads(find_message(answer)["text"])["messages"][-1]["content"] == "Hello"


async def test_every_form_of_body_is_taken(api: Api) -> None:
    said, run = {"input_value": "said"}, "/api/v1/run/echo"
    answers = [
        await api.client.post(run, json={"input_request": said}),
        await api.client.post(run, json={"input_request": 5} | said),
        await api.client.post(run, content=json.dumps(said), headers={"content-type": "text/plain"}),
        await api.client.post(run, content=json.dumps(said), headers={"content-type": ""}),
        await api.client.post(run, data=said | {"tweaks": "{}"}, files={"ignored": b"x"}),
    ]
    assert [find_message(answer.json())["text"] for answer in answers] == ["said"] * 5


async def test_output_component_selects_by_id_and_display_name(api: Api) -> None:
    for wanted in ("TextOutput", "Text Output"):
        outputs = await list_outputs(api, "both", input_value="x", output_component=wanted)
        assert [item["component_id"] for item in outputs] == ["TextOutput"]
    nothing = (await api.run("both", {"input_value": "x", "output_component": "Nope-123"})).json()
    assert shape(nothing) == shape(recording("run_output_component_unknown")["body"])
    told = events((await api.run("both", {"output_component": "Nope-123"}, query="?stream=true")).text)
    assert told[-1]["data"]["result"]["outputs"][0]["outputs"] == []
    inner = await api.run("tweaked", {"output_component": "Prompt"}, query="?shape=simple")
    assert inner.json()["text"] == "Talk of tea, kindly."


async def test_an_output_that_is_not_there_asks_no_model(api: Api) -> None:
    """Langflow's shape answers nothing, as its own does; ours says what is wrong, what is inside alike."""
    _, answers_only = await api.token(sees="answers")
    for headers, names in ((None, ("Nope",)), (answers_only, ("Nope", "Prompt"))):
        for query in ("?shape=simple", "?stream=sse", "?stream=sse&shape=simple", "?stream=true&shape=simple"):
            for name in names:
                refused = await api.run("failing", {"output_component": name}, query=query, headers=headers)
                assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")
                assert refused.json()["detail"][0]["loc"] == ["body", "output_component"]
                assert refused.json()["hint"] == "Its outputs: ChatOutput." or headers
    assert await api.count_runs("failing") == 0
    assert (await api.run("failing", {"output_component": "Nope"})).status_code == 200  # its model fails when asked


@pytest.mark.parametrize(
    ("flow", "output_type", "found"),
    [
        ("both", "any", {"ChatOutput", "TextOutput"}),
        ("chat", "debug", {"ChatInput", "Prompt", "Model", "ChatOutput"}),
        ("echo", "text", {"ChatOutput"}),
    ],
)
async def test_output_type_any_gives_all_outputs_and_debug_every_component(
    api: Api, flow: str, output_type: str, found: set[str]
) -> None:
    outputs = await list_outputs(api, flow, input_value="x", output_type=output_type)
    assert {item["component_id"] for item in outputs} == found


async def test_a_flow_of_texts_answers_without_any_chat_and_shows_its_input_under_debug(api: Api) -> None:
    (output,) = await list_outputs(api, "wordy", input_value="milk", input_type="text")
    assert output["results"]["text"]["text"] == output["outputs"]["text"]["message"] == "milk"
    assert output["artifacts"]["text"] == {"repr": "milk", "raw": "milk", "type": "text"}
    given, shown = await list_outputs(api, "wordy", input_value="hi", input_type="text", output_type="debug")
    assert (given["component_id"], shown["component_id"]) == ("Topic", "TextOutput")
    assert given["results"] == shown["results"]
    assert given["results"]["text"]["text"] == "hi"
    assert given["messages"] == [{**shown["messages"][0], "component_id": "Topic"}]


@pytest.mark.parametrize(
    ("input_type", "text"),
    [("chat", "Topic: default topic User: hi"), ("text", "Topic: hi User: "), ("any", "Topic: hi User: hi")],
)
async def test_input_type_says_which_input_gets_the_text(api: Api, input_type: str, text: str) -> None:
    (output,) = await list_outputs(api, "both", input_value="hi", input_type=input_type, output_type="text")
    assert output["results"]["text"]["text"] == text


async def test_two_hundred_runs_at_once_keep_their_tweaks_apart(api: Api) -> None:
    async def one(number: int) -> tuple[int, Any]:
        tweaks = {"Model": {"temperature": number / 1000}}
        seen = json.loads(await api.text("chat", {"input_value": str(number), "tweaks": tweaks}))
        return int(seen["messages"][-1]["content"]), seen["options"]["temperature"]

    answers = await asyncio.gather(*(one(number) for number in range(200)))
    assert answers == [(number, number / 1000) for number in range(200)]
    assert json.loads(await api.text("chat", {"input_value": "after"}))["options"] == {"temperature": 0.1}


@pytest.mark.parametrize(("said", "answer"), [("a refund", "You said: a refund"), ("my order", "my order")])
async def test_the_branch_that_ran_answers(api: Api, said: str, answer: str) -> None:
    assert await api.text("branching", {"input_value": said, "session_id": "s"}) == answer
    stream = events((await api.run("branching", {"input_value": said}, query="?stream=true")).text)
    assert find_message(stream[-1]["data"]["result"])["text"] == answer
    assert [message["text"] for message in await api.messages(session_id="s")] == [said, answer]


async def test_a_run_whose_outputs_were_skipped_is_complete_without_an_answer(api: Api) -> None:
    body = {"input_value": "hello", "session_id": "s"}
    plain = await api.run("branching", body)
    assert (plain.status_code, plain.json()["outputs"]) == (200, [{"inputs": {"input_value": "hello"}, "outputs": []}])
    assert (await api.run("branching", body, query="?shape=simple")).json()["text"] == ""
    stream = events((await api.run("branching", body, query="?stream=true")).text)
    assert [event["event"] for event in stream] == ["add_message", "end"]
    assert stream[-1]["data"]["result"]["outputs"][0]["outputs"] == []


async def test_data_comes_as_data_in_the_simple_shape(api: Api) -> None:
    wanted = [{"title": "One", "said": "One"}, {"title": "Two", "said": "Two"}]
    found = (await api.run("papers", {"input_value": "x"}, query="?shape=simple")).json()
    assert found["data"] == wanted
    assert json.loads(found["text"].partition("\n\n")[0]) == wanted[0]
    stream = (await api.run("papers", {"input_value": "x"}, query="?stream=sse&shape=simple")).text
    assert json.loads(stream.rpartition("data: ")[2])["data"] == wanted


@pytest.mark.parametrize(("flow", "reason"), [("cut", "length"), ("spoken", None)])
async def test_an_answer_that_max_tokens_cut_says_so_in_every_shape(api: Api, flow: str, reason: str | None) -> None:
    body = {"input_value": "one two three four", "session_id": "s"}
    message = find_message((await api.run(flow, body)).json())
    simple = (await api.run(flow, body, query="?shape=simple")).json()
    stream = events((await api.run(flow, body, query="?stream=true")).text)
    ends = [stream[-2]["data"], find_message(stream[-1]["data"]["result"]), (await api.messages(session_id="s"))[-1]]
    said = [simple, *(item["properties"] for item in (message, message["data"], *ends))]
    assert [item.get("finish_reason") for item in said] == [reason] * 6
    assert ("finish_reason" in message["properties"]) is (reason is not None)


async def test_a_run_ends_over_its_budget(tmp_path: Path) -> None:
    prices = {"currency": "EUR", "models": {"scripted": {"input": 1e6, "output": 1e6}}}  # a token costs one

    async def ask(flow: str, limit: str, most: float) -> httpx2.Response:
        config, flows = {"limits": {limit: most}, "prices": prices}, FLOWS | ACTING | {"outer": OUTER}
        async with serving(tmp_path / f"{flow}-{most}", config=config, flows=flows) as api:
            return await api.run(flow, {"input_value": SUM}, query="?shape=simple")

    cost = (await ask("agent", "run_money", 1_000)).json()["usage"]["total_tokens"]
    assert (await ask("outer", "run_money", 1_000)).status_code == 200
    assert (await ask("agent", "run_money", cost + 1)).status_code == 200
    for flow, limit, most in (("outer", "run_money", cost + 1), ("papers", "run_steps", 3)):
        told = await ask(flow, limit, most)
        assert (told.status_code, told.json()["code"]) == (422, "run_over_budget")
        assert f"limits.{limit}" in told.json()["hint"]
        assert limit == "run_steps" or f"more than {cost + 1} EUR" in told.json()["detail"]["message"]
    assert (await ask("agent", "run_money", 0.5)).status_code == 422
