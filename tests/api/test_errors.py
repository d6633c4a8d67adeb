"""Every way to fail: status and body, Langflow's where it has one (research: langflow.md 1.4), and in which order."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flowground.api import incoming
from tests.api.calls import Api, until
from tests.api.langflow_shapes import recording
from tests.api.serving import serving
from tests.api.test_codes import table as list_statuses

RUN = "/api/v1/run/echo"
ORIGIN = {"origin": "http://example.com"}


async def test_no_key_is_refused_in_langflows_words_with_a_hint(api: Api) -> None:
    del api.client.headers["x-api-key"]
    response = await api.run("echo")
    assert response.status_code == recording("auth_none")["status"] == 403
    assert response.json()["detail"] == recording("auth_none")["body"]["detail"]
    assert response.json()["code"] == "api_key_missing"
    assert "API access" in response.json()["hint"]


async def test_nothing_is_told_or_done_without_a_good_token(api: Api) -> None:
    """Of all that the document names, but for what says that it needs none."""
    del api.client.headers["x-api-key"]
    paths = (await api.client.get("/api/openapi.json")).json()["paths"]
    calls = [(method, path) for path, ways in paths.items() for method, way in ways.items() if way["security"]]
    assert len(calls) > 20
    calls.remove(("post", "/api/v1/runs/{run_id}/decisions"))  # test_decisions.py sends it what it reads first
    for method, path in calls:
        for headers in ({}, {"x-api-key": "wrong"}, {"cookie": "flowground=x"}):
            address = re.sub(r"{\w+}", "echo", path) + "?name=x"
            answer = await api.client.request(method, address, headers=headers)
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_the_first_thing_wrong_is_the_one_that_is_said(tmp_path: Path, query: str) -> None:
    """The key, its limit, the flow, what is asked, and then the model."""
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 3}}) as api:
        key = api.client.headers.pop("x-api-key")
        calls = [("unknown", "", b"{"), ("unknown", "wrong", b"{"), ("unknown", key, b"{"), ("fetching", key, b"{")]
        said = []
        for flow, sent, body in [*calls, ("fetching", key, b"{}"), ("unknown", key, b"{")]:
            headers = {"content-type": "application/json"} | ({"x-api-key": sent} if sent else {})
            said.append(await api.client.post(f"/api/v1/run/{flow}{query}", content=body, headers=headers))
        assert [answer.status_code for answer in said] == [403, 403, 404, 422, 503, 429]
        assert [answer.headers["content-type"] for answer in said] == ["application/json"] * 6
        left = [answer.headers.get("x-ratelimit-remaining") for answer in said]
        assert left == [None, None, "2", "1", "0", "0"]


async def test_a_server_that_ends_says_so_before_it_asks_for_a_key(api: Api) -> None:
    await api.runtime.stop_runs(0)
    del api.client.headers["x-api-key"]
    answer = await api.client.post("/api/v1/run/unknown", content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


@pytest.mark.parametrize("sent", ["{}", "{} ", " {}", "{}\t"])
async def test_key_in_query_and_bearer_are_honoured_and_the_query_wins(api: Api, sent: str) -> None:
    """Blanks around it do not count."""
    key = sent.format(api.client.headers.pop("x-api-key"))
    assert (await api.run("echo", headers={"x-api-key": key})).status_code == 200
    assert (await api.run("echo", headers={"authorization": f"Bearer {key}"})).status_code == 200
    assert (await api.run("echo", query=f"?x-api-key={quote(key)}")).status_code == 200
    assert (await api.run("echo", query="?x-api-key=bad", headers={"x-api-key": key})).status_code == 403


async def test_an_unknown_flow_is_not_found(api: Api) -> None:
    response = await api.run("no-such-flow")
    assert response.status_code == 404
    hint = "There is no such flow, or this token does not reach it."
    assert response.json() == recording("flow_unknown_name")["body"] | {"code": "flow_not_found", "hint": hint}


@pytest.mark.parametrize(("body", "case"), [(b'{"input_value": ', "run_malformed_json"), (b"[1,2]", "run_json_array")])
async def test_a_body_that_is_no_object_is_refused_in_langflows_words(api: Api, body: Any, case: Any) -> None:
    response = await api.client.post(RUN, content=body)
    assert response.status_code == recording(case)["status"] == 422
    assert response.json() == recording(case)["body"] | {"code": "request_invalid"}


async def test_a_bad_stream_word_is_refused_in_langflows_words(api: Api) -> None:
    response = await api.run("echo", query="?stream=maybe")
    says = recording("run_bad_stream_query")["body"] | {"code": "request_invalid"}
    assert (response.status_code, response.json()) == (422, says)
    assert (await api.run("echo", query="?shape=round")).json()["detail"][0]["loc"] == ["query", "shape"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"input_type": "voice"}, ["input_type"]),
        ({"input_value": 5}, ["input_value"]),
        ({"tweaks": "abc"}, ["tweaks"]),
        ({"session_id": 5}, ["session_id"]),
        ({"input_request": {"input_type": "voice"}}, ["input_request", "input_type"]),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field_and_never_its_value(api: Api, body: Any, place: Any) -> None:
    response = await api.run("echo", body)
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["loc"] == ["body", *place]
    assert "input" not in problem


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_while_the_model_is_fetched_callers_are_asked_to_come_back(api: Api, query: Any) -> None:
    response = await api.run("fetching", {"input_value": "x"}, query=query)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    detail = response.json()["detail"]
    assert (detail["code"], detail["component"]) == ("model_not_ready", "Model")
    assert detail["progress"] == {"received": 400, "total": 1000}


async def test_a_body_over_the_limit_is_too_large(api: Api) -> None:
    response = await api.client.post(RUN, content=b"x" * 3_145_729)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_nobody_fills_the_memory_with_bodies_that_come_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "_MOST_COMING", 1_000)
    goes_on = asyncio.Event()

    async def send() -> AsyncIterator[bytes]:
        yield b'{"input_value": "x"' + b" " * 3_000_000
        await goes_on.wait()
        yield b"}"

    first = [asyncio.create_task(api.client.post(RUN, content=send())) for _ in range(2)]
    await until(lambda: asyncio.sleep(0, sum(incoming._coming.values()) > 6_000_000))
    (refused,) = [await api.client.post(RUN, content=send())]
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "server_busy", "5")
    _, others = await api.token()
    large = b'{"input_value": "x"' + b" " * 1_000_000 + b"}"
    mine, theirs = [await api.client.post(RUN, content=large, headers=headers) for headers in (None, others)]
    assert (mine.status_code, theirs.status_code) == (503, 200)
    goes_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*first)] == [200, 200]
    assert not incoming._coming


async def test_unknown_paths_and_methods_answer_json(api: Api) -> None:
    calls = [("GET", RUN, 405), ("POST", "/health", 405), ("POST", f"{RUN}/", 404)]
    for method, path, status in [*calls, *(("GET", f"{start}/nothing", 404) for start in ("/api/v1", "/api", "/v1"))]:
        response = await api.client.request(method, path)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        codes = {404: "not_found", 405: "method_not_allowed"}
        assert response.json() == {"detail": HTTPStatus(status).phrase, "code": codes[status]}
    for path, methods in ((RUN, "POST"), ("/api/v2/files/", "DELETE, GET, POST"), ("/api/v1/runs/x", "GET")):
        assert (await api.client.patch(path)).headers["allow"] == methods


async def test_no_refusal_repeats_a_message_a_body_or_a_key(api: Api) -> None:
    secret = "sk-a-secret-in-the-wrong-place"
    broken = f'{{"input_value": "{secret}"'.encode()
    answers = [
        await api.run("echo", {"input_value": [secret], "session_id": {secret: secret}, "tweaks": secret}),
        await api.run("echo", {"input_value": secret * 8_000}),
        await api.run("echo", {"input_value": secret, "tweaks": {"ChatInput": {"input_value": secret}}}),
        await api.run("chat", {"tweaks": {"Model": {"model": secret}}}),
        await api.run("echo", query=f"?stream={secret}&shape={secret}"),
        await api.run("failing", {"input_value": secret}),
        await api.client.post(RUN, content=broken),
        await api.run("echo", headers={"x-api-key": secret}),
        await api.client.get(f"/api/v1/monitor/messages?order={secret}&limit={secret}"),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 400, 422, 422, 502, 422, 403, 422]
    assert all(answer.json()["code"] for answer in answers)
    assert not [answer.text for answer in answers if secret in answer.text]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_refused_as_such(api: Api, encoding: str) -> None:
    content = gzip.compress(b'{"input_value": "hi"}')
    response = await api.client.post(RUN, content=content, headers={"content-encoding": encoding})
    assert (response.status_code, response.json()["code"]) == (415, "body_compressed")
    assert response.headers["accept-encoding"] == "identity"
    assert (await api.run("echo", headers={"content-encoding": "identity"})).status_code == 200


async def test_the_document_says_how_to_be_let_in_what_is_accepted_and_what_comes_back(api: Api) -> None:
    document = (await api.client.get("/api/openapi.json")).json()
    assert {"200", "403", "404", "503"} <= document["paths"]["/api/v1/flows/{flow_id}"]["get"]["responses"].keys()
    on_pages = (401, 405)
    told = document["paths"]["/api/v1/run/{flow_id}"]["post"]["responses"]
    assert {int(code) for code in told} == {200, 202, *set(list_statuses().values()).difference(on_pages)}
    error = document["components"]["schemas"]["Error"]
    assert error["required"] == ["detail", "code"]
    for way in (way for ways in document["paths"].values() for way in ways.values()):
        for code, answer in way["responses"].items():
            assert code < "400" or answer["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
    found = {item["name"]: item["schema"] for item in document["paths"]["/api/v1/run/{flow_id}"]["post"]["parameters"]}
    words = ("true", "True", "1", "yes", "ON", "false", "0", "", "sse", "SSE")
    for word in (*words, "maybe", "truee", "2"):
        accepted = (await api.run("echo", query=f"?stream={word}")).status_code == 200
        assert accepted == (re.search(found["stream"]["pattern"], word) is not None) == (word in words), word
    listing = document["paths"]["/api/v1/monitor/messages"]["get"]["parameters"]
    [order] = [item["schema"] for item in listing if item["name"] == "order"]
    for word in ("ASC", "desc", "Asc", "up", ""):
        answer = await api.client.get(f"/api/v1/monitor/messages?order={word}")
        assert (answer.status_code == 200) == (re.search(order["pattern"], word) is not None) == (len(word) > 2), word
    operation = document["paths"]["/api/v1/run/{flow_id}"]["post"]
    assert [list(way) for way in operation["security"]] == [["key"], ["bearer"]]
    assert document["components"]["securitySchemes"]["key"]["name"] == "x-api-key"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/health"]["get"]["security"] == []
    langflow, simple = operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
    for schema, query in ((langflow, ""), (simple, "?shape=simple")):
        answer = (await api.run("chat", {"input_value": "hi", "unheard_of": 1}, query=query)).json()
        assert answer.keys() == schema["properties"].keys()
        assert answer.keys() - {"warnings"} == set(schema["required"])
    answer = (await api.run("chat")).json()
    outer = langflow["properties"]["outputs"]["items"]["properties"]
    assert answer["outputs"][0].keys() == outer.keys()
    assert answer["outputs"][0]["outputs"][0].keys() >= outer["outputs"]["items"]["properties"].keys()


async def test_health_and_version_are_told_to_anybody(api: Api) -> None:
    """Load balancers may ask for heads."""
    del api.client.headers["x-api-key"]
    assert (await api.client.get("/health")).json() == {"status": "ok"}
    assert (await api.client.get("/health_check")).json() == {"status": "ok", "chat": "ok", "db": "ok"}
    assert (await api.client.get("/api/v1/version")).json()["package"] == "Flowground"
    for path in ("/health", "/health_check", "/healthz"):
        head = await api.client.head(path)
        assert (head.status_code, head.headers["content-type"]) == (200, "application/json")


async def test_other_origins_may_call_with_a_key(api: Api) -> None:
    for path in (RUN, f"/lf/t{RUN}", "/api/v1/flows/", "/api/v1/monitor/messages"):
        preflight = await api.client.options(path, headers=ORIGIN | {"access-control-request-method": "POST"})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")
    answer = await api.run("echo", headers=ORIGIN)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"].split(", ")[:3] == [
        *("flowground-run-id", "idempotency-replayed", "retry-after")
    ]


async def test_other_origins_learn_nothing_without_one(api: Api) -> None:
    asked = ORIGIN | {"access-control-request-method": "GET"}
    for path in ("/health", "/health_check", "/api/v1/version", "/api/openapi.json", "/api/v1/nothing"):
        answers = [await api.client.get(path, headers=asked), await api.client.options(path, headers=asked)]
        assert [answer.headers.get("access-control-allow-origin") for answer in answers] == [None, None]
