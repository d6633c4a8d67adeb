"""The cookies of a browser: which visitor it is, who signed in, who did before; over https, and from before."""

import asyncio
import hashlib
from contextlib import AbstractContextManager

import pytest
import requests

from flowground.settings import Settings
from flowground.store import Store, tables
from flowground.store.runs import conversations
from flowground.web.cookies import PREFIX, drop_costly_cookies, read_xsrf_id, take_cookies
from tests.house import PUBLIC, House
from tests.page_socket import Browser, PageSocket, open_page
from tests.servers import AppServer
from tests.tickets import open_browser, ticket_for

HTTPS = {"Origin": "https://flows.example.com"}


HOUSE = House(
    config={
        "public_url": "https://flows.example.com",
        "sharing": {"allow_public": True},
        "cookie": {"expiry_days": 10},
    },
    shared={"echo": PUBLIC},
)


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
    assert len(bytes.fromhex(value)) == 16
    assert attributes == ["httponly", "max-age=34560000", "path=/", "samesite=lax"]
    kept = {"Accept": "text/html", "Cookie": f"flowground_visitor={value}"}
    assert "flowground_visitor" not in cookies_of(requests.get(house.url + path, headers=kept, timeout=10))


def test_a_browser_that_kept_the_page_and_lost_its_cookies_gets_a_name(house: AppServer) -> None:
    asked = {"Accept": "text/html"}
    page = requests.get(house.url, headers=asked, timeout=10)
    again = requests.get(house.url, headers=asked | {"If-None-Match": page.headers["etag"]}, timeout=10)
    assert again.status_code == 304
    assert "flowground_visitor" in cookies_of(again)


def test_over_https_no_other_host_of_the_domain_can_have_given_it(house: AppServer) -> None:
    asked = {"Accept": "text/html", "Host": "flows.example.com"}
    given = cookies_of(requests.get(house.url, headers=asked, timeout=10))
    assert given["__Host-flowground_visitor"][1:] == [
        "httponly",
        "max-age=34560000",
        "path=/",
        "samesite=lax",
        "secure",
    ]


@pytest.mark.parametrize("path", ["/health", "/api/v1/version", "/app/static/icon.svg", "/session/my-data"])
def test_nothing_else_does(house: AppServer, path: str) -> None:
    assert "visitor" not in str(cookies_of(requests.get(house.url + path, timeout=10)))


@pytest.mark.parametrize("made_up", ["x", "", "0" * 31, "Z" * 32, "0" * 33])
def test_a_name_we_would_not_give_is_none(house: AppServer, made_up: str) -> None:
    browser = Browser(house.url)
    browser.session.cookies.set("flowground_visitor", made_up, domain="127.0.0.1", path="/")
    with open_page(browser, base="/public_flow/echo") as page:
        assert b"Sign in" in page.visit()


def before_the_upgrade(server: AppServer, title: str) -> Browser:
    """A visitor's browser as the release before left it: known by Streamlit's cookie only, with one conversation."""
    browser = Browser(server.url)
    kept = browser.session.cookies["_streamlit_xsrf"]
    browser.session.cookies.clear()
    browser.session.cookies.set("_streamlit_xsrf", kept, domain="127.0.0.1", path="/")
    old = read_xsrf_id([(b"cookie", browser.cookies.encode())])
    owner = f"visitor:{hashlib.sha256(b'visitor:' + old.encode()).hexdigest()[:32]}"
    row = {"flow_id": "echo", "owner": owner, "session_id": "s", "title": title, "messages": 1}
    times = {"created_at": 1.0, "updated_at": 4e9}
    key = conversations.make_session_key("echo", owner, "s")
    store = Store.open(Settings.load(server.config_file).database)
    try:
        asyncio.run(
            store.write(lambda to: to.execute(tables.sessions.insert().values(id=key, **row, **times)) and None)
        )
    finally:
        store.close()
    return browser


def load(browser: Browser) -> None:
    browser.session.get(f"{browser.url}/public_flow/echo", headers={"Accept": "text/html"}, timeout=10)


def sees(browser: Browser, title: str) -> bool:
    with open_page(browser, base="/public_flow/echo") as page:
        return title.encode() in page.visit()


