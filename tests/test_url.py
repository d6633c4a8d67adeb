"""URL: pages that a file, a caller or a model names, read on allowed hosts only."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import FlowError, FlowgroundError, TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from tests.one_step import make_flow, offer
from tests.test_api_request import HERE, load, talk
from tests.wire import Wire, whole
from tests.wire import wire as serve

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
