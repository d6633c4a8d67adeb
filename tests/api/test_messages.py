"""What a caller may read back: its own sessions, the flows it may run; never somebody else's."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.events import Token
from flowground.store.flows import publications
from flowground.store.people import members, tokens
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.langflow_shapes import recording
from tests.people import PASSWORD
from tests.running import start_turn, take_turn, watch

pytestmark = pytest.mark.anyio

MESSAGES = "/api/v1/monitor/messages"


async def _other_token(api: Api, **scope: Any) -> Any:
    _, secret = await api.runtime.store.write(
        tokens.create, **{"name": "other", "owner": None, "flows": None, "expires_at": None, "by": "tests"} | scope
    )
    return {"x-api-key": secret}


async def test_messages_come_back_in_langflows_shape_and_order(api: Api) -> None:
    await api.run("spoken", {"input_value": "one", "session_id": "s"})
    await api.run("echo", {"input_value": "two", "session_id": "s"})
    found = (await api.client.get(MESSAGES, params={"session_id": "s"})).json()
    assert [item["text"] for item in found] == ["one", "You said: one", "two", "two"]
    assert [list(item) for item in found[:1]] == [list(recording("messages_basic_session")["body"][0])]
    in_echo = (await api.client.get(MESSAGES, params={"flow_id": "echo", "order": "DESC"})).json()
    assert [(item["sender"], item["text"]) for item in in_echo] == [("Machine", "two"), ("User", "two")]


async def test_the_usage_of_a_runs_messages_adds_up_to_the_runs(api: Api) -> None:
    run = (await api.run("two", {"input_value": "hi", "session_id": "s"}, query="?shape=simple")).json()
    found = (await api.client.get(MESSAGES, params={"session_id": "s"})).json()
    answers = [item["properties"] for item in found if item["sender"] == "Machine"]
    assert len(answers) == 2
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
    found = (await api.client.get(MESSAGES, params={"session_id": "s"})).json()
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
    caller = await api.runtime.sign_in.verify_token(api.client.headers["x-api-key"])
    assert caller is not None
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
    assert (await api.client.get(f"{MESSAGES}/sessions", params={"flow_id": "echo"})).json() == ["b", "a"]
    for _ in range(2):
        assert (await api.client.delete(f"{MESSAGES}/session/a")).status_code == 204
    assert (await api.client.get(f"{MESSAGES}/sessions")).json() == ["b"]


async def test_one_caller_neither_reads_nor_continues_anothers_session(api: Api) -> None:
    turn = await start_turn(api.runtime, LOCAL_OWNER, "remember", RunRequest(input_value="secret", session_id="s"))
    async for _ in watch(turn):
        pass
    await api.run("remember", {"input_value": "mine", "session_id": "s"})
    other = await _other_token(api)
    own: dict[str, str] = {}
    for headers in (own, other):
        seen = (await api.client.get(MESSAGES, params={"session_id": "s"}, headers=headers)).text
        assert "secret" not in seen
        answer = await api.client.post(
            "/api/v1/run/remember", json={"input_value": "?", "session_id": "s"}, headers=headers
        )
        assert "secret" not in answer.text
    assert (await api.client.delete(f"{MESSAGES}/session/s", headers=other)).status_code == 204
    assert "mine" in (await api.client.get(MESSAGES, params={"session_id": "s"})).text


async def test_flows_are_listed_with_and_without_a_slash(api: Api) -> None:
    bare = await api.client.get("/api/v1/flows")
    assert bare.status_code == 200
    assert len(bare.json()) > 1
    assert bare.json() == (await api.client.get("/api/v1/flows/")).json()


async def test_flows_are_listed_with_their_inside_for_authors_tokens(api: Api) -> None:
    listed = {item["id"]: item for item in (await api.client.get("/api/v1/flows/")).json()}
    assert len(listed) == len(FLOWS)
    assert listed["chat"]["endpoint_name"] == "talk"
    assert listed["chat"]["data"]["components"]["Prompt"]["fields"]["template"] == "Be brief."
    headers = (await api.client.get("/api/v1/flows/?header_flows=true")).json()
    assert [item["data"] for item in headers] == [None] * len(FLOWS)
    assert set(headers[0]) - {"version", "input_type", "output_type"} <= set(recording("flows_list_header")["body"][0])


async def test_a_flow_is_found_by_both_names_and_an_unknown_one_is_not(api: Api) -> None:
    for name in ("chat", "talk"):
        found = (await api.client.get(f"/api/v1/flows/{name}")).json()
        assert (found["id"], found["input_type"], found["output_type"]) == ("chat", "chat", "chat")
    unknown = await api.client.get("/api/v1/flows/nothing")
    assert (unknown.status_code, unknown.json()) == (404, recording("flow_get_unknown")["body"])


async def test_a_scoped_token_reaches_its_flows_and_no_other(api: Api) -> None:
    only_echo = await _other_token(api, flows=("echo",))
    assert [item["id"] for item in (await api.client.get("/api/v1/flows/", headers=only_echo)).json()] == ["echo"]
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=only_echo)).status_code == 200
    refused = await api.client.post("/api/v1/run/chat", json={}, headers=only_echo)
    unknown = await api.client.post("/api/v1/run/nothing", json={}, headers=only_echo)
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["detail"].replace("chat", "nothing") == unknown.json()["detail"]


async def test_a_revoked_and_an_expired_token_end_at_once(api: Api) -> None:
    old = await _other_token(api, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=old)).status_code == 403
    token, secret = await api.runtime.store.write(
        tokens.create, name="x", owner=None, flows=None, expires_at=None, by="tests"
    )
    headers = {"x-api-key": secret}
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=headers)).status_code == 200
    await api.runtime.store.write(tokens.revoke, token_id=token.id, by="tests")
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=headers)).status_code == 403


async def test_a_members_token_reaches_shared_flows_only_while_they_are_shared(api: Api) -> None:
    await api.runtime.sign_in.roster.add("mia", role="member", password=PASSWORD, by="tests")
    mias = await _other_token(api, owner="mia")
    for shared, status in ((False, 404), (True, 200), (False, 404)):
        sharing = publications.Sharing(is_shared=shared, shares_api=True)
        await api.runtime.store.write(publications.change, flow_id="echo", sharing=sharing, by="tests")
        assert (await api.client.post("/api/v1/run/echo", json={}, headers=mias)).status_code == status
        listed = (await api.client.get("/api/v1/flows/", headers=mias)).json()
        assert [(item["id"], item["data"]) for item in listed] == ([("echo", None)] if shared else [])
    await api.runtime.store.write(members.remove, member="mia", by="tests")
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=mias)).status_code == 403


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/sessions", "/api/v1/flows/", "/api/v1/flows/echo"])
async def test_nothing_is_read_without_a_key(api: Api, path: Any) -> None:
    del api.client.headers["x-api-key"]
    assert (await api.client.get(path)).status_code == 403


async def test_a_bad_query_is_named_and_not_repeated(api: Api) -> None:
    response = await api.client.get(MESSAGES, params={"limit": "many-secrets"})
    assert response.status_code == 422
    assert "many-secrets" not in response.text
