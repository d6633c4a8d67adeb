"""Web Search: each engine by a server that answers as it does."""

import json
from pathlib import Path
from typing import Any

import pytest

from flowground.core.errors import FlowgroundError
from tests.canary import WORD, find_in_files
from tests.test_api_request import talk
from tests.test_settings import refusal
from tests.wire import whole, wire

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
