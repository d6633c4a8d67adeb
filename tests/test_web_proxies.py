"""Who asks, when somebody stands between: what is believed, of whom, and that everything else counts for nothing."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from starlette.types import Scope

from flowground.web.origin import HERE, UNKNOWN, Proxies, name_address
from tests.forwards import as_nginx, forward
from tests.page_socket import Browser, open_page
from tests.people import CREDENTIALS
from tests.servers import ROOT, AppServer


def asked(peer: str | None = "127.0.0.1", *said: tuple[str, str]) -> Scope:
    headers = [(b"host", b"10.0.0.5:8501"), *((name.encode(), value.encode()) for name, value in said)]
    return {"type": "http", "scheme": "http", "client": None if peer is None else (peer, 50_000), "headers": headers}


LOOPBACK, BOTH = ("127.0.0.1",), ("127.0.0.1", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("trusted", "peer", "chain", "found"),
    [
        ((), "127.0.0.1", ["203.0.113.9"], HERE),
        (("10.0.0.0/8",), "127.0.0.1", ["203.0.113.9"], HERE),
        (LOOPBACK, "127.0.0.1", [], HERE),
        (LOOPBACK, "127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (LOOPBACK, "::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (LOOPBACK, "127.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (LOOPBACK, "127.0.0.1", ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        (BOTH, "127.0.0.1", ["6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (BOTH, "127.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        (LOOPBACK, "127.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        (LOOPBACK, "127.0.0.1", ["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::/64"),
        (LOOPBACK, "127.0.0.1", ["2001:db8:1:2:9::1"], "2001:db8:1:2::/64"),
        (LOOPBACK, "127.0.0.1", ["unknown"], HERE),
        (LOOPBACK, "127.0.0.1", ["203.0.113.9, " + "x" * 9_000], HERE),
        (LOOPBACK, "127.0.0.1", [""], HERE),
        (("0.0.0.0/0",), "198.51.100.1", ["203.0.113.9"], "203.0.113.9"),
        ((), "2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ((), "fe80::1%eth0", [], "fe80::/64"),
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
    assert name_address(scope) == found


@pytest.mark.parametrize(("trusted", "place"), [((), ("http", "10.0.0.5:8501")), (("127.0.0.1",), ("https", "a.org"))])
def test_only_a_trusted_proxy_says_by_which_name_and_scheme(trusted: tuple[str, ...], place: tuple[str, str]) -> None:
    scope = asked("127.0.0.1", ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example, a.org"))
    Proxies(trusted).settle(scope)
    hosts = [value.decode() for name, value in scope["headers"] if name == b"host"]
    assert (scope["scheme"], hosts) == (place[0], [place[1]])


def counted(server: AppServer, said: Mapping[str, str]) -> str:
    """Under which address a wrong link counts that somebody tries with these headers."""
    with open_page(Browser(server.url), headers=said) as page:
        assert b"does not work" in page.visit("join", "invitation=wrong")
    return last_address(server)


def last_address(server: AppServer) -> str:
    with closing(sqlite3.connect(server.folder / "data" / "flowground.db")) as database:
        return str(database.execute("SELECT address FROM attempts ORDER BY id DESC LIMIT 1").fetchone()[0])


@pytest.mark.parametrize("by", ["streamlit", "uvicorn"])
def test_nobody_chooses_under_which_address_they_are_counted(tmp_path: Path, by: Any) -> None:
    with AppServer(tmp_path, config=CREDENTIALS, by=by) as server:
        lies = (("Forwarded-For", "203.0.113.9"), ("Flowground-Address", "6.6.6.6"), ("Forwarded-For", "6.6.6.6"))
        for name, lie in lies:
            assert counted(server, {f"X-{name}": lie}) == "this computer"
        warnings = [line for line in server.log.splitlines() if "trusted_proxies: [127.0.0.1]" in line]
    assert len(warnings) == 1
    assert "203.0.113" not in warnings[0]


def test_a_trusted_proxy_tells_the_pages_who_asks(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = CREDENTIALS | {"trusted_proxies": ["127.0.0.1"]}
    with AppServer(tmp_path_factory.mktemp("trusting"), config=config) as server:
        assert counted(server, {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}) == "203.0.113.9"
        assert counted(server, {}) == "this computer"
        assert "trusted_proxies" not in server.log


def snippet(language: str) -> str:
    return (ROOT / "docs/proxies.md").read_text("utf-8").partition(f"\n```{language}\n")[2].partition("\n```")[0]


PUBLIC = {"Host": "flows.example.com", "Origin": "https://flows.example.com"}


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AppServer, str]]:
    """A server with the settings that docs/proxies.md shows, and the address of a proxy with the file it shows."""
    config = yaml.safe_load(snippet("yaml"))
    assert config.keys() == {"public_url", "trusted_proxies"}
    with AppServer(tmp_path_factory.mktemp("nginx"), config=CREDENTIALS | config) as server:
        change = as_nginx(snippet("nginx"), client="203.0.113.7", scheme="https")
        with forward(server.port, change) as port:
            yield server, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("lie", [None, "6.6.6.6", "127.0.0.1, 6.6.6.6"])
def test_pages_open_through_the_docs_nginx_and_know_who(behind_nginx: tuple[AppServer, str], lie: str | None) -> None:
    server, proxy = behind_nginx
    said = PUBLIC | ({"X-Forwarded-For": lie} if lie else {})
    with open_page(Browser(proxy), headers=said) as page:
        assert b"does not work" in page.visit("join", "invitation=wrong")
    assert last_address(server) == "203.0.113.7"
    assert "X-Forwarded-" not in server.log


def test_the_nginx_of_the_docs_says_that_it_speaks_https(behind_nginx: tuple[AppServer, str]) -> None:
    server, proxy = behind_nginx
    answer = requests.get(proxy, headers={"Accept": "text/html", "Host": "another.example"}, timeout=10)
    assert answer.headers["set-cookie"].startswith("__Host-flowground_visitor=")
    assert "strict-transport-security" in answer.headers
    plain = requests.get(server.url, headers={"Accept": "text/html"}, timeout=10)
    assert plain.headers["set-cookie"].startswith("flowground_visitor=")


def test_the_nginx_of_the_docs_passes_no_host_that_a_client_made_up(behind_nginx: tuple[AppServer, str]) -> None:
    _, proxy = behind_nginx
    made_up = {"Host": "flows.example.com", "Origin": "http://127.0.0.1", "X-Forwarded-Host": "127.0.0.1"}
    assert requests.post(f"{proxy}/session/end", headers=made_up, timeout=10).status_code == 403
    assert requests.post(f"{proxy}/session/end", headers=PUBLIC, timeout=10).status_code == 200


def test_a_trusted_proxy_is_not_this_computer(tmp_path_factory: pytest.TempPathFactory) -> None:
    with AppServer(tmp_path_factory.mktemp("local"), config=yaml.safe_load(snippet("yaml"))) as server:
        for client in ("203.0.113.7", "127.0.0.1"):
            with forward(server.port, as_nginx(snippet("nginx"), client=client, scheme="http")) as port:
                named = {"Host": f"127.0.0.1:{server.port}"}
                refused = requests.get(f"http://127.0.0.1:{port}", headers=named, timeout=10)
                assert (refused.status_code, refused.json()["code"]) == (403, "local_mode")
