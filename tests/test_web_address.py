"""What the edge reads from an address and does to it: secrets, /public_flow, the API's part; the browser's id."""

import pytest
from starlette.types import Scope

from flowground.web.cookies import read_xsrf_id
from flowground.web.paths import API_KEY, hide_secrets, is_api, strip_flow_prefix


def at(path: str, query: bytes = b"") -> Scope:
    return {"type": "http", "path": path, "raw_path": path.encode(), "query_string": query, "headers": []}


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"x-api-key=s3cret", b""),
        (b"stream=true&x-api-key=s3cret&a=1", b"stream=true&a=1"),
        (b"x%2Dapi%2Dkey=s3cret&b", b"b"),
        (b"X-Api-Key=s3cret", b""),
        (b"x-api-key=first&x-api-key=s3cret", b""),
        (b"a=x-api-key", b"a=x-api-key"),
        (b"code=abcd-efgh&flow=x", b"flow=x"),
        (b"invitation=abc&reset=abc&flow=x", b"flow=x"),
    ],
)
def test_secrets_leave_the_query(query: bytes, left: bytes) -> None:
    scope = at("/api/v1/run/x", query)
    hide_secrets(scope)
    assert scope["query_string"] == left
    assert scope.get(API_KEY) == ("s3cret" if b"s3cret" in query else None)


def test_a_key_is_decoded_as_any_query_parameter() -> None:
    scope = at("/api/v1/run/x", b"x-api-key=a%2Bb+c")
    hide_secrets(scope)
    assert scope[API_KEY] == "a+b c"


def test_the_code_of_an_identity_provider_stays() -> None:
    scope = at("/oauth2callback", b"code=abc&state=1")
    hide_secrets(scope)
    assert scope["query_string"] == b"code=abc&state=1"


@pytest.mark.parametrize(
    ("path", "inner", "flow"),
    [
        ("/public_flow/basic/_stcore/stream", "/_stcore/stream", "basic"),
        ("/public_flow/basic/static/js/index.js", "/static/js/index.js", "basic"),
        ("/public_flow/static/js/index.js", "/static/js/index.js", None),
        ("/public_flow/_stcore/health", "/_stcore/health", None),
        ("/public_flow/3F2504E0-4F89/media/x.png", "/media/x.png", "3F2504E0-4F89"),
        ("/public_flow/basic", "/public_flow/basic", None),
        ("/public_flow/ba%sic/_stcore/health", "/public_flow/ba%sic/_stcore/health", None),
        ("/public_flow/a/b/_stcore/health", "/public_flow/a/b/_stcore/health", None),
        ("/public_flow/basic/api/v1/run/x", "/public_flow/basic/api/v1/run/x", None),
        ("/public_flows/basic/static/x", "/public_flows/basic/static/x", None),
        ("/playground", "/playground", None),
    ],
)  # fmt: skip
def test_public_flow_is_unwrapped(path: str, inner: str, flow: str | None) -> None:
    scope, found = strip_flow_prefix(at(path))
    assert (scope["path"], scope["raw_path"], found) == (inner, inner.encode(), flow)


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/x", "//api", "/API", "/v1/models", "/lf/t/api/v1/run/x", "/mcp", "/health"]
)
def test_the_api_owns_whole_first_parts(path: str) -> None:
    assert is_api(path)


@pytest.mark.parametrize("path", ["/", "/apis", "/api_access", "/healthy", "/playground/api", "/public_flow/api"])
def test_the_pages_keep_the_rest(path: str) -> None:
    assert not is_api(path)


def test_a_browser_keeps_its_id_while_the_cookie_is_masked_anew() -> None:
    token = bytes(range(16))

    def cookie(mask: bytes) -> list[tuple[bytes, bytes]]:
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(token))
        return [(b"cookie", f"a=b; _streamlit_xsrf=2|{mask.hex()}|{masked.hex()}|1700000000; c=d".encode())]

    assert read_xsrf_id(cookie(b"\x01\x02\x03\x04")) == read_xsrf_id(cookie(b"\xff\x00\xaa\x55")) == token.hex()


@pytest.mark.parametrize(
    "cookie", ["", "a=b", "_streamlit_xsrf=", "_streamlit_xsrf=2|zz|00|1", "_streamlit_xsrf=2|01020304||1"]
)
def test_a_browser_without_the_cookie_has_no_id(cookie: str) -> None:
    assert read_xsrf_id([(b"cookie", cookie.encode())]) == ""
