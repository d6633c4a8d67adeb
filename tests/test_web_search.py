"""Web Search: each engine by a server that answers as it does.

URL: pages that a file, a caller or a model names, read on allowed hosts only.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import FlowError, FlowgroundError, TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from tests.canary import WORD, find_in_files
from tests.one_step import make_flow, offer
from tests.test_api_request import HERE, load, talk
from tests.test_settings import refusal
from tests.wire import Wire, whole, wire
from tests.wire import wire as serve

STEP = """\
components:
  ChatInput: {type: ChatInput}
  Web: {type: WebSearch, query: "${ChatInput}", max_results: 2}
  Show: {type: Parser, input_data: "${Web}", template: "{title}|{text}|{url}"}
  ChatOutput: {type: ChatOutput, input_value: "${Show}"}
"""
AGENT = """\
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, input_value: "${ChatInput}", tools: [Web]}
  Web: {type: WebSearch}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
HITS = [{"title": f"T{n}", "url": f"https://a.example/{n}", "content": f"about {n}"} for n in range(4)]
BRAVE = [{"title": hit["title"], "url": hit["url"], "description": hit["content"]} for hit in HITS]
DUCK = "".join(
    f'<div><a rel="nofollow" class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.example%2F{n}&amp;rut=1">'
    f'T<b>{n}</b></a><a class="result__snippet" href="x">about <b>{n}</b></a></div>'
    for n in range(4)
)
SAID = "T0|about 0|https://a.example/0\nT1|about 1|https://a.example/1"
ANSWERS: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "searxng": ({}, whole({"results": HITS}), "/search?q=green+%26+tea&format=json"),
    "tavily": ({"api_key": WORD}, whole({"results": HITS}), "/search"),
    "brave": ({"api_key": WORD}, whole({"web": {"results": BRAVE}}), "/res/v1/web/search?q=green+%26+tea&count=2"),
    "duckduckgo": ({}, whole(DUCK.encode(), headers="Content-Type: text/html\r\n"), "/html/?q=green+%26+tea"),
}


@pytest.mark.parametrize("provider", ANSWERS)
async def test_each_engine_is_asked_in_its_way(provider: str, tmp_path: Path) -> None:
    more, answer, path = ANSWERS[provider]
    async with wire([answer]) as server:
        config = {"search": {"provider": provider, "url": server.url, **more}}
        assert await talk(tmp_path, STEP, " green & tea", config=config) == SAID
        assert await talk(tmp_path, STEP, " ", config=config) == ""
    (asked,) = server.asked
    assert asked.path == path
    assert provider != "brave" or asked.headers["x-subscription-token"] == WORD
    if provider == "tavily":
        assert asked.headers["authorization"] == f"Bearer {WORD}"
        assert (asked.method, asked.body) == ("POST", {"query": "green & tea", "max_results": 2})
    assert find_in_files(tmp_path / "data") == []


async def test_a_model_gives_the_query_alone(tmp_path: Path) -> None:
    async with wire([ANSWERS["searxng"][1]]) as server:
        config = {"search": {"provider": "searxng", "url": server.url}}
        said = await talk(tmp_path, AGENT, 'call Web {"query": "tea"}', config=config)
        assert "https://a.example/3" in said
        for more in ({"max_results": 20}, {"url": "http://evil.example"}):
            call = json.dumps({"query": "tea"} | more)
            assert "takes `query`, and no" in await talk(tmp_path, AGENT, f"call Web {call}", config=config)
        assert len(server.asked) == 1


async def test_it_is_off_until_an_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlowgroundError, match="The web cannot be searched here"):
        await talk(tmp_path, STEP, "tea", config={})
    assert "The web cannot be searched here" in await talk(tmp_path, AGENT, 'call Web {"query": "tea"}', config={})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (whole({"error": WORD}, status="401 No"), "answered with status 401"),
        (whole({"hits": []}), "something that is no list of hits"),
        (whole(b"<html>"), "something that is no list of hits"),
        (whole({"results": [{"url": "javascript:alert(1)", "title": "a"}, {"url": None}]}), ""),
    ],
)
async def test_an_engine_that_fails_is_a_sentence(answer: bytes, says: str, tmp_path: Path) -> None:
    async with wire([answer]) as server:
        config = {"search": {"provider": "tavily", "url": server.url, "api_key": WORD}}
        if not says:
            assert await talk(tmp_path, STEP, "tea", config=config) == ""
            return
        with pytest.raises(FlowgroundError) as caught:
            await talk(tmp_path, STEP, "tea", config=config)
        assert says in caught.value.message
        assert WORD not in caught.value.full_message


def test_an_engine_needs_what_it_needs(tmp_path: Path) -> None:
    assert "search: searxng needs `url`" in refusal(tmp_path, "search: {provider: searxng}")
    assert "search: brave needs `api_key`" in refusal(tmp_path, "search: {provider: brave}")
    assert "search.provider: should be one of" in refusal(tmp_path, "search: {provider: altavista}")
    unset = "search: {provider: brave, api_key: '${env:NO_SUCH_KEY}'}"
    assert "the environment variable NO_SUCH_KEY is not set" in refusal(tmp_path, unset)