def test_what_a_visitor_said_before_there_was_the_cookie_stays_theirs_and_moves_once(house: AppServer) -> None:
    visitor = before_the_upgrade(house, "My old talk")
    stolen = visitor.session.cookies["_streamlit_xsrf"]
    load(visitor)
    assert sees(visitor, "My old talk")
    load(visitor)
    assert sees(visitor, "My old talk")
    thief = Browser(house.url)
    thief.session.cookies.set("_streamlit_xsrf", stolen)
    assert not sees(thief, "My old talk")


def test_the_new_name_is_told_once(house: AppServer) -> None:
    """Several tabs share their cookies; whoever else knows the former name is not told the new one."""
    visitor = before_the_upgrade(house, "My two tabs")
    sent = {"Accept": "text/html", "Cookie": visitor.cookies}
    answers = [cookies_of(requests.get(f"{house.url}/public_flow/echo", headers=sent, timeout=10)) for _ in range(2)]
    assert ["flowground_visitor" in answer for answer in answers] == [True, False]


OVER_HTTPS = {"Host": "flows.example.com"} | HTTPS
KNOWN = "ab" * 16


def over_https(house: AppServer, cookies: str, base: str = "/public_flow/echo") -> AbstractContextManager[PageSocket]:
    return open_page(Browser(house.url), base=base, headers=OVER_HTTPS | {"Cookie": cookies})


def test_over_https_a_name_that_another_host_planted_is_nobodys(house: AppServer) -> None:
    planted = f"flowground_visitor={KNOWN}"
    with over_https(house, f"__Host-{planted}") as page:
        page.visit()
        page.say("The planter's words")
    with over_https(house, planted) as page:
        assert b"Sign in" in page.visit()
    load = {"Accept": "text/html", "Host": "flows.example.com", "Cookie": planted}
    given = [cookies_of(requests.get(f"{house.url}/public_flow/echo", headers=load, timeout=10)) for _ in range(2)]
    name = given[0]["__Host-flowground_visitor"][0]
    assert name != KNOWN
    assert "__Host-flowground_visitor" not in given[1]  # whoever planted it is not told
    with over_https(house, f"__Host-flowground_visitor={name}; {planted}") as page:
        page.visit()
        page.say("The secret of the other")
    with over_https(house, f"__Host-{planted}") as page:
        assert b"The secret of the other" not in page.visit()


def test_what_a_visitor_said_before_there_was_https_stays_theirs(house: AppServer) -> None:
    bare = f"flowground_visitor={'cd' * 16}"
    with open_page(Browser(house.url), base="/public_flow/echo", headers={"Cookie": bare}) as page:
        page.visit()
        page.say("Before there was https")
    load = {"Accept": "text/html", "Host": "flows.example.com", "Cookie": bare}
    name = cookies_of(requests.get(house.url, headers=load, timeout=10))["__Host-flowground_visitor"][0]
    with over_https(house, f"__Host-flowground_visitor={name}") as page:
        assert b"Before there was https" in page.visit()


def test_over_https_a_sign_in_that_another_host_planted_signs_nobody_in(house: AppServer) -> None:
    value = open_browser(house, "augusta").session.cookies["flowground"]
    with over_https(house, f"flowground={value}", "") as page:
        assert b"Memory Chatbot" not in page.visit()
    asked = {"Host": "flows.example.com", "Cookie": f"flowground={value}"}
    assert requests.get(f"{house.url}/session/my-data", headers=asked, timeout=10).status_code == 403
    with over_https(house, f"__Host-flowground={value}", "") as page:
        assert b"Memory Chatbot" in page.visit()


@pytest.mark.parametrize("junk", ["\xa0", "\x85", "\x1c", "\x0b", '"'])
@pytest.mark.parametrize("https", [True, False])
def test_no_other_spelling_takes_the_place_of_ours(junk: str, *, https: bool) -> None:
    real, planted = f"{PREFIX}flowground_visitor={'cd' * 16}", f"flowground_visitor={KNOWN}"
    others = f"{junk}{PREFIX}{planted}; {PREFIX}flowground_visitor={junk}"
    line = f"{others}; {real}; {planted}; {others}"
    sent, _ = take_cookies([(b"cookie", line.encode("latin-1"))], "flowground", is_secure=https)
    assert sent.visitor == "cd" * 16
    assert sent.bare_visitor == (KNOWN if https else "")


