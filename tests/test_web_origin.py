"""What the edge reads from an address and its headers: whose computer and origin it is, secrets, paths, the browser."""

from pathlib import Path

import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flowground.ui.conversation.socket import ConversationEndpoint
from flowground.web.edge import Edge, Started
from flowground.web.first_load import FirstLoad
from flowground.web.open_pages import OpenSockets
from flowground.web.origin import Proxies, find_own_origin, is_from_this_computer, is_https
from flowground.web.paths import API_KEY, hide_secrets, is_api, strip_flow_prefix
from tests.running import running

HERE = "127.0.0.1:8501"
PUBLIC = "https://flows.example.com"
OTHER_NAMES = """
    evil.example localhost.evil.example evil.localhost 127.0.0.1.nip.io 127.0.0.1@evil.example 127.0.0.1/evil [::1
    0.0.0.0:8501 127.1 127.0.0.1:99999999
"""
PROXIES_SAY = """
    forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip cf-connecting-ip fly-client-ip
    fastly-client-ip x-azure-clientip x-envoy-external-address cdn-loop x-scheme x-original-url x-original-for
    x-amzn-trace-id x-cloud-trace-context x-request-start true-client-ip x-akamai-config-log-detail x-appengine-user-ip
    cloudfront-viewer-address x-varnish x-vercel-forwarded-for x-forwarded x-forward-for client-ip x-host x-arr-ssl
    x-proxyuser-ip ngrok-trace-id tailscale-user-login x-served-by remote-user
"""
PROGRAMS_SAY = ("x-requested-with", "x-api-key", "sec-fetch-site", "x-request-id", "traceparent", "x-stainless-lang")
FOREIGN = """
    null http://127.0.0.1:8502 http://evil.example https://127.0.0.1:8501.evil.example
    http://evil.example@127.0.0.1:8501 file://127.0.0.1:8501 127.0.0.1:8501
"""


def asked(peer: str | None = "127.0.0.1", **headers: str) -> Scope:
    named = {"host": HERE} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return {"type": "http", "client": None if peer is None else (peer, 50_000), "headers": raw}


def at(path: str, query: bytes = b"") -> Scope:
    return {"type": "http", "path": path, "raw_path": path.encode(), "query_string": query, "headers": []}


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "127.0.0.1"])
def test_this_computer_is_loopback_on_both_sides(peer: str, host: str) -> None:
    assert is_from_this_computer(asked(peer, host=host))


@pytest.mark.parametrize("peer", ["192.168.1.7", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "testclient", "", None])
def test_another_computer_is_not_this_one(peer: str | None) -> None:
    assert not is_from_this_computer(asked(peer))


@pytest.mark.parametrize("host", ["", *OTHER_NAMES.split()])
def test_another_name_is_not_this_computer(host: str) -> None:
    assert not is_from_this_computer(asked(host=host))


@pytest.mark.parametrize("name", [*PROXIES_SAY.split(), f"x-forwarded-{'x' * 10_000}"])
def test_what_a_proxy_forwarded_is_not_this_computer(name: str) -> None:
    assert not is_from_this_computer(asked(**{name: "127.0.0.1"}))


@pytest.mark.parametrize("name", [*PROGRAMS_SAY, f"via{'x' * 10_000}"])
def test_what_programs_of_this_computer_say_is_no_trace_of_a_proxy(name: str) -> None:
    assert is_from_this_computer(asked(**{name: "x"}))


def test_two_hosts_are_not_this_computer() -> None:
    scope = asked()
    scope["headers"].append((b"host", HERE.encode()))
    assert not is_from_this_computer(scope)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8501", HERE),
        (PUBLIC, "flows.example.com"),
        (PUBLIC, "flows.example.com:443"),
        ("http://Flows.Example.com", "flows.example.com"),
    ],
)
def test_the_address_itself_is_our_origin(origin: str, host: str) -> None:
    assert find_own_origin(asked(origin=origin, host=host), None) == origin


@pytest.mark.parametrize("origin", [None, "", *FOREIGN.split()])
def test_other_origins_are_foreign(origin: str | None) -> None:
    assert find_own_origin(asked() if origin is None else asked(origin=origin), None) is None


def test_public_url_is_our_origin_behind_a_proxy_that_renames_the_host() -> None:
    behind = asked(origin=PUBLIC, host="10.0.0.5:8501")
    assert find_own_origin(behind, f"{PUBLIC}/base") == PUBLIC
    assert find_own_origin(behind, None) is None
    assert find_own_origin(asked(origin="http://flows.example.com", host="10.0.0.5:8501"), PUBLIC) is None


