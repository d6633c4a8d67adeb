"""What each kind of token sees and sets, asked over the wire: every cell of docs/sharing.md and more."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowground.core.caller import Role, Sees, Sets
from tests.access_matrix import token_rights
from tests.api.calls import Api
from tests.api.serving import serving

FREE = """\
name: Free
components:
  ChatInput: {type: ChatInput}
  Lore: {type: Prompt, template: "Ahab hunts in {manner}.", manner: haste}
  Whale: {type: LanguageModel, model: "scripted:echo", system_message: "${Lore}", input_value: "${ChatInput}",
    temperature: 0.125}
  ChatOutput: {type: ChatOutput, input_value: "${Whale}"}
"""
FLOWS = {
    "free": FREE,
    "listed": FREE.replace("Free", "Listed") + "api: {overridable: [{field: Whale.temperature, max: 1}]}\n",
    "failing": FREE.replace("Free", "Failing").replace("scripted:echo", "scripted:fail"),
    "telling": FREE.replace("Free", "Telling").replace("scripted:echo", "scripted:json"),
}
INSIDE = ("Whale", "Lore", "Ahab", "manner", "haste", "scripted", "0.125", "Language Model")
"""Of a prompt, ids that are no output's, a name, and the values of a protected and of another field."""
RIGHTS: dict[str, tuple[Sees, Sets]] = {
    "new": ("answers", "opened"),
    "that sets": ("answers", "unprotected"),
    "that sees": ("inside", "opened"),
    "that sees and sets": ("inside", "unprotected"),
}
ROLES: dict[str, Role] = {"root": "admin", "olga": "author", "mia": "member"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def open_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with serving(tmp_path_factory.mktemp("rights"), flows=FLOWS) as api:
        for name, role in ROLES.items():
            await api.add(name, role=role)
        await api.share(*FLOWS)
        yield api


async def use(api: Api, owner: str | None, rights: str) -> None:
    sees, sets = RIGHTS[rights]
    _, headers = await api.token(owner=owner, sees=sees, sets=sets)
    api.client.headers.update(headers)


async def run(api: Api, flow: str, body: Any, *, query: str = "") -> tuple[int, str | None, str]:
    """Status, our code, and all that was said."""
    told, text = await api.read_outcome(flow, {"input_value": "hi"} | body, query=query)
    return told["status"], told.get("code"), text


async def tweak(api: Api, flow: str, field: str, value: Any, *, query: str) -> str:
    status, code, said = await run(api, flow, {"tweaks": {"Whale": {field: value}}}, query=query)
    if code == "token_may_not_set":
        assert status == 422
        assert "Make one that may set fields under API access" in said
        return "lacks"
    return "sets" if status == 200 else f"{status}" if code == "TWEAKS_REFUSED" else f"{status} {code}"


async def debug(api: Api, *, query: str) -> str:
    """Every component's text, or the outputs' alone; the same for one inner component."""
    inner = await run(api, "free", {"output_component": "Lore"}, query=query)
    status, code, said = await run(api, "free", {"output_type": "debug"}, query=query)
    assert (inner[:2], "Ahab" in inner[2]) == ((status, code), "Ahab" in said)
    if code == "token_may_not_see":
        unknown = await run(api, "free", {"output_component": "Nobody"}, query=query)
        assert (unknown, status) == (inner, 403)
        assert "Make one that sees the inside under API access" in said
        return "lacks"
    assert status == 200
    return "all" if "Ahab" in said else "outputs"


async def messages(api: Api, *, query: str) -> str:
    _, _, said = await run(api, "free", {"session_id": "s"}, query=query)
    kept = json.dumps(await api.messages(session_id="s"))
    assert "You said: hi" in kept
    assert ("Whale" in said, "scripted" in said) == ("Whale" in kept, "scripted" in kept)
    return "sources" if "Whale" in said and "scripted" in said else "texts" if "scripted" not in said else "other"


async def failure(api: Api, *, query: str) -> str:
    status, code, said = await run(api, "failing", {}, query=query)
    assert (status, code) == (502, "model_failed")
    kept = await api.messages(flow_id="failing")
    run_id = kept[-1]["session_metadata"]["graph_run_id"]
    told = (await api.client.get(f"/api/v1/runs/{run_id}")).text
    whole = ["Component 'Whale' failed" in text for text in (said, json.dumps(kept[-1]), told)]
    assert len(set(whole)) == 1
    assert whole[0] or all("The model failed." in text for text in (said, json.dumps(kept[-1]), told))
    return "whole" if whole[0] else "kind"


async def components(api: Api) -> str:
    listed = {flow["id"]: flow for flow in (await api.client.get("/api/v1/flows/")).json()}
    one = (await api.client.get("/api/v1/flows/free")).json()
    assert listed["free"] == one
    return "none" if one["data"] is None else "all" if "Ahab" in json.dumps(one["data"]) else "some"


@pytest.mark.parametrize("query", ["", "?stream=true"], ids=["plain", "stream"])
@pytest.mark.parametrize("owner", [*ROLES, None])
@pytest.mark.parametrize("rights", RIGHTS)
async def test_every_cell(open_api: Api, rights: str, owner: str | None, query: str) -> None:
    api = open_api
    await use(api, owner, rights)
    kind = ("member", "any") if owner == "mia" else ("author", rights)
    [row] = [row for row in token_rights() if (row["whose"], row["token"]) == kind]
    found = {
        "opened": await tweak(api, "listed", "temperature", 0.5, query=query),
        "unprotected": await tweak(api, "free", "temperature", 0.5, query=query),
        "protected": await tweak(api, "free", "model", "scripted", query=query),
        "debug": await debug(api, query=query),
        "messages": await messages(api, query=query),
        "failure": await failure(api, query=query),
        "components": await components(api),
    }
    assert found == {key: cell for key, cell in row.items() if key not in ("whose", "token")}
    token = (await api.client.get("/api/v1/me")).json()["token"]
    assert (token["sees"], token["sets"]) == (
        "inside" if row["debug"] == "all" else "answers",
        "unprotected" if row["unprotected"] == "sets" else "opened",
    )
    document = await api.client.get("/api/openapi.json")
    assert not [word for word in ("Whale", "Lore", "Ahab") if word in document.text]


names = st.sampled_from(["Whale", "Lore", "Language Model", "Prompt", "ChatInput", "ChatOutput", "Whail", ""])
keys = st.sampled_from(["temperature", "model", "template", "manner", "input_value", "max_tokens", "api_key", "code"])
values = st.none() | st.integers(-3, 3) | st.text(max_size=3) | st.sampled_from(["{a}", "Hi {manner}", "scripted:fail"])
wrapped = values | values.map(lambda value: {"value": value})
bodies = st.fixed_dictionaries(
    {"tweaks": st.dictionaries(names | keys, wrapped | st.dictionaries(keys, wrapped, max_size=2), max_size=3)},
    optional={
        "output_type": st.sampled_from(["debug", "any", "text"]),
        "output_component": st.sampled_from(["Whale", "Lore", "Prompt", "ChatOutput", "x"]),
    },
)


@given(
    bodies,
    st.sampled_from(["free", "listed", "failing"]),
    st.sampled_from([("olga", "new"), ("olga", "that sets"), (None, "new"), ("mia", "that sees and sets")]),
    st.sampled_from(["", "?stream=true", "?stream=sse", "?shape=simple"]),
)
@settings(max_examples=120, deadline=None)
async def test_a_token_that_does_not_see_is_told_nothing_of_the_inside(
    open_api: Api, body: Any, flow: str, who: tuple[str | None, str], query: str
) -> None:
    """Whatever it sends, no word comes back but what it sent itself, or the author listed as open."""
    await use(open_api, *who)
    response = await open_api.run(flow, {"input_value": "hi", "session_id": "p"} | body, query=query)
    sent = json.dumps(body) + ("Whale.temperature" if flow == "listed" else "")
    assert not [word for word in INSIDE if word in response.text and word not in sent], response.text
    newest = await open_api.messages(session_id="p", order="DESC", limit=4)
    told = json.dumps(newest)
    for run_id in {message["session_metadata"]["graph_run_id"] for message in newest}:
        told += (await open_api.client.get(f"/api/v1/runs/{run_id}")).text
    assert not [word for word in INSIDE if word in told], told


async def test_events_of_a_run_that_saw_the_inside_are_told_to_no_token_that_does_not(open_api: Api) -> None:
    await use(open_api, "olga", "that sees")
    said = await open_api.run("free", {"input_value": "hi", "output_type": "debug"}, query="?stream=sse")
    run_id = said.text.partition("id: ")[2].partition("/")[0]
    assert "Ahab" in (await open_api.client.get(f"/api/v1/runs/{run_id}/events")).text
    await use(open_api, "olga", "new")
    refused = await open_api.client.get(f"/api/v1/runs/{run_id}/events")
    assert (refused.status_code, refused.json()["code"]) == (403, "token_may_not_see")
    found = await open_api.client.get(f"/api/v1/runs/{run_id}")
    assert (found.status_code, "Ahab" in found.text) == (200, False)


async def test_what_failed_under_one_token_is_told_to_another_of_the_person_by_what_it_sees(open_api: Api) -> None:
    await use(open_api, "root", "that sees")
    await open_api.run("failing", {"input_value": "hi", "session_id": "f"})
    whole = await open_api.messages(session_id="f")
    assert "Component 'Whale' failed" in str(whole)
    run_id = whole[-1]["session_metadata"]["graph_run_id"]
    await use(open_api, "root", "new")
    found = await open_api.messages(session_id="f")
    told = await open_api.client.get(f"/api/v1/runs/{run_id}")
    assert [item["text"] for item in found] == ["hi", "The flow failed."]
    assert [answer["error"] for answer in told.json()["answers"]] == ["The flow failed."]
    assert not [word for word in INSIDE if word in str(found) + told.text]