def test_signing_in_over_https_prefixes_what_it_sets_and_drops_the_other_spelling(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    old = browser.session.cookies["flowground"]
    answer = browser.post("/session/start", {"ticket": ticket_for(house, "augusta", browser)}, **HTTPS)
    given = cookies_of(answer)
    assert given["__Host-flowground"][1:] == ["httponly", "max-age=864000", "path=/", "samesite=lax", "secure"]
    assert given["__Host-flowground_device"][1:] == ["httponly", "max-age=15552000", "path=/", "samesite=lax", "secure"]
    assert "max-age=0" in given["flowground"]
    with open_page(browser, headers={"Cookie": f"flowground={old}"}) as page:
        assert b"Memory Chatbot" not in page.visit()  # one browser, one sign-in


@pytest.mark.parametrize("planted", ["first", "last"])
def test_the_cookie_no_other_host_can_set_counts_first(house: AppServer, planted: str) -> None:
    ada, bob = (open_browser(house, name).session.cookies["flowground"] for name in ("augusta", "bob"))
    both = [f"{PREFIX}flowground={ada}", f"flowground={bob}"]
    sent = "; ".join(both if planted == "last" else both[::-1])
    with open_page(Browser(house.url), headers={"Cookie": sent}) as page:
        assert b"Memory Chatbot" in page.visit()


@pytest.mark.parametrize("name", ["flowground", "__Host-flowground"])
def test_either_spelling_signs_in_and_signing_out_ends_both(house: AppServer, name: str) -> None:
    value = open_browser(house, "augusta").session.cookies["flowground"]
    sent = {"Cookie": f"{name}={value}"}
    with open_page(Browser(house.url), headers=sent) as page:
        assert b"Memory Chatbot" in page.visit()
    assert requests.get(f"{house.url}/session/my-data", headers=sent, timeout=10).json()["name"] == "augusta"
    answer = requests.post(f"{house.url}/session/end", headers=sent | HTTPS, timeout=10)
    dropped = cookies_of(answer)
    assert ["max-age=0" in dropped[spelling] for spelling in ("flowground", "__Host-flowground")] == [True, True]
    with open_page(Browser(house.url), headers=sent) as page:
        assert b"Memory Chatbot" not in page.visit()


def test_a_page_receives_none_of_them() -> None:
    cookies = b"a=b; flowground=x.x.x; __Host-flowground=y.y.y; flowground_visitor=z; flowground_device=w; __Host-a=c"
    sent, left = take_cookies(
        [(b"host", b"h"), (b"cookie", cookies), (b"cookie", b"flowground_device=v.v.v")], "flowground", is_secure=False
    )
    assert left == [(b"host", b"h"), (b"cookie", b"a=b; __Host-a=c")]
    assert (sent.sign_ins, sent.visitor, sent.device) == (("y.y.y", "x.x.x"), "", "v.v.v")


def test_many_cookies_of_others_put_none_of_ours_away() -> None:
    """Any host of the domain can fill a browser with cookies."""
    ours = b"flowground_visitor=z; _streamlit_xsrf=2|a|b|c; flowground=x.x.x"
    many = [(b"host", b"h"), (b"cookie", b"a=b; " * 10_000 + ours + b"; c=d"), (b"cookie", b"__Host-flowground=y")]
    assert drop_costly_cookies(many, "flowground") == [(b"host", b"h"), (b"cookie", ours + b"; __Host-flowground=y")]


def test_a_cookie_with_a_backslash_is_dropped() -> None:
    few = [(b"cookie", rb'a="\101"; b="c"; d'), (b"host", b"h")]
    assert drop_costly_cookies(few, "flowground") == [(b"host", b"h"), (b"cookie", b'b="c"; d')]
    assert drop_costly_cookies([(b"host", b"h")], "flowground") == [(b"host", b"h")]