@pytest.mark.parametrize("name", ["evil.example", "10.0.0.5", "flows.example.com.evil.example"])
def test_with_a_public_url_no_other_name_is_ours_but_loopback(name: str) -> None:
    there = asked(origin=f"http://{name}:8501", host=f"{name}:8501")
    assert find_own_origin(there, None) is not None
    assert find_own_origin(there, PUBLIC) is None
    assert find_own_origin(asked(origin=f"http://{HERE}", host=HERE), PUBLIC) == f"http://{HERE}"


@pytest.mark.parametrize(
    ("scheme", "host", "public_url", "found"),
    [
        ("http", "flows.example.com", None, False),
        ("https", "anything", None, True),
        ("wss", "anything", None, True),
        ("http", "flows.example.com", PUBLIC, True),
        ("http", "flows.example.com:443", PUBLIC, True),
        ("http", HERE, PUBLIC, False),
        ("http", "flows.example.com", "http://flows.example.com", False),
    ],
)
def test_https_is_what_the_browser_speaks(scheme: str, host: str, public_url: str | None, found: bool) -> None:
    assert is_https({**asked(host=host), "scheme": scheme}, public_url) is found


@pytest.mark.parametrize(
    ("query", "left", "key"),
    [
        (b"x-api-key=s3cret", b"", "s3cret"),
        (b"stream=true&x-api-key=s3cret&a=1", b"stream=true&a=1", "s3cret"),
        (b"x%2Dapi%2Dkey=s3cret&b", b"b", "s3cret"),
        (b"X-Api-Key=s3cret", b"", "s3cret"),
        (b"x-api-key=first&x-api-key=s3cret", b"", "s3cret"),
        (b"x-api-key=a%2Bb+c", b"", "a+b c"),
        (b"a=x-api-key", b"a=x-api-key", None),
        (b"code=abcd-efgh&flow=x", b"flow=x", None),
        (b"invitation=abc&reset=abc&flow=x", b"flow=x", None),
    ],
)
def test_secrets_leave_the_query(query: bytes, left: bytes, key: str | None) -> None:
    scope = at("/api/v1/run/x", query)
    hide_secrets(scope)
    assert (scope["query_string"], scope.get(API_KEY)) == (left, key)


UNWRAPPED = {
    "/public_flow/basic/_stcore/stream": ("/_stcore/stream", "basic"),
    "/public_flow/basic/static/js/index.js": ("/static/js/index.js", "basic"),
    "/public_flow/static/js/index.js": ("/static/js/index.js", None),
    "/public_flow/_stcore/health": ("/_stcore/health", None),
    "/public_flow/3F2504E0-4F89/media/x.png": ("/media/x.png", "3F2504E0-4F89"),
}
LEFT_ALONE = """
    /public_flow/basic /public_flow/ba%sic/_stcore/health /public_flow/a/b/_stcore/health
    /public_flow/basic/api/v1/run/x /public_flows/basic/static/x /playground
"""


@pytest.mark.parametrize("path", [*UNWRAPPED, *LEFT_ALONE.split()])
def test_public_flow_is_unwrapped(path: str) -> None:
    scope, flow = strip_flow_prefix(at(path))
    assert ((scope["path"], flow), scope["raw_path"]) == (UNWRAPPED.get(path, (path, None)), scope["path"].encode())


def test_the_api_owns_whole_first_parts_and_the_pages_the_rest() -> None:
    api = ["/api", "/api/", "/api/x", "//api", "/API", "/v1/models", "/lf/t/api/v1/run/x", "/mcp", "/health"]
    pages = ["/", "/apis", "/api_access", "/healthy", "/playground/api", "/public_flow/api"]
    assert [path for path in (*api, *pages) if is_api(path)] == api


@pytest.mark.parametrize("name", ["X-Flowground-Caller", "x-flowground-page"])
async def test_what_only_the_edge_may_say_is_dropped_from_plain_requests_too(tmp_path: Path, name: str) -> None:
    heard: list[dict[bytes, bytes]] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(dict(scope["headers"]))
        await Response("drawn")(scope, receive, send)

    async with running(tmp_path, {}) as runtime:
        sockets = OpenSockets(ConversationEndpoint(runtime), runtime.settings.limits, descriptors=1024)
        started = Started(runtime, page, FirstLoad("index", pages=(), routes=()), sockets, Proxies(()))
        edge = Edge(page, started=lambda: started)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge), base_url="http://127.0.0.1") as client:
            answer = await client.get("/media/x", headers={name: "{}", "X-Theirs": "kept"})
    assert (answer.status_code, answer.text) == (200, "drawn")
    [headers] = heard
    assert headers[b"x-theirs"] == b"kept"
    assert [header for header in headers if header.startswith(b"x-flowground-")] == []
