"""API Request: what it asks, with which arguments, and what nobody can change about it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowground.components.base import NO_OUTSIDE
from flowground.components.web import APIRequest
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import FlowError, FlowgroundError, TweaksRefused
from flowground.flows.parse import parse_flow
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow, wire
from flowground.runs.outputs import set_arguments
from tests.canary import WORD, find_in_files
from tests.documents import blocks
from tests.running import running, take_turn
from tests.servers import ROOT
from tests.wire import Wire, whole
from tests.wire import wire as serve

HERE = {"outgoing": {"private_networks": ["127.0.0.1"]}}
BOUNDED = {"outgoing": HERE["outgoing"] | {"hosts": ["api.example.com"]}}
WEATHER = whole({"sky": "blue"})
ELSEWHERE = "https://api.example.com"


def asking(server: str, *, as_tool: bool = False, **fields: Any) -> str:
    """A flow that asks the server, as a step or by an agent whose model is the scripted one."""
    url = fields.pop("url_input", f"{server}/weather?city={{city}}")
    asked = {"type": "APIRequest", "url_input": url, **fields}
    shown = {"type": "Prompt", "template": "{v}", "v": "${Weather}"}
    agent = {"type": "Agent", "input_value": "${ChatInput}", "tools": [{"use": "Weather", "confirm": False}]}
    components = {
        "ChatInput": {"type": "ChatInput"},
        "Weather": asked if as_tool else {"city": "${ChatInput}", **asked},
        "Said": agent if as_tool else shown,
        "ChatOutput": {"type": "ChatOutput", "input_value": "${Said}"},
    }
    return yaml.safe_dump({"components": components}, sort_keys=False)


async def talk(folder: Path, flow: str, message: str, *, config: Mapping[str, Any] = HERE) -> str:
    async with running(folder, {"it": flow}, config=config) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "it")
        request = RunRequest(message, session_id="s")
        *_, end = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, request)]
        return end.outputs[0].text  # type: ignore[union-attr]  # it has finished


def load(text: str) -> WiredFlow:
    return wire(parse_flow(text, "it.yaml"))


async def test_a_step_asks_with_its_variables_encoded_and_gives_the_answer(tmp_path: Path) -> None:
    async with serve([WEATHER]) as server:
        said = await talk(tmp_path, asking(server.url), "Köln & co/../x?y=1#z")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/weather?city=K%C3%B6ln%20%26%20co%2F..%2Fx%3Fy%3D1%23z")
    told = json.loads(said)
    assert told == {"source": f"{server.url}{asked.path}", "status_code": 200, "result": {"sky": "blue"}}


async def test_a_model_gives_what_is_left_out_and_is_told_what_it_is(tmp_path: Path) -> None:
    flow = load(asking(ELSEWHERE, as_tool=True, arguments={"city": "Name of a city"}))
    (tool,) = flow.tools["Said"]
    assert (tool.arguments, tool.writes) == (("city",), False)
    city = {"type": "string", "title": "City", "description": "Name of a city"}
    whole_schema = {"type": "object", "properties": {"city": city}, "required": ["city"], "additionalProperties": False}
    assert tool.spec.parameters == whole_schema
    async with serve([WEATHER]) as server:
        said = await talk(tmp_path, asking(server.url, as_tool=True), 'call Weather {"city": "Bonn"}')
    # The address is no business of a model's.
    assert said == 'The tools said: {"status_code":200,"result":{"sky":"blue"}}'
    assert server.asked[0].path == "/weather?city=Bonn"


async def test_a_model_is_not_told_the_address_of_a_call_that_failed(tmp_path: Path) -> None:
    elsewhere = whole(b"", status="302 Found", headers="Location: https://inner.example/secret\r\n")
    own = whole(b"See https://docs.example/a", status="404 No", headers="")
    async with serve([elsewhere], [own]) as server:
        flow, call = asking(server.url, as_tool=True, follow_redirects=True), 'call Weather {"city": "Bonn"}'
        failed = "The tools said: It failed: the server "
        said = await talk(tmp_path, flow, call)
        assert said == f"{failed}redirects to another host, which is not followed: another address"
        assert "status 404: See https://docs.example/a" in await talk(tmp_path, flow, call)
        said = await talk(tmp_path, flow, call, config={})
        assert said.startswith(f"{failed}cannot be reached, or has no address that may")
        assert (await talk(tmp_path, flow, call, config=BOUNDED)).startswith(f"{failed}is no host that")


async def test_a_model_gives_nothing_else(tmp_path: Path) -> None:
    fields = ("url_input", "method", "headers", "query_params", "body", "timeout", "allowed_hosts")
    calls = [f"call Weather {json.dumps({'city': 'Bonn', field: 'http://evil.example/'})}" for field in fields]
    async with serve([WEATHER]) as server:
        said = await talk(tmp_path, asking(server.url, as_tool=True), "\n".join(calls))
        assert [field for field in fields if f"`Weather` takes `city`, and no `{field}`" not in said] == []
        assert server.asked == []


@pytest.mark.parametrize("field", ["url_input", "method", "headers", "query_params", "body", "body_data", "timeout"])
def test_a_caller_sets_nothing_that_was_not_opened(field: str) -> None:
    request = RunRequest(tweaks={"Weather": {field: "POST"}})
    with pytest.raises(TweaksRefused):
        apply_tweaks(load(asking(ELSEWHERE, city="Bonn")), request, unknown="refuse")
    opened = load(asking(ELSEWHERE, city="Bonn") + "api: {overridable: [Weather.method]}")
    changed = apply_tweaks(opened, RunRequest(tweaks={"Weather": {"method": "POST"}}), unknown="refuse").wired
    assert changed.components["Weather"].writes


@pytest.mark.parametrize("field", ["url_input", "headers"])
def test_nobody_can_open_where_it_goes_and_what_it_shows_there(field: str) -> None:
    with pytest.raises(FlowError, match="is fixed in the file"):
        load(asking(ELSEWHERE) + f"api: {{overridable: [Weather.{field}]}}")


SOMEWHERE = [
    *("https://{x}/x", "https://api.example.com{x}", "https://api.example.com:{x}/", "{x}://api.example.com/"),
    *("https://ada:x@api.example.com/{x}", "ftp://api.example.com/{x}"),
]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *(({"url_input": url, "x": "a"}, "host that is written out") for url in SOMEWHERE),
        ({"url_input": "https://api.example.com/${ChatInput}"}, "and `name: ${ChatInput}` beside it"),
        ({"url_input": "https://api.example.com/{place}"}, "Nobody gives the variable `{place}`"),
        ({"url_input": "https://api.example.com/", "cty": "a"}, "`cty` is no field and no variable here"),
        ({"url_input": "https://api.example.com/{timeout}"}, "`timeout` is a field of the component"),
        ({"headers": {"Host": "evil.example"}}, "The header `Host` cannot be set"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "characters that no header has"),
        ({"headers": {"X-A": "${env:NO_SUCH_KEY}"}}, "NO_SUCH_KEY is not set"),
        ({"headers": {"X-A": "${ChatInput}"}}, "is one `${env:NAME}`, with plain text around it"),
        ({"arguments": {"town": "a"}}, "`town`, which is no variable"),
        ({"arguments": {"city": {"type": "whole"}}}, "in words what it is, or `{type: integer, description"),
    ],
)  # fmt: skip
def test_mistakes_are_named_when_the_file_is_read(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FlowError) as caught:
        load(asking(ELSEWHERE, **fields))
    assert any(says in str(problem) for problem in caught.value.problems), caught.value.problems


async def test_what_is_filled_in_leads_to_no_other_path(tmp_path: Path) -> None:
    async with serve([WEATHER]) as server:
        flow = asking(server.url, as_tool=True, url_input=f"{server.url}/users/{{id}}/orders")
        elsewhere = [
            "..",
            ".",
            "",
            " ",
            "%2e%2e",
            "../key",
            "a/../../key",
            "..%2fkey",
            r"..\\key",
            "..;a=b/key",
            "a/%2E.",
        ]
        calls = [f"call Weather {json.dumps({'id': said})}" for said in (*elsewhere, "a..b/c", "1.5")]
        assert (await talk(tmp_path, flow, "\n".join(calls))).count("It failed") == len(elsewhere)
        assert [asked.path for asked in server.asked] == ["/users/a..b%2Fc/orders", "/users/1.5/orders"]


async def test_what_is_sent_is_json_of_the_body_with_its_variables(tmp_path: Path) -> None:
    async with serve([WEATHER]) as server:
        sent: dict[str, Any] = {"method": "POST", "query_params": {"urgent": True, "for": "{who}"}}
        sent["body"] = {"items": [{"name": "{item}", "count": 2}], "note": "{{plain}}"}
        flow = asking(server.url, as_tool=True, url_input=f"{server.url}/orders?a=1", **sent)
        assert load(flow).tools["Said"][0].writes
        call = {"who": "Ada & Bob", "item": 'a", "count": 9, "x": "{who}'}
        await talk(tmp_path, flow, f"call Weather {json.dumps(call)}")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/orders?a=1&urgent=true&for=Ada+%26+Bob")
    assert asked.body == {"items": [{"name": call["item"], "count": 2}], "note": "{plain}"}
    assert asked.headers["content-type"] == "application/json"


NAMES = ("pieces", "price", "gift", "size")
PIECES = {"type": "integer", "description": "How many"}
TYPED: dict[str, Any] = {
    "as_tool": True,
    "method": "POST",
    "body": {name: f"{{{name}}}" for name in NAMES} | {"note": "{pieces} of {size}"},
    "arguments": {"pieces": PIECES, "price": {"type": "number"}, "gift": {"type": "boolean"}, "size": "Of each"},
}


async def test_an_argument_says_its_type_and_is_sent_as_that(tmp_path: Path) -> None:
    tool = load(asking("", url_input="https://api.example.com/{pieces}/{gift}", **TYPED)).tools["Said"][0]
    properties = tool.spec.parameters["properties"]
    assert [properties[name]["type"] for name in TYPED["arguments"]] == ["integer", "number", "boolean", "string"]
    assert [properties[name]["description"] for name in ("pieces", "price")] == ["How many", "`price` of the request."]
    async with serve([WEATHER]) as server:
        flow = asking("", url_input=f"{server.url}/{{pieces}}/{{gift}}?of={{price}}", **TYPED)
        for given in ((12, 2.5, True, "12"), ("12", "2.5", "true", "12")):
            await talk(tmp_path, flow, f"call Weather {json.dumps(dict(zip(NAMES, given, strict=True)))}")
    sent = {"pieces": 12, "price": 2.5, "gift": True, "note": "12 of 12", "size": "12"}
    assert [(asked.path, asked.body) for asked in server.asked] == [("/12/true?of=2.5", sent)] * 2
    assert server.asked[0].body["gift"] is True


async def test_the_documented_order_is_sent_as_the_page_says() -> None:
    (block,) = [block for block in blocks("yaml") if "description: How many of it" in block.text]
    flow = load(block.text)
    called = set_arguments(flow.components["Order"], flow.tools["Agent"][0], {"plant": "tomato", "pieces": 10})
    line, _, body = (await called.preview_call(NO_OUTSIDE) or "").partition("\n")
    assert line == "POST https://api.example.com/orders"
    assert f"This sends `{json.dumps(json.loads(body))}`" in (ROOT / block.file).read_text("utf-8")


async def test_a_value_of_another_type_is_told_to_the_model_and_not_sent(tmp_path: Path) -> None:
    good = {"pieces": 12, "price": 2.5, "gift": True, "size": "big"}
    wrong: list[tuple[dict[str, Any], str]] = [
        *(({"pieces": said}, f"`pieces` is a whole number, not {json.dumps(said)}") for said in ("a dozen", 1.5, True)),
        ({"pieces": 10**30}, f"`pieces` is a whole number, not {10**30}"),
        *(({"price": "NaN"}, "`price` is a number"), ({"price": [1]}, "`price` is a number, not [1]")),
        *(({"gift": 1}, "`gift` is true or false, not 1"), ({"size": 3}, "`size` is text, not 3")),
    ]
    calls = "\n".join(f"call Weather {json.dumps(good | changed)}" for changed, _ in wrong)
    said = await talk(tmp_path, asking("", url_input="http://127.0.0.1:1/orders", **TYPED), calls)
    assert [says for _, says in wrong if says not in said] == []


async def test_a_secret_is_sent_and_found_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the server repeats it, in an answer and in a failure."""
    monkeypatch.setenv("WEATHER_KEY", WORD)
    headers = {"authorization": "Bearer ${env:WEATHER_KEY}", "x-key": "${env:WEATHER_KEY}"}
    for status in ("200 OK", "401 No"):
        async with serve([whole({"you": f"Bearer {WORD}"}, status=status)]) as server:
            for as_tool in (True, False):
                with_key = asking(server.url, as_tool=as_tool, headers=headers, step={"on_error": "continue"})
                said = await talk(tmp_path, with_key, 'call Weather {"city": "a"}')
                assert "…" in said or said == ""
                assert WORD not in said
            assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {WORD}"}
            assert {asked.headers["x-key"] for asked in server.asked} == {WORD}
    assert find_in_files(tmp_path) == []
    assert WORD not in caplog.text


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(tmp_path: Path) -> None:
    moved = whole(b"", status="302 Found", headers="Location: /there\r\n")
    followed = {"follow_redirects": True}
    for more, found in (({}, 302), (followed, 200), (followed | {"method": "POST"}, 302)):
        async with serve([moved], [WEATHER]) as server:
            assert f'"status_code":{found}' in await talk(tmp_path, asking(server.url, **more), "a")


async def fail(folder: Path, server: Wire, **more: Any) -> str:
    with pytest.raises(FlowgroundError) as caught:
        await talk(folder, asking(server.url), "a", **more)
    return caught.value.full_message


async def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    async with serve([whole(b"No such\r\n city", status="404 No", headers="")]) as server:
        assert "The API answered with status 404: No such city" in await fail(tmp_path, server)
        assert "has no address that may be asked" in await fail(tmp_path, server, config={})
        assert "no host that `outgoing.hosts`" in await fail(tmp_path, server, config=BOUNDED)
        assert len(server.asked) == 1


async def test_a_large_body_is_shown_to_nobody_in_lines() -> None:
    """Each line would begin with as many blanks as there are lists around it: a megabyte would be two hundred."""

    async def show(body: list[Any]) -> str:
        order = APIRequest(url_input="https://shop.example.com/orders", method="POST", body_data=body)
        return await order.preview_call(NO_OUTSIDE)

    data: list[Any] = [1] * 100_000
    for _ in range(200):
        data = [data]
    shown = await show(data)
    assert len(shown) < 250_000
    assert await show([1]) == "POST https://shop.example.com/orders\n[\n  1\n]"
