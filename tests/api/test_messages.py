"""What a caller may read back: its own sessions, the flows it may run; never somebody else's."""

from contextlib import aclosing
from typing import Any

import pytest

from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.events import Token
from flowground.store.people import members
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.langflow_shapes import recording
from tests.running import start_turn, take_turn, watch

SESSIONS = "/api/v1/monitor/messages/sessions"


async def test_messages_come_back_in_langflows_shape_and_order(api: Api) -> None:
    await api.run("spoken", {"input_value": "one", "session_id": "s"})
    await api.run("echo", {"input_value": "two", "session_id": "s"})
    found = await api.messages(session_id="s")
    assert [item["text"] for item in found] == ["one", "You said: one", "two", "two"]
    nothing = recording("messages_basic_session")["body"][0]["properties"]["source"]
    assert [item["properties"]["source"] for item in found[::2]] == [nothing, nothing]
    assert found[1]["properties"]["source"] == {
        "id": "Model",
        "display_name": "Language Model",
        "source": "scripted:echo",
    }
    assert list(found[0]) == list(recording("messages_basic_session")["body"][0])
    in_echo = await api.messages(flow_id="echo", order="DESC")
    assert [(item["sender"], item["text"]) for item in in_echo] == [("Machine", "two"), ("User", "two")]


@pytest.mark.parametrize("order", ["ASC", "DESC"])
async def test_messages_are_read_page_by_page(api: Api, order: str) -> None:
    """Of conversations that went on side by side, in the order they were said."""
    for number in range(12):
        await api.run(("echo", "spoken")[number % 2], {"input_value": str(number), "session_id": f"s{number % 3}"})
    whole = await api.messages(order=order)
    assert len(whole) == 24
    assert [item["text"] for item in whole if item["sender"] == "User"][:: 1 if order == "ASC" else -1] == [
        str(number) for number in range(12)
    ]
    for limit in (1, 5, 100):
        found: list[dict[str, Any]] = []
        while page := await api.messages(order=order, limit=limit, **({"after": found[-1]["id"]} if found else {})):
            assert len(page) <= limit
            found += page
        assert found == whole
    in_one = await api.messages(order=order, session_id="s1", after=whole[11]["id"])
    assert in_one == [item for item in whole[12:] if item["session_id"] == "s1"]
    _, other = await api.token()
    refused = [
        (await api.client.get("/api/v1/monitor/messages", params={"after": key}, headers=headers))
        for key, headers in ((whole[0]["id"], other), ("unknown", other), ("unknown", None))
    ]
    assert {(one.status_code, one.text) for one in refused} == {(422, refused[0].text)}


async def test_the_usage_of_a_runs_messages_adds_up_to_the_runs(api: Api) -> None:
    run = (await api.run("two", {"input_value": "hi", "session_id": "s"}, query="?shape=simple")).json()
    answers = [item["properties"] for item in await api.messages(session_id="s") if item["sender"] == "Machine"]
    assert run["usage"]["total_tokens"] > 0
    counted = [answer["usage"]["total_tokens"] for answer in answers if answer["usage"]]
    assert counted == [run["usage"]["total_tokens"]]
    assert [answer["source"]["id"] for answer in answers] == ["Model", "Model"]


async def test_a_stopped_and_a_failed_answer_say_so(api: Api) -> None:
    """Streamed, so that each has said something; what a stopped one said goes on, an empty one does not."""
    await _stop_after(api, "endless", "first", pieces=0)
    await _stop_after(api, "endless", "second", pieces=2)
    broken = await api.run("broken", {"input_value": "third", "session_id": "s"}, query="?stream=true")
    assert '"code": "model_unreachable"' in broken.text
    found = await api.messages(session_id="s")
    assert [(item["text"], item["properties"]["state"], item["category"]) for item in found] == [
        ("first", "complete", "message"),
        ("", "stopped", "message"),
        ("second", "complete", "message"),
        ("word1 word2 ", "stopped", "message"),
        ("third", "complete", "message"),
        ("You said: third", "failed", "error"),
    ]
    reasons = [block["contents"][0]["reason"] for item in found for block in item["content_blocks"]]
    assert reasons == ["Component 'Model' failed: The connection to the scripted model broke."]


