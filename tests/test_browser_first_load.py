"""What a browser fetches for a first and a second page, in which colours it begins, and that nothing is missing."""

from typing import Any

import pytest

from flowground.ui.assets import find_asset
from tests.acme import enter_as
from tests.open_page import Browser, Page, Route, expect_count, flow_text, go, still, visitor
from tests.servers import PUBLIC, AppServer, House
from tests.waiting import eventually

HOUSE = House(
    flows={"echo": flow_text("scripted:echo", "Echo")},
    shared={"echo": PUBLIC},
    config={"sharing": {"allow_public": True}, "organization": {"name": "Acme"}},
)


LEFT = "net::ERR_ABORTED"
"""The next page came before it. What is missing is answered, or fails by another name."""


class Traffic:
    """What one page fetched: bytes as they came over the wire, and addresses that answered with an error."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        self.failed: list[str] = []
        self.complaints: list[str] = []
        tools = page.context.new_cdp_session(page)
        tools.send("Network.enable")
        tools.on("Network.loadingFinished", self._add)
        page.on("response", lambda answer: self.failed.append(answer.url) if answer.status >= 400 else None)
        page.on("requestfailed", lambda one: self.failed.append(one.url) if one.failure != LEFT else None)
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])


PATHS = ["/", "/playground?flow=echo", "/api_access?flow=echo", "/organization", "/account", "/public_flow/echo"]


@pytest.mark.parametrize("who", ["augusta", ""])
def test_a_page_is_fetched_once_for_all_pages_and_asks_for_nothing_that_is_missing(
    house: AppServer, page: Page, who: str
) -> None:
    if who:
        enter_as(page, house, who)
    traffic = Traffic(page)
    seen: list[int] = []
    for path in [PATHS[-1], *PATHS]:
        before = traffic.bytes
        go(page, house.url + path).wait_for_load_state("networkidle")
        seen.append(traffic.bytes - before)
    assert 300_000 < seen[0] <= 1_200_000
    if who:
        assert max(seen[2], seen[-1]) <= 60_000
    assert (traffic.failed, traffic.complaints) == ([], [])


def test_a_conversations_scripts_are_fetched_before_it_is_drawn(house: AppServer, ada: Page) -> None:
    """On its pages alone."""
    ada.route("**/static/js/index.*.js", lambda route: route.abort())
    with ada.expect_response(f"**{find_asset('chat.js')}"), ada.expect_response("**/BidiComponent.*.js"):
        ada.goto(f"{house.url}/playground?flow=echo", wait_until="commit")
    ada.unroute_all()
    go(ada, house.url)
    fetched = "[...document.querySelectorAll('link[rel=modulepreload]')].map((link) => link.href)"
    assert [name for name in ada.evaluate(fetched) if "/chat-" in name] == []


def test_what_is_typed_before_a_chat_is_drawn_is_sent_in_it(house: AppServer, ada: Page) -> None:
    go(ada, f"{house.url}/playground?flow=echo")
    ada.wait_for_function("localStorage.getItem('flowground-field')")
    ada.route("**/assets/chat-*", lambda _: None)
    ada.reload(wait_until="commit")
    early = ada.locator("#fg-field textarea")
    early.press_sequentially("Early bird")
    early.press("Enter")
    assert ada.locator(".fg-chat").count() == 0
    ada.unroute_all()
    ada.locator(".fg-bubble", has_text="Early bird").wait_for()
    assert ada.locator(".stMain textarea").input_value() == ""
    expect_count(early, 0)
    ada.context.clear_cookies()
    ada.reload(wait_until="commit")
    early.wait_for()
    ada.get_by_label("Password", exact=True).wait_for()
    expect_count(early, 0)


def test_a_page_is_drawn_before_the_server_said_that_it_is_there(house: AppServer, ada: Page) -> None:
    """The socket says so itself: nobody waits for both."""
    held: list[Route] = []
    ada.route("**/_stcore/h*", lambda route: held.append(route))
    ada.goto(f"{house.url}/public_flow/echo", wait_until="commit")
    ada.get_by_role("textbox", name="Message", exact=True).wait_for()
    assert len(held) == 2


WHITE, NIGHT = "rgb(255, 255, 255)", "rgb(15, 17, 23)"
WATCH_COLOURS = """
window.colours = new Set();
new MutationObserver(() => {
  const app = document.querySelector('.stApp');
  if (app) window.colours.add(getComputedStyle(app).backgroundColor);
}).observe(document, { childList: true, subtree: true, attributes: true });
"""
"""All backgrounds that the page has had."""


@pytest.mark.parametrize(
    ("scheme", "chosen", "background"),
    [("light", None, WHITE), ("dark", None, NIGHT), ("light", "dark", NIGHT), ("dark", "light", WHITE)],
)
def test_a_page_has_its_colour_from_the_first_moment(
    house: AppServer, browser: Browser, scheme: Any, chosen: str | None, background: str
) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        page.add_init_script(WATCH_COLOURS)
        if chosen:
            page.add_init_script(f"localStorage.setItem('flowground-look', '{chosen}')")
        held: list[Route] = []
        page.route("**/static/js/index.*.js", lambda route: held.append(route))  # Streamlit's scripts wait
        page.goto(house.url, wait_until="commit")
        page.locator("#root").wait_for(state="attached")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        eventually(lambda: page.evaluate("1") and held)
        for route in held:
            route.continue_()
        still(page).get_by_role("heading", name="Acme").wait_for()
        assert page.evaluate("[...window.colours]") == [background]
