"""What a client may send (langflow.md 1.1), and what of the answer's form clients rely on (1.2)."""

import json
import re

import pytest

from tests.api.calls import Api

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def said(api: Api, content: bytes, headers: dict[str, str], *, flow: str = "echo") -> str:
    response = await api.client.post(f"/api/v1/run/{flow}?shape=simple", content=content, headers=headers)
    assert response.status_code == 200, response.text
    text: str = response.json()["text"]
    return text


async def test_unknown_keys_are_ignored_with_a_warning(api: Api) -> None:
    body = {"input_value": "hi", "user_id": "u", "context": {"a": 1}, "colour": "red", "sesion_id": "s"}
    assert await api.text("echo", body) == "hi"
    for query in ("", "?shape=simple"):
        assert (await api.run("echo", body, query=query)).json()["warnings"] == [
            "`colour` is no field of a run and was ignored.",
            "`sesion_id` is no field of a run and was ignored (did you mean session_id?).",
        ]
    stream = await api.run("echo", body, query="?stream=true")
    last = json.loads(stream.text.strip().split("\n\n")[-1])
    assert len(last["data"]["result"]["warnings"]) == 2


@pytest.mark.parametrize("wrap", [False, True])
async def test_a_message_under_another_name_is_told_where_it_belongs(api: Api, wrap: bool) -> None:
    body = {"input": "hi"}
    answer = (await api.run("chat", {"input_request": body} if wrap else body)).json()
    assert answer["warnings"] == ["`input` is no field of a run and was ignored. The message belongs in `input_value`."]


async def test_what_langflows_clients_send_is_no_reason_to_warn(api: Api) -> None:
    known = {"input_value": "hi", "input_type": "chat", "output_type": "chat", "output_component": "", "tweaks": {}}
    body = known | {"session_id": "s", "stream": False, "user_id": "u", "context": {}}
    assert list((await api.run("echo", body)).json()) == ["session_id", "outputs"]


async def test_of_many_unknown_keys_a_few_are_named(api: Api) -> None:
    warnings = (await api.run("echo", {"input_value": "hi"} | {f"{n}" * 500: n for n in range(9)})).json()["warnings"]
    assert len(warnings) == 6
    assert max(map(len, warnings)) < 150
    assert warnings[-1] == "4 more fields were ignored."


async def test_nulls_are_as_good_as_nothing(api: Api) -> None:
    body = {"input_value": "hi", "tweaks": None, "session_id": None, "output_component": None}
    assert await api.text("echo", body) == "hi"


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
    fields = {
        "input_value": "hi",
        "session_id": "s",
        "output_component": "SecondOut",
        "tweaks": json.dumps({"Second": {"temperature": 0.7}}),
    }
    response = await api.client.post("/api/v1/run/tweaked?shape=simple", data=fields, files={"extra": b"x"})
    assert response.json()["session_id"] == "s"
    assert json.loads(response.json()["text"])["options"] == {"temperature": 0.7}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"no form at all", {"content-type": "multipart/form-data; boundary=x"}),
        (b"x", {"content-type": "multipart/form-data"}),
        (b'--x\r\ncontent-disposition: form-data; name="tweaks"\r\n\r\n{broken\r\n--x--\r\n',
         {"content-type": "multipart/form-data; boundary=x"}),
        (b'--x\r\ncontent-disposition: form-data; name="stream"\r\n\r\nmaybe\r\n--x--\r\n',
         {"content-type": "multipart/form-data; boundary=x"}),
    ],
)  # fmt: skip
async def test_a_form_that_cannot_be_read_is_refused(api: Api, content: bytes, headers: dict[str, str]) -> None:
    response = await api.client.post("/api/v1/run/echo", content=content, headers=headers)
    assert (response.status_code, type(response.json()["detail"])) == (422, list)


async def test_a_wrapper_that_is_no_object_is_taken_as_an_unknown_key(api: Api) -> None:
    assert await said(api, b'{"input_request": 5, "input_value": "hi"}', {}) == "hi"


async def test_the_header_of_global_variables_is_ignored(api: Api) -> None:
    assert await said(api, b'{"input_value": "hi"}', {"x-langflow-global-var-name": "x"}) == "hi"


