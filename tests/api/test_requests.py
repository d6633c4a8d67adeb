"""What a client may send (langflow.md 1.1), and what of the answer's form clients rely on (1.2)."""

import json
import re
from typing import Any

import pytest

from tests.api.calls import Api, find_message

FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


async def said(api: Api, content: bytes, headers: dict[str, str], *, flow: str = "echo") -> str:
    response = await api.client.post(f"/api/v1/run/{flow}?shape=simple", content=content, headers=headers)
    assert response.status_code == 200, response.text
    text: str = response.json()["text"]
    return text


async def test_unknown_keys_are_ignored_with_a_warning(api: Api) -> None:
    body = {"input_value": "hi", "colour": "red", "sesion_id": "s"}
    ignored = "is no field of a run and was ignored"
    says = [f"`colour` {ignored}.", f"`sesion_id` {ignored} (did you mean session_id?)."]
    for query in ("", "?shape=simple"):
        assert (await api.run("echo", body, query=query)).json()["warnings"] == says
    stream = await api.run("echo", body, query="?stream=true")
    assert json.loads(stream.text.strip().split("\n\n")[-1])["data"]["result"]["warnings"] == says


async def test_what_holds_no_message_but_something_else_is_no_run(api: Api) -> None:
    """A webhook's payload, say. What was recorded of Langflow runs on the flow's own text."""
    payloads: list[dict[str, Any]] = [{"text": "hi"}, {"event": {"id": 1}}, {"messages": ["hi"]}]
    for payload in (*payloads, payloads[0] | {"input_value": None, "session_id": "s"}):
        for body, place in ((payload, []), ({"input_request": payload}, ["input_request"])):
            for query in ("", "?stream=true", "?stream=sse"):
                refused = await api.run("chat", body, query=query)
                assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")
                [problem] = refused.json()["detail"]
                assert problem["loc"] == ["body", *place, "input_value"]
                name = next(iter(payload))
                assert problem["msg"] == (
                    f"The message belongs in `input_value`, which is missing: `{name}` is no field of a run."
                )
    assert await api.count_runs("chat") == 0
    known: dict[str, Any] = {"user_id": "u", "context": {"a": 1}, "session_id": "s", "output_type": "chat"}
    for body in ({}, known, {"number": 1}, {"text": "hi", "tweaks": {"ChatInput": {"input_value": "x"}}}):
        assert (await api.run("chat", body)).status_code == 200, body


async def test_what_langflows_clients_send_is_no_reason_to_warn(api: Api) -> None:
    """Nulls are as good as nothing, and so is the header of global variables."""
    known = {"input_type": "chat", "output_type": "chat", "output_component": "", "stream": False, "user_id": "u"}
    known |= {"input_value": "hi", "tweaks": {}, "session_id": "s", "context": {"a": 1}}
    for body in (known, known | {"tweaks": None, "session_id": None, "output_component": None}):
        answer = (await api.run("echo", body, headers={"x-langflow-global-var-name": "x"})).json()
        assert list(answer) == ["session_id", "outputs"]
        assert find_message(answer)["text"] == "hi"


async def test_json_is_read_whatever_its_content_type_says(api: Api) -> None:
    """curl's -d says that it sends a form."""
    for kind in (FORM, {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}, {"content-type": "x"}):
        assert await said(api, b' {"input_value": "hi"}', kind) == "hi"
    for nothing in (b"", b" \n"):
        answer = json.loads(await said(api, nothing, FORM, flow="chat"))
        assert answer["messages"][-1]["content"] == "Hello"
    broken = await api.client.post("/api/v1/run/echo", content=b'{"input_value": ', headers=FORM)
    assert (broken.status_code, broken.json()["detail"][0]["type"]) == (422, "json_invalid")


async def test_an_urlencoded_form_is_refused_by_name(api: Api) -> None:
    answer = await api.client.post("/api/v1/run/echo", content=b"input_value=hi", headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (415, "body_is_form")
    assert "Content-Type: application/json" in answer.json()["hint"]


async def test_a_multipart_form_carries_every_field(api: Api) -> None:
    tweaks = json.dumps({"Second": {"temperature": 0.7}})
    fields = {"input_value": "hi", "session_id": "s", "output_component": "SecondOut", "tweaks": tweaks}
    response = await api.client.post("/api/v1/run/tweaked?shape=simple", data=fields, files={"extra": b"x"})
    assert response.json()["session_id"] == "s"
    assert json.loads(response.json()["text"])["options"] == {"temperature": 0.7}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"no form at all", MULTIPART),
        (b"x", {"content-type": "multipart/form-data"}),
        (b'--x\r\ncontent-disposition: form-data; name="tweaks"\r\n\r\n{broken\r\n--x--\r\n', MULTIPART),
        (b'--x\r\ncontent-disposition: form-data; name="stream"\r\n\r\nmaybe\r\n--x--\r\n', MULTIPART),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(api: Api, content: bytes, headers: dict[str, str]) -> None:
    response = await api.client.post("/api/v1/run/echo", content=content, headers=headers)
    assert (response.status_code, type(response.json()["detail"])) == (422, list)


async def test_an_imported_flow_keeps_its_uuid_and_nothing_else_names_a_flow(api: Api) -> None:
    uuid = "0dd43928-4c0c-415b-b1dc-4cd3c4310860"
    for address in (uuid, uuid.upper()):
        assert await api.text(address, {"input_value": "hi"}) == "hi"
    for address in (uuid[:23], "Imported Flow", "CHAT", "echo.yaml", "%2e%2e"):
        assert (await api.run(address)).status_code == 404, address


async def test_the_answer_is_compact_json_in_plain_utf_8_with_langflows_times(api: Api) -> None:
    response = await api.run("echo", {"input_value": "žluťoučký 🐎"})
    assert "žluťoučký 🐎".encode() in response.content
    assert b'"session_id":"' in response.content
    assert b'": ' not in response.content
    time = find_message(response.json())["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC", time)


async def test_a_message_over_its_limit_is_refused(api: Api) -> None:
    response = await api.run("echo", {"input_value": "x" * 200_001})
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
    assert "200,000 is the limit" in response.json()["detail"]


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "UTF-16", "UTF-8; charset=punycode"])
async def test_a_form_is_utf_8_whatever_it_says(api: Api, charset: str) -> None:
    """punycode would take ten minutes for a megabyte, and unicode_escape makes half a character."""
    text = "é\\ud800-" + "a" * 150_000
    form = f'--x\r\nContent-Disposition: form-data; name="input_value"\r\n\r\n{text}\r\n--x--\r\n'.encode()
    kind = {"content-type": f"multipart/form-data; charset={charset}; boundary=x"}
    assert await said(api, form, kind) == text
