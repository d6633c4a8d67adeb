"""The cookies of a browser: which visitor it is, who signed in, who did before; over https, and from before; signing in
and out, and pages that were open meanwhile."""

import pytest
import requests
from websockets.exceptions import InvalidStatus

from flowground.web.cookies import PREFIX, take_cookies
from tests.page_socket import Browser, open_browser, open_page, ticket_for
from tests.servers import PUBLIC, AppServer, House

HTTPS = {"Origin": "https://flows.example.com"}
FOR_GOOD = ["httponly", "max-age=34560000", "path=/", "samesite=lax"]
CONFIG = {"public_url": HTTPS["Origin"], "sharing": {"allow_public": True}, "cookie": {"expiry_days": 10}}
HOUSE = House(config=CONFIG, shared={"echo": PUBLIC})
OVER_HTTPS = {"Host": "flows.example.com"} | HTTPS
KNOWN = "ab" * 16
PUBLIC_FLOW = "/public_flow/echo"


def visit(browser: Browser, base: str = "", says: str = "", **headers: str) -> bytes:
    """What a page is sent."""
    with open_page(browser, base=base, headers=headers) as page:
        return page.visit() + (page.say(says) if says else b"")


def cookies_of(answer: requests.Response) -> dict[str, list[str]]:
    """Name -> value and attributes, in lower case and sorted, of every cookie that the answer sets."""
    found = {}
    for line in answer.raw.headers.getlist("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        found[name] = [value, *sorted(attribute.lower() for attribute in attributes)]
    return found


@pytest.mark.parametrize("path", ["/", "/playground", "/public_flow/echo", "/_stcore/health"])
def test_a_page_gives_the_browser_a_name_that_scripts_cannot_read(house: AppServer, path: str) -> None:
    given = cookies_of(requests.get(house.url + path, headers={"Accept": "text/html"}, timeout=10))
    value, *attributes = given["flowground_visitor"]
    assert (len(bytes.fromhex(value)), attributes) == (16, FOR_GOOD)
    kept = {"Accept": "text/html", "Cookie": f"flowground_visitor={value}"}
    answer = requests.get(house.url + path, headers=kept, timeout=10)
    assert "flowground_visitor" not in cookies_of(answer)
    if tag := answer.headers.get("etag"):  # a browser that kept the page and lost its cookies
        asked = {"Accept": "text/html", "If-None-Match": tag}
        again = requests.get(house.url + path, headers=asked, timeout=10)
        assert (again.status_code, "flowground_visitor" in cookies_of(again)) == (304, True)


def test_over_https_no_other_host_of_the_domain_can_have_given_it(house: AppServer) -> None:
    asked = {"Accept": "text/html", "Host": "flows.example.com"}
    given = cookies_of(requests.get(house.url, headers=asked, timeout=10))
    assert given["__Host-flowground_visitor"][1:] == [*FOR_GOOD, "secure"]


@pytest.mark.parametrize("path", ["/health", "/api/v1/version", "/app/static/icon.svg", "/session/my-data"])
def test_nothing_else_does(house: AppServer, path: str) -> None:
    assert "visitor" not in str(cookies_of(requests.get(house.url + path, timeout=10)))


@pytest.mark.parametrize("made_up", ["x", "", "0" * 31, "Z" * 32, "0" * 33])
def test_a_name_we_would_not_give_is_none(house: AppServer, made_up: str) -> None:
    browser = Browser(house.url)
    browser.session.cookies.set("flowground_visitor", made_up, domain="127.0.0.1", path="/")
    assert b"Sign in" in visit(browser, PUBLIC_FLOW)


def test_over_https_a_name_that_another_host_planted_is_nobodys(house: AppServer) -> None:
    planted = f"flowground_visitor={KNOWN}"
    browser, planter = Browser(house.url), OVER_HTTPS | {"Cookie": f"__Host-{planted}"}
    visit(browser, PUBLIC_FLOW, "The planter's words", **planter)
    assert b"Sign in" in visit(browser, PUBLIC_FLOW, **OVER_HTTPS | {"Cookie": planted})
    load = {"Accept": "text/html", "Host": "flows.example.com", "Cookie": planted}
    given = cookies_of(requests.get(f"{house.url}/public_flow/echo", headers=load, timeout=10))
    name = given["__Host-flowground_visitor"][0]
    assert name != KNOWN
    both = OVER_HTTPS | {"Cookie": f"__Host-flowground_visitor={name}; {planted}"}
    visit(browser, PUBLIC_FLOW, "The secret of the other", **both)
    assert b"The secret of the other" not in visit(browser, PUBLIC_FLOW, **planter)


def test_over_https_a_sign_in_that_another_host_planted_signs_nobody_in(house: AppServer) -> None:
    value = open_browser(house, "augusta").session.cookies["flowground"]
    for prefix, is_in in (("", False), ("__Host-", True)):
        asked = {"Host": "flows.example.com", "Cookie": f"{prefix}flowground={value}"}
        assert (b"Memory Chatbot" in visit(Browser(house.url), **OVER_HTTPS | asked)) is is_in
        answer = requests.get(f"{house.url}/session/my-data", headers=asked, timeout=10)
        assert answer.status_code == (200 if is_in else 403)


@pytest.mark.parametrize("junk", ["\xa0", "\x85", "\x1c", "\x0b", '"'])
@pytest.mark.parametrize("https", [True, False])
def test_no_other_spelling_takes_the_place_of_ours(junk: str, *, https: bool) -> None:
    real, planted = f"{PREFIX}flowground_visitor={'cd' * 16}", f"flowground_visitor={KNOWN}"
    others = f"{junk}{PREFIX}{planted}; {PREFIX}flowground_visitor={junk}"
    line = f"{others}; {real}; {planted}; {others}"
    sent, _ = take_cookies([(b"cookie", line.encode("latin-1"))], "flowground", is_secure=https)
    assert sent.visitor == "cd" * 16


def test_signing_in_over_https_prefixes_what_it_sets_and_drops_the_other_spelling(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    old = browser.session.cookies["flowground"]
    answer = browser.post("/session/start", {"ticket": ticket_for(house, "augusta", browser)}, **HTTPS)
    given = cookies_of(answer)
    assert given["__Host-flowground"][1:] == ["httponly", "max-age=864000", "path=/", "samesite=lax", "secure"]
    assert "max-age=0" in given["flowground"]
    assert b"Memory Chatbot" not in visit(browser, Cookie=f"flowground={old}")  # one browser, one sign-in


@pytest.mark.parametrize("planted", ["first", "last"])
def test_the_cookie_no_other_host_can_set_counts_first(house: AppServer, planted: str) -> None:
    ada, bob = (open_browser(house, name).session.cookies["flowground"] for name in ("augusta", "bob"))
    both = [f"{PREFIX}flowground={ada}", f"flowground={bob}"]
    sent = "; ".join(both if planted == "last" else both[::-1])
    assert b"Memory Chatbot" in visit(Browser(house.url), Cookie=sent)


@pytest.mark.parametrize("name", ["flowground", "__Host-flowground"])
def test_either_spelling_signs_in_and_signing_out_ends_both(house: AppServer, name: str) -> None:
    value = open_browser(house, "augusta").session.cookies["flowground"]
    sent = {"Cookie": f"{name}={value}"}
    assert b"Memory Chatbot" in visit(Browser(house.url), **sent)
    assert requests.get(f"{house.url}/session/my-data", headers=sent, timeout=10).json()["name"] == "augusta"
    answer = requests.post(f"{house.url}/session/end", headers=sent | HTTPS, timeout=10)
    dropped = cookies_of(answer)
    assert ["max-age=0" in dropped[spelling] for spelling in ("flowground", "__Host-flowground")] == [True, True]
    assert b"Memory Chatbot" not in visit(Browser(house.url), **sent)


def test_a_page_receives_none_of_them() -> None:
    cookies = b"a=b; flowground=x.x.x; __Host-flowground=y.y.y; flowground_visitor=z; __Host-a=c"
    headers = [(b"host", b"h"), (b"cookie", cookies), (b"cookie", b"flowground=v.v.v")]
    sent, left = take_cookies(headers, "flowground", is_secure=False)
    assert left == [(b"host", b"h"), (b"cookie", b"a=b; __Host-a=c")]
    assert (sent.sign_ins, sent.visitor) == (("y.y.y", "x.x.x"), "")


def test_a_ticket_becomes_a_cookie_that_scripts_cannot_read(house: AppServer) -> None:
    browser = Browser(house.url)
    answer = browser.post("/session/start", {"ticket": ticket_for(house, "augusta", browser)})
    value, *attributes = cookies_of(answer)["flowground"]
    assert (answer.status_code, value[:2]) == (200, "ey")
    assert attributes == ["httponly", "max-age=864000", "path=/", "samesite=lax"]
    assert b"Memory Chatbot" in visit(browser)


def test_with_a_public_url_no_other_name_that_leads_here_is_ours(house: AppServer) -> None:
    """DNS rebinding: another site's name, pointed at this server."""
    rebound = {"Host": f"evil.example:{house.port}", "Origin": f"http://evil.example:{house.port}"}
    with pytest.raises(InvalidStatus, match="403"), open_page(Browser(house.url), headers=rebound):
        pass
    refused = Browser(house.url).post("/session/end", Host=rebound["Host"], Origin=rebound["Origin"])
    assert refused.status_code == 403
    assert b"Memory Chatbot" in visit(open_browser(house, "augusta"), **HTTPS)  # behind a proxy that renames the host


def test_a_ticket_works_once_in_its_browser_only(house: AppServer) -> None:
    browser, thief = Browser(house.url), Browser(house.url)
    used, stolen = (ticket_for(house, "augusta", browser) for _ in range(2))
    assert browser.post("/session/start", {"ticket": used}).status_code == 200
    for who, ticket in ((browser, used), (thief, stolen), (browser, stolen)):
        answer = who.post("/session/start", {"ticket": ticket})
        assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    browser.session.cookies.clear()
    assert browser.post("/session/start", {"ticket": used}).status_code == 403


@pytest.mark.parametrize("origin", ["", "null", "http://evil.test", "http://127.0.0.1:1", "http://flows.example.com"])
def test_other_sites_cannot_sign_a_browser_in_or_out(house: AppServer, origin: str) -> None:
    browser = open_browser(house, "augusta")
    ticket = ticket_for(house, "bob", browser)
    assert browser.post("/session/start", {"ticket": ticket}, Origin=origin).status_code == 403
    assert browser.post("/session/end", Origin=origin).status_code == 403
    assert b"Memory Chatbot" in visit(browser)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"ticket": 1}', b'{"ticket": ""}', b"x" * 5_000, b"\xff"])
def test_anything_else_is_no_ticket(house: AppServer, body: bytes) -> None:
    headers = {"Origin": house.url, "Cookie": Browser(house.url).cookies}
    answer = requests.post(f"{house.url}/session/start", data=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"detail": "The sign-in took too long. Please sign in again."})


def test_signing_out_is_final_and_ends_one_browser_only(house: AppServer) -> None:
    browser, another = (open_browser(house, "augusta") for _ in range(2))
    copied = browser.cookies
    with open_page(browser) as open_before:
        assert b"Memory Chatbot" in open_before.visit()
        assert browser.post("/session/end").status_code == 200
        assert "flowground" not in browser.session.cookies
        with open_page(browser, headers={"Cookie": copied}) as replayed:
            for page in (open_before, replayed):
                sent = page.visit()
                assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)
    assert b"Memory Chatbot" in visit(another)


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
    assert b"Memory Chatbot" in visit(browser, Cookie=copied)
    assert browser.post("/session/start", {"ticket": ticket_for(house, "bob", browser)}).status_code == 200
    assert b"Bob" in visit(browser)
    sent = visit(browser, Cookie=copied)
    assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)


@pytest.mark.parametrize("path", ["/", "/health", "/session/my-data"])
def test_https_is_for_good_where_the_browser_came_by_it(house: AppServer, path: str) -> None:
    by_https = requests.get(house.url + path, headers={"Host": "flows.example.com"}, timeout=10)
    assert by_https.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in requests.get(house.url + path, timeout=10).headers