async def test_an_output_type_that_nothing_matches_gives_every_output(api: Api) -> None:
    body = (await api.run("echo", {"input_value": "hi", "output_type": "text"})).json()
    assert [item["component_id"] for item in body["outputs"][0]["outputs"]] == ["ChatOutput"]


async def test_an_intermediate_component_may_be_the_output(api: Api) -> None:
    body = {"input_value": "hi", "output_component": "Prompt"}
    assert (await api.run("tweaked", body, query="?shape=simple")).json()["text"] == "Talk of tea, kindly."


async def test_a_flow_of_texts_answers_without_any_chat(api: Api) -> None:
    body = (await api.run("wordy", {"input_value": "milk", "input_type": "text"})).json()
    (output,) = body["outputs"][0]["outputs"]
    assert output["results"]["text"]["text"] == output["outputs"]["text"]["message"] == "milk"
    assert output["artifacts"]["text"] == {"repr": "milk", "raw": "milk", "type": "text"}


@pytest.mark.parametrize("address", ["0dd43928-4c0c-415b-b1dc-4cd3c4310860", "0DD43928-4C0C-415B-B1DC-4CD3C4310860"])
async def test_an_imported_flow_keeps_its_uuid(api: Api, address: str) -> None:
    assert await api.text(address, {"input_value": "hi"}) == "hi"


@pytest.mark.parametrize("address", ["0dd43928-4c0c-415b-b1dc", "Imported Flow", "CHAT", "echo.yaml", "%2e%2e"])
async def test_nothing_else_names_a_flow(api: Api, address: str) -> None:
    response = await api.run(address)
    assert response.status_code == 404


async def test_the_answer_is_compact_json_in_plain_utf_8(api: Api) -> None:
    response = await api.run("echo", {"input_value": "žluťoučký 🐎"})
    assert "žluťoučký 🐎".encode() in response.content
    assert b'"session_id":"' in response.content
    assert b'": ' not in response.content


async def test_times_are_written_as_langflow_writes_them(api: Api) -> None:
    message = (await api.run("echo", {"input_value": "x"})).json()["outputs"][0]["outputs"][0]["results"]["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC", message["timestamp"])


async def test_an_author_who_wants_the_text_whole_gets_no_tokens(api: Api) -> None:
    response = await api.run("whole", {"input_value": "x"}, query="?stream=true")
    kinds = [json.loads(line)["event"] for line in response.text.split("\n\n") if line]
    assert kinds == ["add_message", "add_message", "end"]


@pytest.mark.parametrize("query", ["?stream=false", "?stream=0", "?stream="])
async def test_the_query_decides_over_the_body(api: Api, query: str) -> None:
    response = await api.run("spoken", {"input_value": "x", "stream": True}, query=query)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["?stream=true", "?stream=sse"])
async def test_key_and_flow_are_checked_before_a_stream_begins(api: Api, query: str) -> None:
    assert (await api.run("nothing", query=query)).status_code == 404
    del api.client.headers["x-api-key"]
    response = await api.run("echo", query=query)
    assert (response.status_code, response.headers["content-type"]) == (403, "application/json")


async def test_a_message_over_its_limit_is_refused(api: Api) -> None:
    response = await api.run("echo", {"input_value": "x" * 200_001})
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
    assert "200,000 is the limit" in response.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        '{"input_value": "a\\ud800"}'.encode("utf-16"),
        '{"input_value": "a\\ud800"}'.encode("utf-32"),
        b'{"input_value": "a\xed\xa0\x80"}',
        '{"input_value": "a\ud800"}'.encode("utf-16", "surrogatepass"),
    ],
)
async def test_half_a_character_is_no_json_in_any_encoding(api: Api, body: bytes) -> None:
    answer = await api.client.post("/api/v1/run/echo", content=body)
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "UTF-16", "UTF-8; charset=punycode"])
async def test_a_form_is_utf_8_whatever_it_says(api: Api, charset: str) -> None:
    """punycode would take ten minutes for a megabyte, and unicode_escape makes half a character."""
    text = "é\\ud800-" + "a" * 150_000
    form = f'--x\r\nContent-Disposition: form-data; name="input_value"\r\n\r\n{text}\r\n--x--\r\n'.encode()
    kind = {"content-type": f"multipart/form-data; charset={charset}; boundary=x"}
    assert await said(api, form, kind) == text