HTML = "Content-Type: text/html; charset=utf-8\r\n"
PAGE = whole(
    "<html><head><title>Our&amp;&#10;&#10; page</title><script>alert(1)</script></head><body><h1>Badges</h1>"
    "<p>Wörn by <b>all</b>.</p></body></html>".encode(),
    headers=HTML,
)


def reading(server: Wire | str, *, as_tool: bool = False, **fields: Any) -> str:
    """A flow that reads a page of the server, named by the file or by the model of an agent."""
    host = server if isinstance(server, str) else server.url.partition("//")[2]
    page = {"type": "URL", "allowed_hosts": [host], **fields}
    if as_tool:
        return make_flow("Page", page, offer("Page"))
    said = {"type": "Parser", "input_data": "${Page}", "template": "{title}|{text}|{source}"}
    return make_flow("Page", {"urls": f"http://{host}/${{ChatInput}}", **page}, said)


async def test_a_page_is_given_as_text_with_its_title(tmp_path: Path) -> None:
    async with serve([PAGE]) as server:
        said = await talk(tmp_path, reading(server), "a b/../c")
        assert said == f"Our& page|Our& page\n\n# Badges\n\nWörn by all.|{server.url}/a%20b%2F..%2Fc"
        assert "<b>all</b>" in await talk(tmp_path, reading(server, format="HTML"), "x")


async def test_a_model_names_pages_on_allowed_hosts_only(tmp_path: Path) -> None:
    async with serve([PAGE]) as server, serve([PAGE]) as other:
        flow = reading(server, as_tool=True)
        assert load(flow).tools["Said"][0].arguments == ("urls",)
        call = f"call Page {json.dumps({'urls': f'{server.url}/x'})}"
        assert "Wörn by all." in await talk(tmp_path, flow, call)
        for away in (other.url, "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "http://[::1]/"):
            said = await talk(tmp_path, flow, f"call Page {json.dumps({'urls': away})}")
            assert "It failed" in said, away
        more = {"urls": server.url, "allowed_hosts": ["*"]}
        assert "no `allowed_hosts`" in await talk(tmp_path, flow, f"call Page {json.dumps(more)}")
        assert (len(server.asked), other.asked) == (1, [])


async def test_every_public_host_is_no_private_one(tmp_path: Path) -> None:
    async with serve([PAGE]) as server:
        flow = reading(server, as_tool=True, allowed_hosts=["*", server.url.partition("//")[2]])
        call = f"call Page {json.dumps({'urls': server.url})}"
        assert "has no address that may be asked" in await talk(tmp_path, flow, call, config={})
        assert server.asked == []


def test_a_caller_names_pages_and_no_hosts() -> None:
    flow = load(reading("docs.example.com", urls="https://docs.example.com/"))
    with pytest.raises(TweaksRefused):
        apply_tweaks(flow, RunRequest(tweaks={"Page": {"allowed_hosts": ["*"]}}), unknown="refuse")
    changed = apply_tweaks(flow, RunRequest(tweaks={"Page": {"urls": "https://evil.example/"}}), unknown="refuse")
    assert getattr(changed.wired.components["Page"], "allowed_hosts") == ["docs.example.com"]  # noqa: B009 - any component's


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"allowed_hosts": []}, "`allowed_hosts`"),
        ({"allowed_hosts": ["https://docs.example.com"]}, "a host is written api.example.com"),
    ],
)
def test_mistakes_are_named_when_the_file_is_read(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FlowError, match=re.escape(says)):
        load(reading("docs.example.com", **fields))


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([whole(b"", status="404 No")], "answered with status 404"),
        ([whole(b"", status="302 Found", headers="Location: http://evil.example/\r\n")], "redirects to another host"),
        ([whole(b"\x89PNG", headers="Content-Type: image/png\r\n")], "is image/png, which has no text"),
        ([whole(b"no PDF", headers="Content-Type: application/pdf\r\n")], "The page.pdf ends in .pdf and is not a PDF"),
    ],
)
async def test_a_page_that_cannot_be_read_is_a_sentence(tmp_path: Path, answers: list[Any], says: str) -> None:
    async with serve(answers) as server:
        with pytest.raises(FlowgroundError, match=says):
            await talk(tmp_path, reading(server), "x")


async def test_several_pages_are_read_at_once(tmp_path: Path) -> None:
    text = whole(b"a", headers="Content-Type: text/plain\r\n")
    async with serve([text], [text], [b"HTTP/1.1 200 OK\r\n\r\n", b""]) as server:
        flow = reading(server, urls=f"{server.url}/1\n\n{server.url}/2\n", format="HTML")
        assert await talk(tmp_path, flow, "x") == f"|a|{server.url}/1\n|a|{server.url}/2"
        assert await talk(tmp_path, reading(server), "x") == f"||{server.url}/x", "nothing is there"
        with pytest.raises(FlowgroundError, match="it takes 1 to 10"):
            await talk(tmp_path, reading(server, urls="http://a.b/\n" * 11), "x", config=HERE)
