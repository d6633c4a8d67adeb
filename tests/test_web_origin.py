from pathlib import Path

import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flowground.conversation import ConversationDoor
from flowground.web.edge import Edge
from flowground.web.first_load.files import FirstLoad
from flowground.web.open_pages.chats import ChatSockets
from flowground.web.open_pages.sockets import PageSockets
from flowground.web.origin import find_own_origin, is_from_this_computer, is_https
from tests.running import running


def asked(peer: str | None = "127.0.0.1", **headers: str) -> Scope:
    named = {"host": "127.0.0.1:8501"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return {"type": "http", "client": None if peer is None else (peer, 50_000), "headers": raw}


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "127.0.0.1"])
def test_this_computer_is_loopback_on_both_sides(peer: str, host: str) -> None:
    assert is_from_this_computer(asked(peer, host=host))


@pytest.mark.parametrize("peer", ["192.168.1.7", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "testclient", "", None])
def test_another_computer_is_not_this_one(peer: str | None) -> None:
    assert not is_from_this_computer(asked(peer))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "127.0.0.1.nip.io",
        "127.0.0.1@evil.example",
        "127.0.0.1/evil",
        "[::1",
        "0.0.0.0:8501",
        "127.1",
        "127.0.0.1:99999999",
    ],
)
def test_another_name_is_not_this_computer(host: str) -> None:
    assert not is_from_this_computer(asked(host=host))


@pytest.mark.parametrize(
    "name",
    [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "cf-connecting-ip",
        "fly-client-ip",
        "fastly-client-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "cdn-loop",
        "x-scheme",
        "x-original-url",
        "x-original-for",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "x-request-start",
        "true-client-ip",
        "x-akamai-config-log-detail",
        "x-appengine-user-ip",
        "cloudfront-viewer-address",
        "x-varnish",
        "x-vercel-forwarded-for",
        "x-forwarded",
        "x-forward-for",
        "client-ip",
        "x-host",
        "x-arr-ssl",
        "x-proxyuser-ip",
    ],
)
def test_what_a_proxy_forwarded_is_not_this_computer(name: str) -> None:
    assert not is_from_this_computer(asked(**{name: "127.0.0.1"}))


@pytest.mark.parametrize(
    "name", ["x-requested-with", "x-api-key", "sec-fetch-site", "x-request-id", "traceparent", "x-stainless-lang"]
)
def test_what_programs_of_this_computer_say_is_no_trace_of_a_proxy(name: str) -> None:
    assert is_from_this_computer(asked(**{name: "x"}))


def test_the_longest_name_is_read_as_far_as_it_counts() -> None:
    assert not is_from_this_computer(asked(**{f"x-forwarded-{'x' * 10_000}": "x"}))
    assert is_from_this_computer(asked(**{f"via{'x' * 10_000}": "x"}))


def test_two_hosts_are_not_this_computer() -> None:
    scope = asked()
    scope["headers"].append((b"host", b"127.0.0.1:8501"))
    assert not is_from_this_computer(scope)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8501", "127.0.0.1:8501"),
        ("https://flows.example.com", "flows.example.com"),
        ("https://flows.example.com", "flows.example.com:443"),
        ("http://Flows.Example.com", "flows.example.com"),
    ],
)
def test_the_address_itself_is_our_origin(origin: str, host: str) -> None:
    assert find_own_origin(asked(origin=origin, host=host), None) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://127.0.0.1:8502",
        "http://evil.example",
        "https://127.0.0.1:8501.evil.example",
        "http://evil.example@127.0.0.1:8501",
        "file://127.0.0.1:8501",
        "127.0.0.1:8501",
    ],
)
def test_other_origins_are_foreign(origin: str) -> None:
    assert find_own_origin(asked(origin=origin), None) is None


def test_a_missing_origin_is_foreign() -> None:
    assert find_own_origin(asked(), None) is None


def test_public_url_is_our_origin_behind_a_proxy_that_renames_the_host() -> None:
    behind = asked(origin="https://flows.example.com", host="10.0.0.5:8501")
    assert find_own_origin(behind, "https://flows.example.com/base") == "https://flows.example.com"
    assert find_own_origin(behind, None) is None
    plain = asked(origin="http://flows.example.com", host="10.0.0.5:8501")
    assert find_own_origin(plain, "https://flows.example.com") is None


@pytest.mark.parametrize("name", ["evil.example", "10.0.0.5", "flows.example.com.evil.example"])
def test_with_a_public_url_no_other_name_is_ours_but_loopback(name: str) -> None:
    there = asked(origin=f"http://{name}:8501", host=f"{name}:8501")
    assert find_own_origin(there, None) is not None
    assert find_own_origin(there, "https://flows.example.com") is None
    here = asked(origin="http://127.0.0.1:8501", host="127.0.0.1:8501")
    assert find_own_origin(here, "https://flows.example.com") == "http://127.0.0.1:8501"


@pytest.mark.parametrize(
    ("scheme", "host", "public_url", "found"),
    [
        ("http", "flows.example.com", None, False),
        ("https", "anything", None, True),
        ("wss", "anything", None, True),
        ("http", "flows.example.com", "https://flows.example.com", True),
        ("http", "flows.example.com:443", "https://flows.example.com", True),
        ("http", "127.0.0.1:8501", "https://flows.example.com", False),
        ("http", "flows.example.com", "http://flows.example.com", False),
    ],
)
def test_https_is_what_the_browser_speaks(scheme: str, host: str, public_url: str | None, found: bool) -> None:
    scope = asked(host=host)
    scope["scheme"] = scheme
    assert is_https(scope, public_url) is found


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["X-Flowground-Caller", "x-flowground-page"])
async def test_what_only_the_edge_may_say_is_dropped_from_plain_requests_too(tmp_path: Path, name: str) -> None:
    heard: list[dict[bytes, bytes]] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(dict(scope["headers"]))
        await Response("drawn")(scope, receive, send)

    async with running(tmp_path, {}) as runtime:
        edge = Edge(
            page,
            runtime=lambda: runtime,
            api=lambda: page,
            pages=lambda: PageSockets(runtime.settings.limits, descriptors=1024),
            files=lambda: FirstLoad("index", pages=(), routes=()),
            chats=lambda: ChatSockets(ConversationDoor(runtime), runtime.settings.limits, descriptors=1024),
        )
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge), base_url="http://127.0.0.1") as client:
            answer = await client.get("/media/x", headers={name: "{}", "X-Theirs": "kept"})
    assert (answer.status_code, answer.text) == (200, "drawn")
    [headers] = heard
    assert headers[b"x-theirs"] == b"kept"
    assert [header for header in headers if header.startswith(b"x-flowground-")] == []
