"""What a browser fetches for a first and a second page, what stands there meanwhile, and that nothing is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from flowground.assets import find_asset
from tests.house import PUBLIC, House
from tests.open_page import flow_text, go, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

pytestmark = pytest.mark.browser

HOUSE = House(
    flows={"echo": flow_text("scripted:echo", "Echo")},
    shared={"echo": PUBLIC},
    config={"sharing": {"allow_public": True}, "organization": {"name": "Acme"}},
)


def is_left(request: "Request") -> bool:
    """The next page came before it. What is missing is answered, or fails by another name."""
    return request.failure == "net::ERR_ABORTED"


class Traffic:
    """What one page fetched: bytes as they came over the wire, and addresses that answered with an error."""

    def __init__(self, page: "Page") -> None:
        self.bytes = 0
        self.failed: list[str] = []
        self.complaints: list[str] = []
        tools = page.context.new_cdp_session(page)
        tools.send("Network.enable")
        tools.on("Network.loadingFinished", self._add)
        page.on("response", lambda answer: self.failed.append(answer.url) if answer.status >= 400 else None)
        page.on("requestfailed", lambda request: self.failed.append(request.url) if not is_left(request) else None)
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])


def test_a_page_is_fetched_once_for_all_pages(house: AppServer, ada: "Page") -> None:
    page, first = ada, Traffic(ada)
    go(page, f"{house.url}/public_flow/echo")
    page.wait_for_load_state("networkidle")
    assert 300_000 < first.bytes <= 1_200_000
    for path in ("/playground?flow=echo", "/public_flow/echo"):
        before = first.bytes
        go(page, house.url + path)
        page.wait_for_load_state("networkidle")
        assert first.bytes - before <= 60_000, path


PATHS = ["/", "/playground?flow=echo", "/api_access?flow=echo", "/organization", "/account", "/public_flow/echo"]


def test_no_page_asks_for_what_is_missing(house: AppServer, ada: "Page") -> None:
    traffic = Traffic(ada)
    for path in PATHS:
        go(ada, house.url + path)
        ada.wait_for_load_state("networkidle")
    assert traffic.bytes > 300_000
    assert (traffic.failed, traffic.complaints) == ([], [])


def test_no_page_of_a_stranger_asks_for_what_is_missing(house: AppServer, page: "Page") -> None:
    traffic = Traffic(page)
    for path in PATHS:
        go(page, house.url + path)
        page.wait_for_load_state("networkidle")
    assert traffic.bytes > 300_000
    assert (traffic.failed, traffic.complaints) == ([], [])


FETCHED = "() => [...document.querySelectorAll('link[rel=modulepreload]')].map((link) => link.href)"


def test_a_conversations_scripts_are_fetched_before_it_is_drawn(house: AppServer, ada: "Page") -> None:
    """On its pages alone."""
    page = ada
    page.route("**/static/js/index.*.js", lambda route: route.abort())
    with page.expect_response(f"**{find_asset('chat.js')}"), page.expect_response("**/BidiComponent.*.js"):
        page.goto(f"{house.url}/playground?flow=echo", wait_until="commit")
    page.unroute_all()
    go(page, house.url)
    assert [name for name in page.evaluate(FETCHED) if "/chat-" in name] == []


def test_a_page_is_drawn_before_the_server_said_that_it_is_there(house: AppServer, ada: "Page") -> None:
    """The socket says so itself: nobody waits for both."""
    held: list[Route] = []
    ada.route("**/_stcore/h*", lambda route: held.append(route))
    ada.goto(f"{house.url}/public_flow/echo", wait_until="commit")
    ada.get_by_role("textbox", name="Message", exact=True).wait_for()
    assert len(held) == 2


@contextmanager
def held_back(page: "Page") -> Iterator[None]:
    """No script of Streamlit comes before the end."""
    held: list[Route] = []
    page.route("**/static/js/index.*.js", lambda route: held.append(route))
    yield
    assert held
    for route in held:
        route.continue_()


@pytest.mark.parametrize(
    ("scheme", "chosen", "background"),
    [
        ("light", None, "rgb(255, 255, 255)"),
        ("dark", None, "rgb(15, 17, 23)"),
        ("light", "dark", "rgb(15, 17, 23)"),
        ("dark", "light", "rgb(255, 255, 255)"),
    ],
)
def test_the_name_stands_there_until_the_page_is_drawn(
    house: AppServer, browser: "Browser", scheme: Any, chosen: str | None, background: str
) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        if chosen:
            page.add_init_script(f"localStorage.setItem('flowground-look', '{chosen}')")
        with held_back(page):
            page.goto(house.url, wait_until="commit")
            splash = page.get_by_role("status").filter(has_text="Acme")
            splash.wait_for()
            assert splash.evaluate("element => getComputedStyle(element).backgroundColor") == background
        still(page)
        page.get_by_role("heading", name="Acme").wait_for()
        assert page.locator("#splash").count() == 0
        app = page.get_by_test_id("stApp")
        assert app.evaluate("element => getComputedStyle(element).backgroundColor") == background
