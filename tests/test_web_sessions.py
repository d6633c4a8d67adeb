"""Signing a browser in and out: tickets, the cookie, and pages that were open meanwhile."""

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.house import House, share
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.tickets import open_browser, ticket_for

HOUSE = House(config={"public_url": "https://flows.example.com"})


def test_a_ticket_becomes_a_cookie_that_scripts_cannot_read(house: AppServer) -> None:
    browser = Browser(house.url)
    answer = browser.post("/session/start", {"ticket": ticket_for(house, "augusta", browser)})
    parts = answer.raw.headers.getlist("set-cookie")[0].lower().split("; ")
    assert answer.status_code == 200
    assert parts[0].startswith("flowground=ey")
    assert sorted(parts[1:]) == ["httponly", "max-age=2592000", "path=/", "samesite=lax"]
    with open_page(browser) as page:
        assert b"Memory Chatbot" in page.visit()


def test_the_cookie_is_secure_where_the_browser_speaks_https(house: AppServer) -> None:
    browser = Browser(house.url)
    ticket = ticket_for(house, "augusta", browser)
    answer = browser.post("/session/start", {"ticket": ticket}, Origin="https://flows.example.com")
    assert answer.headers["set-cookie"].lower().endswith("; secure")


def test_with_a_public_url_no_other_name_that_leads_here_is_ours(house: AppServer) -> None:
    """DNS rebinding: another site's name, pointed at this server."""
    rebound = {"Host": f"evil.example:{house.port}", "Origin": f"http://evil.example:{house.port}"}
    with pytest.raises(InvalidStatus, match="403"), open_page(Browser(house.url), headers=rebound):
        pass
    refused = Browser(house.url).post("/session/end", Host=rebound["Host"], Origin=rebound["Origin"])
    assert refused.status_code == 403


def test_pages_open_at_the_public_address_behind_a_proxy_that_renames_the_host(house: AppServer) -> None:
    with open_page(open_browser(house, "augusta"), headers={"Origin": "https://flows.example.com"}) as page:
        assert b"Memory Chatbot" in page.visit()


def test_a_ticket_works_once(house: AppServer) -> None:
    browser = Browser(house.url)
    ticket = ticket_for(house, "augusta", browser)
    assert browser.post("/session/start", {"ticket": ticket}).status_code == 200
    again = browser.post("/session/start", {"ticket": ticket})
    assert (again.status_code, "set-cookie" in again.headers) == (400, False)


def test_a_ticket_works_in_its_browser_only(house: AppServer) -> None:
    browser, thief = Browser(house.url), Browser(house.url)
    ticket = ticket_for(house, "augusta", browser)
    stolen = thief.post("/session/start", {"ticket": ticket})
    assert (stolen.status_code, "set-cookie" in stolen.headers) == (400, False)
    assert browser.post("/session/start", {"ticket": ticket}).status_code == 400


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:1", "http://flows.example.com"]
)
def test_other_sites_cannot_sign_a_browser_in_or_out(house: AppServer, origin: str) -> None:
    browser = open_browser(house, "augusta")
    ticket = ticket_for(house, "bob", browser)
    assert browser.post("/session/start", {"ticket": ticket}, Origin=origin).status_code == 403
    assert browser.post("/session/end", Origin=origin).status_code == 403
    with open_page(browser) as page:
        assert b"Memory Chatbot" in page.visit()


def test_a_browser_without_cookies_gets_none(house: AppServer) -> None:
    browser = Browser(house.url)
    ticket = ticket_for(house, "augusta", browser)
    browser.session.cookies.clear()
    assert browser.post("/session/start", {"ticket": ticket}).status_code == 403


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"ticket": 1}', b'{"ticket": ""}', b"x" * 5_000, b"\xff"])
def test_anything_else_is_no_ticket(house: AppServer, body: bytes) -> None:
    headers = {"Origin": house.url, "Cookie": Browser(house.url).cookies}
    answer = requests.post(f"{house.url}/session/start", data=body, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "The sign-in took too long. Please sign in again."}


def test_signing_out_is_final(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    copied = browser.cookies
    with open_page(browser) as open_before:
        assert b"Memory Chatbot" in open_before.visit()
        assert browser.post("/session/end").status_code == 200
        assert "flowground" not in browser.session.cookies
        sent = open_before.visit()
        assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)
    with open_page(browser, headers={"Cookie": copied}) as replayed:
        sent = replayed.visit()
        assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)


def test_signing_out_ends_one_browser_only(house: AppServer) -> None:
    here, there = open_browser(house, "augusta"), open_browser(house, "augusta")
    here.post("/session/end")
    with open_page(there) as page:
        assert b"Memory Chatbot" in page.visit()


def test_a_member_sees_nothing_that_is_not_shared(house: AppServer) -> None:
    bob = open_browser(house, "bob")
    with open_page(bob) as page:
        for sent in (page.visit(), page.visit("playground", "flow=memory-chatbot"), page.visit("api_access")):
            assert (b"Bob" in sent, b"Memory Chatbot" in sent) == (True, False)
    with open_page(bob, base="/public_flow/memory-chatbot") as page:
        assert b"Memory Chatbot" not in page.visit()
    share(house, "echo")
    with open_page(bob) as page:
        sent = page.visit()
        assert (b"Echo" in sent, b"Memory Chatbot" in sent) == (True, False)


def test_a_page_that_comes_back_as_somebody_else_keeps_nothing(house: AppServer) -> None:
    """The socket is opened anew with the session's id, as the frontend does after a lost connection."""
    with open_page(open_browser(house, "augusta")) as page:
        assert b"Memory Chatbot" in page.visit()
        session = page.session_id
    with open_page(open_browser(house, "bob"), session=session) as page:
        assert b"Memory Chatbot" not in page.visit()
        assert page.session_id != session


def test_signing_in_anew_ends_what_the_browser_had_before(house: AppServer) -> None:
    """A cookie planted or copied before the sign-in is worth nothing after it."""
    browser = open_browser(house, "augusta")
    copied = browser.cookies
    with open_page(browser, headers={"Cookie": copied}) as page:
        assert b"Memory Chatbot" in page.visit()
    assert browser.post("/session/start", {"ticket": ticket_for(house, "bob", browser)}).status_code == 200
    with open_page(browser) as page:
        assert b"Bob" in page.visit()
    with open_page(browser, headers={"Cookie": copied}) as replayed:
        sent = replayed.visit()
        assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)


def test_no_other_site_frames_a_page(house: AppServer) -> None:
    for path in ("/", "/public_flow/echo"):
        assert "frame-ancestors 'self'" in requests.get(house.url + path, timeout=10).headers["content-security-policy"]


def test_pages_ask_the_browser_for_less(house: AppServer) -> None:
    said = requests.get(house.url, timeout=10).headers
    assert said["cross-origin-opener-policy"] == "same-origin"
    assert said["x-dns-prefetch-control"] == "off"
    assert {"camera=()", "microphone=()", "geolocation=()"} < set(said["permissions-policy"].split(", "))


@pytest.mark.parametrize("path", ["/", "/health", "/session/my-data"])
def test_https_is_for_good_where_the_browser_came_by_it(house: AppServer, path: str) -> None:
    by_https = requests.get(house.url + path, headers={"Host": "flows.example.com"}, timeout=10)
    assert by_https.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in requests.get(house.url + path, timeout=10).headers
