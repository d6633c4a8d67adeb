"""What stands where on a phone, upright and on its side; and what can be chosen is seen, light and dark."""

from itertools import pairwise
from typing import Any

import pytest

from tests.acme import FLOWS, enter_as
from tests.narrow import PHONE
from tests.open_page import Browser, answers, ask, expect_count, flow_text, go, sign_in, still, visitor
from tests.servers import SHARED, AppServer, House
from tests.test_browser_phone import measure, open_drawer, wait_closed

LONG = "Customer support for the north and the islands"
HOUSE = House(
    config={"organization": {"name": "Acme"}},
    flows=FLOWS | {"long": flow_text("scripted:echo", LONG, icon="✦")},
    shared={"long": SHARED, "echo": SHARED},
)
SIDE = PHONE | {"viewport": {"width": 844, "height": 390}}
CHATS = 3


@pytest.mark.parametrize(("path", "look"), [("/playground?flow=long", PHONE), ("/public_flow/long", {})])
def test_a_chat_is_named_once_and_its_head_stays_where_it_is(
    house: AppServer, browser: Browser, path: str, look: dict[str, Any]
) -> None:
    with visitor(browser, **look) as page:
        go(enter_as(page, house, "augusta"), house.url + path).get_by_text("What would you like to ask?").wait_for()
        main = page.get_by_test_id("stMain")
        head = main.get_by_role("heading", level=1)
        for part in (LONG, "✦"):
            expect_count(main.get_by_text(part).locator("visible=true"), 1)
        assert head.inner_text() == f"✦ {LONG}"
        before = measure(head)["y"]
        ask(page, "Good morning")
        assert measure(head)["y"] == before
        if look:
            button = page.get_by_role("button", name="API access")
            assert measure(page.get_by_test_id("stHeaderLogo"))["right"] + 8 <= measure(button)["left"]
            button.click()
            page.get_by_role("dialog", name=f"API access · {LONG}").wait_for()


def test_on_its_side_the_drawer_is_one_column_over_the_page(house: AppServer, browser: Browser) -> None:
    with visitor(browser, **SIDE) as page:
        enter_as(page, house, "bob")
        for number in range(CHATS):
            text = f"Chat {number}\n\n" + "a line\n\n" * 12
            ask(go(page, f"{house.url}/playground?flow=echo"), text, f"You said: Chat {number}")
        title = go(page, f"{house.url}/playground?flow=echo").get_by_test_id("stMain").get_by_role("heading").first
        before = measure(title)["left"]
        side = open_drawer(page)
        assert measure(title)["left"] == before
        rows = page.locator("[class*='st-key-sessions-row-']")
        parts = [
            side.get_by_role("link", name="All flows"),
            side.get_by_role("button", name="New chat"),
            *(rows.nth(number) for number in range(CHATS)),
            side.get_by_role("link", name="Account"),
            side.get_by_role("button", name="Sign out"),
            side.get_by_role("radiogroup", name="Colours"),
        ]
        boxes = [measure(part) for part in parts]
        assert all(one["bottom"] <= other["top"] for one, other in pairwise(boxes)), boxes
        for number in range(CHATS):
            rows.nth(number).get_by_role("button", name="More").tap(trial=True)
        side.get_by_role("button", name="Sign out").tap(trial=True)
        page.touchscreen.tap(800, 200)
        wait_closed(page)
        open_drawer(page).get_by_role("button", name="New chat").tap()
        wait_closed(page)
        open_drawer(page)
        rows.nth(CHATS - 1).get_by_role("link").tap()
        answers(page).get_by_text("You said: Chat 0").wait_for()
        wait_closed(page)
        assert still(page).get_by_test_id("stMain").evaluate("one => one.scrollTop") > 0
        menu = page.get_by_role("button", name="More for this chat")
        assert 0 <= measure(menu)["top"] < measure(menu)["bottom"] <= 60
        menu.tap(trial=True)


def test_the_drawer_is_closed_after_signing_in_and_when_the_phone_is_turned(house: AppServer, browser: Browser) -> None:
    with visitor(browser, **SIDE) as page:
        sign_in(go(page, f"{house.url}/playground?flow=echo"), "bob")
        page.get_by_role("button", name="Expand sidebar").wait_for()
        assert measure(still(page).get_by_test_id("stSidebar"))["right"] <= 0
    with visitor(browser, **PHONE) as page:
        go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=echo")
        open_drawer(page)
        page.set_viewport_size(SIDE["viewport"])
        wait_closed(page)
