"""Whose conversations and runs are: a person's by all their tokens, an organization token's by itself."""

from collections.abc import Mapping
from typing import Any

import pytest

from flowground.app import endpoint
from flowground.app.authorize import PersonTrying
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.events import TurnFinished
from tests.api.calls import Api
from tests.people import make_cookie

MESSAGES = "/api/v1/monitor/messages"
Headers = Mapping[str, str]


async def person(api: Api, name: str) -> Caller:
    """An author of this name, as their page has them."""
    await api.add(name)
    caller = await api.runtime.sign_in.verify_cookie(await make_cookie(api.runtime.sign_in, name))
    assert caller is not None
    return caller


async def list_tokens(api: Api, *owners: str | None, **scope: Any) -> list[dict[str, str]]:
    return [(await api.token(owner=owner, **scope))[1] for owner in owners]


async def say(api: Api, headers: Headers, text: str, *, flow: str = "remember", session: str = "s") -> str:
    """What the flow answers."""
    body = {"input_value": text, "session_id": session}
    response = await api.run(flow, body, query="?shape=simple", headers=headers)
    assert response.status_code == 200, response.text
    answer: str = response.json()["text"]
    return answer


async def read_texts(api: Api, headers: Headers, **query: str) -> list[str]:
    """What was said to flows, in order."""
    return [item["text"] for item in await api.messages(headers, **query) if item["sender"] == "User"]


async def test_what_one_token_said_another_of_the_person_goes_on_with(api: Api) -> None:
    await api.add("olga")
    one, two = await list_tokens(api, "olga", "olga")
    assert "plums" not in await say(api, two, "What did I buy?", session="another")
    await say(api, one, "I bought plums")
    assert "plums" in await say(api, two, "What did I buy?")
    for token in (one, two):
        assert await read_texts(api, token, session_id="s") == ["I bought plums", "What did I buy?"]
    run = await api.find_last_run(one)
    told = [(await api.client.get(f"/api/v1/runs/{run}", headers=token)).json() for token in (one, two)]
    assert told[0] == told[1]
    assert told[0]["status"] == "complete"
    assert (await api.client.post(f"/api/v1/runs/{run}/stop", headers=two)).json() == told[0]
    deleted = await api.client.delete(f"{MESSAGES}/session/s", headers=two)
    assert (deleted.status_code, await read_texts(api, one, session_id="s")) == (204, [])


async def test_somebody_elses_token_meets_a_run_that_is_not_there(api: Api) -> None:
    await api.add("olga", "bob")
    olgas, bobs, organizations = await list_tokens(api, "olga", "bob", None)
    await say(api, olgas, "mine")
    run = await api.find_last_run(olgas)
    assert (await api.client.get(f"/api/v1/runs/{run}", headers=olgas)).status_code == 200
    for headers in (bobs, organizations):
        assert (await api.client.get("/api/v1/runs", headers=headers)).json() == {"runs": [], "next": None}
        behind = [await api.client.get(f"/api/v1/runs?after={name}", headers=headers) for name in (run, "unknown")]
        assert (behind[0].status_code, behind[0].text.replace(run, "unknown")) == (404, behind[1].text)
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/stop")):
            urls = [f"/api/v1/runs/{name}{path}" for name in (run, "unknown")]
            theirs, unknown = [await api.client.request(method, url, headers=headers) for url in urls]
            assert (theirs.status_code, theirs.text.replace(run, "unknown")) == (404, unknown.text)
        assert await read_texts(api, headers) == []
        assert "mine" not in await say(api, headers, "again")
    assert [one["id"] for one in (await api.client.get("/api/v1/runs", headers=olgas)).json()["runs"]] == [run]
    assert await read_texts(api, olgas) == ["mine"]


async def test_a_run_of_a_persons_page_is_told_to_their_tokens_and_its_conversation_is_not(api: Api) -> None:
    olga = await person(api, "olga")
    wired = await api.runtime.access.open_flow(olga, "remember")
    answer = endpoint.Answer(api.runtime, olga, wired, RunRequest("on a page", session_id="s"))
    finished = await answer.finish()
    assert isinstance(finished, TurnFinished)
    (headers,) = await list_tokens(api, "olga")
    told = await api.client.get(f"/api/v1/runs/{finished.turn.run_id}", headers=headers)
    assert told.json()["status"] == "complete"
    assert await read_texts(api, headers) == []
    assert "on a page" not in await say(api, headers, "What did I say?")
    listed = (await api.client.get("/api/v1/runs", headers=headers)).json()["runs"]
    assert [run["id"] for run in listed if run["id"] != finished.turn.run_id] == [run["id"] for run in listed] != []


async def test_a_persons_trials_are_their_programs(api: Api) -> None:
    olga = await person(api, "olga")
    request = RunRequest("tried", session_id="s")
    trial = await endpoint.answer(api.runtime, PersonTrying(olga), address="remember", ask=request)
    assert await trial.finish() is not None
    (headers,) = await list_tokens(api, "olga")
    assert await read_texts(api, headers) == ["tried"]
    assert "tried" in await say(api, headers, "What did I say?")


async def test_a_tokens_scope_bounds_what_it_sees_and_deletes_of_the_persons(api: Api) -> None:
    await api.add("olga")
    (everywhere,) = await list_tokens(api, "olga")
    (only_echo,) = await list_tokens(api, "olga", flows=("echo",))
    await say(api, everywhere, "hi")
    await say(api, everywhere, "hi", flow="echo")
    assert await read_texts(api, everywhere) == ["hi", "hi"]
    assert await read_texts(api, only_echo) == ["hi"]
    run = await api.find_last_run(everywhere, flow_id="remember")
    assert (await api.client.get(f"/api/v1/runs/{run}", headers=only_echo)).status_code == 404
    listed = (await api.client.get("/api/v1/runs", headers=only_echo)).json()["runs"]
    assert [one["flow_id"] for one in listed] == ["echo"]
    assert (await api.client.delete(f"{MESSAGES}/session/s", headers=only_echo)).status_code == 204
    assert await read_texts(api, everywhere) == ["hi"]


def test_an_owner_is_written_as_before_and_read_back() -> None:
    owners = {f"{kind}:1~x": Owner(kind, "1~x") for kind in ("member", "token", "visitor", "local", "removed")}
    for text, owner in (owners | {"token:try:ada": Owner("programs", "ada")}).items():
        assert (str(owner), Owner.read(text)) == (text, owner)
    for text in ("", "ada", "programs:ada", "group:1"):
        with pytest.raises(ValueError, match="not an owner"):
            Owner.read(text)
