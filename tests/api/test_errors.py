"""Every way to fail: status and body, Langflow's where it has one (research: langflow.md 1.4)."""

import gzip
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import recording

pytestmark = pytest.mark.anyio


async def test_no_key_is_refused_in_langflows_words_with_a_hint(api: Api) -> None:
    del api.client.headers["x-api-key"]
    response = await api.client.post("/api/v1/run/echo", json={})
    assert response.status_code == recording("auth_none")["status"] == 403
    assert response.json()["detail"] == recording("auth_none")["body"]["detail"]
    assert response.json()["code"] == "api_key_missing"
    assert "API access" in response.json()["hint"]


async def test_a_bad_key_is_refused_in_langflows_words(api: Api) -> None:
    response = await api.client.post("/api/v1/run/echo", json={}, headers={"x-api-key": "sk-bad"})
    assert response.status_code == 403
    assert response.json()["detail"] == recording("auth_bad_header")["body"]["detail"]


async def test_the_key_comes_before_body_and_flow(api: Api) -> None:
    del api.client.headers["x-api-key"]
    for path in ("/api/v1/run/echo", "/api/v1/run/no-such-flow"):
        assert (await api.client.post(path, content=b"{broken")).status_code == 403


async def test_key_in_query_and_bearer_are_honoured_and_the_query_wins(api: Api) -> None:
    key = api.client.headers["x-api-key"]
    del api.client.headers["x-api-key"]
    run = "/api/v1/run/echo"
    assert (await api.client.post(f"{run}?x-api-key={key}", json={})).status_code == 200
    assert (await api.client.post(run, json={}, headers={"authorization": f"Bearer {key}"})).status_code == 200
    assert (await api.client.post(f"{run}?x-api-key=bad", json={}, headers={"x-api-key": key})).status_code == 403


async def test_an_unknown_flow_is_not_found(api: Api) -> None:
    response = await api.run("no-such-flow")
    assert response.status_code == 404
    hint = "There is no such flow, or this token does not reach it."
    assert response.json() == recording("flow_unknown_name")["body"] | {"hint": hint}


@pytest.mark.parametrize(
    ("content", "case"), [(b'{"input_value": ', "run_malformed_json"), (b"[1,2]", "run_json_array")]
)
async def test_a_body_that_is_no_object_is_refused_in_langflows_words(api: Api, content: Any, case: Any) -> None:
    response = await api.client.post("/api/v1/run/echo", content=content)
    assert response.status_code == recording(case)["status"] == 422
    assert response.json() == recording(case)["body"]


async def test_a_bad_stream_word_is_refused_in_langflows_words(api: Api) -> None:
    response = await api.run("echo", query="?stream=maybe")
    assert (response.status_code, response.json()) == (422, recording("run_bad_stream_query")["body"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input_type": "voice"}, "input_type"),
        ({"input_value": 5}, "input_value"),
        ({"tweaks": "abc"}, "tweaks"),
        ({"session_id": 5}, "session_id"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field_and_never_its_value(api: Api, body: Any, field: Any) -> None:
    response = await api.run("echo", body)
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["loc"] == ["body", field]
    assert "input" not in problem


async def test_input_given_twice_is_refused_in_langflows_words(api: Api) -> None:
    response = await api.run("echo", {"input_value": "x", "tweaks": {"ChatInput": {"input_value": "y"}}})
    theirs = recording("tweak_chat_input_conflict")["body"]
    assert (response.status_code, response.json()) == (400, theirs | {"hint": "Send one of the two."})


async def test_a_protected_field_is_refused_in_langflows_shape(api: Api) -> None:
    response = await api.run("chat", {"tweaks": {"Model": {"model": "other:model"}}})
    assert response.status_code == 422
    detail, theirs = response.json()["detail"], recording("tweak_code_field")["body"]["detail"]
    assert detail.keys() == theirs.keys()
    assert (detail["error"], detail["code"]) == (theirs["error"], theirs["code"])


async def test_an_unknown_tweak_names_the_nearest_field(api: Api) -> None:
    response = await api.run("chat", {"tweaks": {"Model": {"temprature": 0.5}}})
    assert response.status_code == 422
    assert "temperature" in response.json()["detail"]["message"]


async def test_a_failing_model_is_a_bad_gateway_that_programs_can_read(api: Api) -> None:
    response = await api.run("failing", {"input_value": "x"})
    assert response.status_code == 502
    detail = response.json()["detail"]
    assert detail["code"] == "model_failed"
    assert detail["component"] == "Model"
    assert detail["provider_status"] == 500
    assert "Traceback" not in response.text


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_while_the_model_is_fetched_callers_are_asked_to_come_back(api: Api, query: Any) -> None:
    response = await api.run("fetching", {"input_value": "x"}, query=query)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    detail = response.json()["detail"]
    assert (detail["code"], detail["component"]) == ("model_not_ready", "Model")
    assert detail["progress"] == {"received": 400, "total": 1000}


async def test_a_busy_model_says_when_to_come_back(api: Api) -> None:
    response = await api.run("busy", {"input_value": "x"})
    assert response.status_code == 429
    assert response.json()["detail"]["provider_status"] == 429
    assert int(response.headers["retry-after"]) >= 1


async def test_a_body_over_the_limit_is_too_large(api: Api) -> None:
    response = await api.client.post("/api/v1/run/echo", content=b"x" * 3_145_729)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/run/echo", 405),
        ("POST", "/api/v1/run/echo/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/health", 405),
    ],
)
async def test_unknown_paths_and_methods_answer_json(api: Api, method: Any, path: Any, status: Any) -> None:
    response = await api.client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert "detail" in response.json()


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
        await api.client.post("/api/v1/run/echo", content=broken),
        await api.client.post("/api/v1/run/echo", json={}, headers={"x-api-key": secret}),
        await api.client.get(f"/api/v1/monitor/messages?order={secret}&limit={secret}"),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 400, 422, 422, 502, 422, 403, 422]
    for answer in answers:
        assert secret not in answer.text