async def _stop_after(api: Api, flow: str, text: str, *, pieces: int) -> None:
    """A caller who leaves after so many pieces of the answer."""
    caller = await api.find_caller()
    wired = await api.runtime.access.open_flow(caller, flow)
    request = RunRequest(input_value=text, session_id="s", stream=True)
    async with aclosing(take_turn(api.runtime, caller, wired, request)) as events:
        async for event in events:
            pieces -= isinstance(event, Token)
            if pieces <= 0:
                break


async def test_sessions_are_listed_and_deleted(api: Api) -> None:
    for session in ("a", "b"):
        await api.run("echo", {"input_value": "x", "session_id": session})
    assert (await api.client.get(SESSIONS, params={"flow_id": "echo"})).json() == ["b", "a"]
    for _ in range(2):
        assert (await api.client.delete("/api/v1/monitor/messages/session/a")).status_code == 204
    assert (await api.client.get(SESSIONS)).json() == ["b"]


async def test_one_caller_neither_reads_nor_continues_anothers_session(api: Api) -> None:
    turn = await start_turn(api.runtime, LOCAL_OWNER, "remember", RunRequest(input_value="secret", session_id="s"))
    async for _ in watch(turn):
        pass
    await api.run("remember", {"input_value": "mine", "session_id": "s"})
    _, other = await api.token()
    for headers in (None, other):
        assert "secret" not in str(await api.messages(headers, session_id="s"))
        answer = await api.run("remember", {"input_value": "?", "session_id": "s"}, headers=headers)
        assert "secret" not in answer.text
    assert (await api.client.delete("/api/v1/monitor/messages/session/s", headers=other)).status_code == 204
    assert "mine" in str(await api.messages(session_id="s"))


async def test_flows_are_listed_with_their_inside_for_authors_tokens(api: Api) -> None:
    answer = await api.client.get("/api/v1/flows")
    assert (answer.status_code, answer.json()) == (200, (await api.client.get("/api/v1/flows/")).json())
    listed = {item["id"]: item for item in answer.json()}
    assert (len(listed), listed["chat"]["endpoint_name"]) == (len(FLOWS), "talk")
    assert listed["chat"]["data"]["components"]["Prompt"]["fields"]["template"] == "Be brief."
    headers = (await api.client.get("/api/v1/flows/?header_flows=true")).json()
    assert [item["data"] for item in headers] == [None] * len(FLOWS)
    assert set(headers[0]) - {"version", "input_type", "output_type"} <= set(recording("flows_list_header")["body"][0])


async def test_a_flow_is_found_by_both_names_and_an_unknown_one_is_not(api: Api) -> None:
    for name in ("chat", "talk"):
        found = (await api.client.get(f"/api/v1/flows/{name}")).json()
        assert (found["id"], found["input_type"], found["output_type"]) == ("chat", "chat", "chat")
    unknown = await api.client.get("/api/v1/flows/nothing")
    assert (unknown.status_code, unknown.json()) == (404, unknown.json() | recording("flow_get_unknown")["body"])
    assert unknown.json()["code"] == "flow_not_found"


async def test_a_scoped_token_reaches_its_flows_and_no_other(api: Api) -> None:
    _, only_echo = await api.token(flows=("echo",))
    assert [item["id"] for item in (await api.client.get("/api/v1/flows/", headers=only_echo)).json()] == ["echo"]
    assert (await api.run("echo", headers=only_echo)).status_code == 200
    refused, unknown = [await api.run(flow, headers=only_echo) for flow in ("chat", "nothing")]
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["detail"].replace("chat", "nothing") == unknown.json()["detail"]


async def test_a_members_token_reaches_shared_flows_only_while_they_are_shared(api: Api) -> None:
    await api.add("mia", role="member")
    _, mias = await api.token(owner="mia")
    for shared, status in ((False, 404), (True, 200), (False, 404)):
        await api.share("echo", on=shared)
        assert (await api.run("echo", headers=mias)).status_code == status
        listed = (await api.client.get("/api/v1/flows/", headers=mias)).json()
        assert [(item["id"], item["data"]) for item in listed] == ([("echo", None)] if shared else [])
    await api.runtime.store.write(members.remove, member="mia", by="tests")
    assert (await api.run("echo", headers=mias)).status_code == 403
