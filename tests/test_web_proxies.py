"""Who asks, when somebody stands between: what is believed, of whom, and that everything else counts for nothing."""

import sqlite3
from collections.abc import Iterator, Mapping

import pytest
from starlette.types import Scope

from flowground.web.address import HERE, UNKNOWN, Proxies, address_of
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.test_gate import ADA


def asked(peer: str | None = "127.0.0.1", *said: tuple[str, str]) -> Scope:
    headers = [(b"host", b"10.0.0.5:8501"), *((name.encode(), value.encode()) for name, value in said)]
    return {"type": "http", "scheme": "http", "client": None if peer is None else (peer, 50_000), "headers": headers}


@pytest.mark.parametrize(
    ("trusted", "peer", "chain", "found"),
    [
        ((), "127.0.0.1", ["203.0.113.9"], HERE),
        (("10.0.0.0/8",), "127.0.0.1", ["203.0.113.9"], HERE),
        (("127.0.0.1",), "127.0.0.1", [], HERE),
        (("127.0.0.1",), "127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (("127.0.0.1",), "::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (("127.0.0.1",), "127.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (("127.0.0.1",), "127.0.0.1", ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        (("127.0.0.1", "10.0.0.0/8"), "127.0.0.1", ["6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (("127.0.0.1", "10.0.0.0/8"), "127.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        (("127.0.0.1",), "127.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        (("127.0.0.1",), "127.0.0.1", ["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::/64"),
        (("127.0.0.1",), "127.0.0.1", ["2001:db8:1:2:9::1"], "2001:db8:1:2::/64"),
        (("127.0.0.1",), "127.0.0.1", ["unknown"], HERE),
        (("127.0.0.1",), "127.0.0.1", ["203.0.113.9, " + "x" * 9_000], HERE),
        (("127.0.0.1",), "127.0.0.1", [""], HERE),
        (("0.0.0.0/0",), "198.51.100.1", ["203.0.113.9"], "203.0.113.9"),
        ((), "2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ((), "::1", [], HERE),
        ((), "testclient", [], UNKNOWN),
        ((), None, [], UNKNOWN),
    ],
)
def test_only_a_trusted_proxy_says_who_asks(
    trusted: tuple[str, ...], peer: str | None, chain: list[str], found: str
) -> None:
    scope = asked(peer, *(("x-forwarded-for", value) for value in chain))
    Proxies(trusted).settle(scope)
    assert address_of(scope) == found


@pytest.mark.parametrize(("trusted", "place"), [((), ("http", "10.0.0.5:8501")), (("127.0.0.1",), ("https", "a.org"))])
def test_only_a_trusted_proxy_says_by_which_name_and_scheme(trusted: tuple[str, ...], place: tuple[str, str]) -> None:
    scope = asked("127.0.0.1", ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example, a.org"))
    Proxies(trusted).settle(scope)
    assert (scope["scheme"], [value.decode() for name, value in scope["headers"] if name == b"host"]) == (
        place[0],
        [place[1]],
    )


def counted(server: AppServer, said: Mapping[str, str]) -> str:
    """Under which address a wrong link counts that somebody tries with these headers."""
    with open_page(Browser(server.url), headers=said) as page:
        assert b"does not work" in page.visit("join", "invitation=wrong")
    with sqlite3.connect(server.folder / "data" / "flowground.db") as database:
        return str(database.execute("SELECT address FROM attempts ORDER BY id DESC LIMIT 1").fetchone()[0])


@pytest.fixture(scope="module", params=["streamlit", "uvicorn"])
def untrusting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    config = {"credentials": {"usernames": ADA}}
    with AppServer(tmp_path_factory.mktemp("untrusting"), config=config, by=request.param) as server:
        yield server


def test_nobody_chooses_under_which_address_they_are_counted(untrusting: AppServer) -> None:
    assert counted(untrusting, {"X-Forwarded-For": "203.0.113.9"}) == "this computer"
    assert counted(untrusting, {"X-Flowground-Address": "203.0.113.9"}) == "this computer"
    assert counted(untrusting, {"X-Forwarded-For": "203.0.113.10"}) == "this computer"
    warnings = [line for line in untrusting.log.splitlines() if "trusted_proxies: [127.0.0.1]" in line]
    assert len(warnings) == 1
    assert "203.0.113" not in warnings[0]


def test_a_trusted_proxy_tells_the_pages_who_asks(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = {"credentials": {"usernames": ADA}, "trusted_proxies": ["127.0.0.1"]}
    with AppServer(tmp_path_factory.mktemp("trusting"), config=config) as server:
        assert counted(server, {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}) == "203.0.113.9"
        assert counted(server, {}) == "this computer"
        assert "trusted_proxies" not in server.log