@pytest.mark.parametrize("path", ["/health", "/health_check", "/healthz"])
async def test_load_balancers_may_ask_for_heads(api: Api, path: str) -> None:
    response = await api.client.head(path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_refused_as_such(api: Api, encoding: str) -> None:
    content = gzip.compress(b'{"input_value": "hi"}')
    response = await api.client.post("/api/v1/run/echo", content=content, headers={"content-encoding": encoding})
    assert (response.status_code, response.json()["code"]) == (415, "body_compressed")
    assert response.headers["accept-encoding"] == "identity"
    plain = await api.client.post("/api/v1/run/echo", json={}, headers={"content-encoding": "identity"})
    assert plain.status_code == 200


async def test_a_wrapped_body_that_does_not_fit_is_named_in_its_wrapping(api: Api) -> None:
    response = await api.run("echo", {"input_request": {"input_type": "voice"}})
    [problem] = response.json()["detail"]
    assert (response.status_code, problem["loc"]) == (422, ["body", "input_request", "input_type"])


@pytest.mark.parametrize("sent", ["{} ", " {}", "{}\t"])
async def test_blanks_around_a_key_do_not_count(api: Api, sent: str) -> None:
    key = sent.format(api.client.headers.pop("x-api-key"))
    assert (await api.client.post("/api/v1/run/echo", json={}, headers={"x-api-key": key})).status_code == 200
    bearer = {"authorization": f"Bearer {key}"}
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=bearer)).status_code == 200
    query = f"?x-api-key={quote(key)}"
    assert (await api.client.post(f"/api/v1/run/echo{query}", json={})).status_code == 200


async def test_the_document_says_what_is_accepted(api: Api) -> None:
    document = (await api.client.get("/api/openapi.json")).json()
    assert {"200", "403", "404"} <= document["paths"]["/api/v1/flows/{flow_id}"]["get"]["responses"].keys()
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


async def test_the_document_says_how_to_be_let_in_and_what_comes_back(api: Api) -> None:
    document = (await api.client.get("/api/openapi.json")).json()
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


async def test_health_version_and_openapi(api: Api) -> None:
    assert (await api.client.get("/health")).json() == {"status": "ok"}
    assert (await api.client.get("/health_check")).json() == {"status": "ok", "chat": "ok", "db": "ok"}
    assert (await api.client.get("/api/v1/version")).json()["package"] == "Flowground"
    paths = (await api.client.get("/api/openapi.json")).json()["paths"]
    assert "post" in paths["/api/v1/run/{flow_id}"]


async def test_other_origins_may_call_with_a_key(api: Api) -> None:
    preflight = await api.client.options(
        "/api/v1/run/echo", headers={"origin": "http://example.com", "access-control-request-method": "POST"}
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")
    answer = await api.client.post("/api/v1/run/echo", json={}, headers={"origin": "http://example.com"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "idempotency-replayed"


@pytest.mark.parametrize(
    "path", ["/health", "/health_check", "/api/v1/version", "/api/openapi.json", "/api/v1/nothing"]
)
async def test_other_origins_learn_nothing_without_one(api: Api, path: str) -> None:
    asked = {"origin": "http://example.com", "access-control-request-method": "GET"}
    answers = [await api.client.get(path, headers=asked), await api.client.options(path, headers=asked)]
    assert [answer.headers.get("access-control-allow-origin") for answer in answers] == [None, None]


@pytest.mark.parametrize(
    "path", ["/api/v1/run/echo", "/lf/t/api/v1/run/echo", "/api/v1/flows/", "/api/v1/monitor/messages"]
)
async def test_other_origins_may_ask_whatever_takes_a_key(api: Api, path: str) -> None:
    asked = {"origin": "http://example.com", "access-control-request-method": "GET"}
    answer = await api.client.options(path, headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize("address", ["/api/v1/monitor/messages?limit=fg_secret", "/api/v1/run/echo?stream=fg_secret"])
async def test_what_stood_in_a_refused_parameter_is_not_repeated(api: Api, address: str) -> None:
    answer = await (api.client.get if "monitor" in address else api.client.post)(address)
    assert (answer.status_code, "fg_secret" in answer.text) == (422, False)
