"""Before the first account: what this computer is let do, by `local_mode`, and what passes for this computer."""

import re
from collections.abc import Iterator

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.access_matrix import BEFORE_THE_FIRST_ACCOUNT, LOCAL_MODES, cells
from tests.forwards import forward
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.test_gate import PAGES, SECRETS

PRINTED = re.compile(r"/\?code=(\S+)")
TICKET = re.compile(rb"ticket\W+([A-Za-z0-9_-]{43})")


@pytest.fixture(scope="module")
def by_link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("link"), config={"local_mode": "link"}) as server:
        yield server


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("off"), config={"local_mode": "off"}) as server:
        yield server


def code_of(server: AppServer) -> str:
    found = PRINTED.search(server.log)
    assert found is not None
    return found[1]


def enter(server: AppServer) -> Browser:
    """A browser that opened the printed link, as far as its cookie."""
    browser = Browser(server.url)
    with open_page(browser) as page:
        ticket = TICKET.search(page.visit("", f"code={code_of(server)}"))
    assert ticket is not None
    assert browser.post("/session/start", {"ticket": ticket[1].decode()}).status_code == 200
    return browser


def find_secrets(sent: bytes, page: str) -> list[bytes]:
    """`join` leads to the flow of its address, be there one or not."""
    return [secret for secret in SECRETS if secret in sent and (page != "join" or secret != b"memory-chatbot")]


FORWARDED = {"X-Forwarded-For": "203.0.113.9"}
NAMED = {"Host": "flows.example.com", "Origin": "http://flows.example.com"}


def seen(browser: Browser, headers: dict[str, str]) -> str:
    """What a page shows, in the matrix's words."""
    try:
        with open_page(browser, headers=headers) as page:
            sent = page.visit()
    except InvalidStatus as refused:
        return "refused" if refused.response.status_code == 403 else f"HTTP {refused.response.status_code}"
    words = {b"Memory Chatbot": "opens", b"Create account": "account", b"Owner code": "code"}
    return " and ".join(cell for word, cell in words.items() if word in sent)


def run(url: str, headers: dict[str, str]) -> str:
    body = {"input_value": "x"}
    return str(requests.post(f"{url}/api/v1/run/echo", json=body, headers=headers, timeout=10).status_code)


@pytest.mark.parametrize("mode", LOCAL_MODES)
def test_every_cell_of_the_time_before_the_first_account(
    server: AppServer, by_link: AppServer, shut: AppServer, mode: str
) -> None:
    """A forward is loopback to us: open local mode lets it in, as its start says; by link it does not."""
    running, says = {
        "open": (server, "whatever forwards"), "link": (by_link, "opened this link"), "off": (shut, "makes")
    }[mode]  # fmt: skip
    assert says in running.log
    assert (f"Open {running.url}\n" in running.log) is (mode == "open")
    assert f"pen {running.url}/?code={code_of(running)}" in running.log
    key = {"x-api-key": running.token("matrix")}
    here, owner = Browser(running.url), enter(running)
    with forward(running.port) as port:
        beyond, to_us = f"http://127.0.0.1:{port}", {"Host": f"127.0.0.1:{running.port}"}
        assert cells("page", mode, BEFORE_THE_FIRST_ACCOUNT) == {
            "this computer": seen(here, {}),
            "the browser of the printed link": seen(owner, {}),
            "a TCP forward that leaves no trace": seen(Browser(beyond), to_us | {"Origin": running.url}),
            "a proxy that leaves a trace": seen(owner, FORWARDED),
            "another name for this computer": seen(owner, NAMED),
        }
        assert cells("run", mode, BEFORE_THE_FIRST_ACCOUNT) == {
            "this computer": run(running.url, {}),
            "a token from this computer": run(running.url, key),
            "a token through such a forward": run(beyond, key | to_us),
            "a token through such a proxy": run(running.url, key | FORWARDED),
            "a token under another name": run(running.url, key | NAMED),
        }


@pytest.mark.parametrize("base", ["", "/public_flow/memory-chatbot"])
def test_by_link_only_the_owner_code_is_asked_for_at_every_address(by_link: AppServer, base: str) -> None:
    assert len(PAGES) > 5
    with open_page(Browser(by_link.url), base=base) as page:
        for name in ["", *PAGES, "nonsense"]:
            for query in ("", "code=2222-2222-2222", "flow=memory-chatbot"):
                sent = page.visit(name, query)
                assert find_secrets(sent, name) == []
                assert b"Create account" not in sent
        sent = page.visit()
        assert b"Open the link of the terminal" in sent


def test_by_link_the_printed_link_opens_everything_for_its_browser_only(by_link: AppServer, server: AppServer) -> None:
    """In open local mode it opens the page for the first account, and the rest is open to all."""
    for running in (by_link, server):
        browser = enter(running)
        with open_page(browser) as page:
            assert b"Memory Chatbot" in page.visit()
            assert b"Create account" in page.visit("first_account")
        with open_page(browser, base="/public_flow/memory-chatbot") as page:
            assert b"Memory Chatbot" in page.visit()
        with open_page(Browser(running.url)) as page:
            assert (b"Memory Chatbot" in page.visit()) is (running is server)
            assert b"Create account" not in page.visit("first_account")


def test_by_link_a_sign_in_that_ended_opens_nothing(by_link: AppServer) -> None:
    browser = enter(by_link)
    copied = browser.cookies
    with open_page(browser) as page:
        assert b"Memory Chatbot" in page.visit()
        assert browser.post("/session/end").status_code == 200
        assert b"Memory Chatbot" not in page.visit()
    with open_page(browser, headers={"Cookie": copied}) as page:
        assert b"Memory Chatbot" not in page.visit()


def test_off_nothing_but_the_first_account_is_served(shut: AppServer) -> None:
    owner = enter(shut)
    for browser in (Browser(shut.url), owner):
        for base in ("", "/public_flow/memory-chatbot"):
            with open_page(browser, base=base) as page:
                for name in ["", *PAGES]:
                    sent = page.visit(name, "flow=memory-chatbot")
                    assert find_secrets(sent, name) == []
                    assert (b"Create account" in sent) is (browser is owner and (name != "join" or bool(base)))
                    assert b"what you said so far" not in sent
