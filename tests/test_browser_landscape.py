"""A phone that lies on its side: wide, and not tall."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.house import PUBLIC, House
from tests.narrow import PHONE
from tests.open_page import answers, flow_text, go, say, sign_in, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
HOUSE = House(flows={"echo": flow_text("scripted:echo", "Echo")}, shared={"echo": PUBLIC})
SIDE = PHONE | {"viewport": {"width": 844, "height": 390}}
DRAWER = "document.querySelector('[data-testid=stSidebar]').getBoundingClientRect()"
CHATS = 3


@pytest.fixture(scope="module")
def bob(house: AppServer, browser: "Browser") -> "Iterator[Page]":
    """Has three chats."""
    with visitor(browser, **SIDE) as page:
        enter_as(page, house, "bob")
        for number in range(CHATS):
            go(page, f"{house.url}/playground?flow=echo")
            say(page, f"Chat {number}\n\n" + "a line\n\n" * 12)
            answers(page).get_by_text(f"You said: Chat {number}").wait_for()
            still(page)
        yield page


def is_open(page: "Page") -> bool:
    return bool(page.evaluate(f"{DRAWER}.right > 0"))


def open_drawer(page: "Page") -> None:
    page.get_by_role("button", name="Expand sidebar").tap()
    page.wait_for_function(f"{DRAWER}.left >= 0")


def test_all_of_the_drawer_is_one_column_that_scrolls(house: AppServer, bob: "Page") -> None:
    go(bob, f"{house.url}/playground?flow=echo")
    open_drawer(bob)
    side = bob.get_by_test_id("stSidebar")
    rows = bob.locator("[class*='st-key-sessions-row-']")
    parts = [
        side.get_by_role("link", name="All flows"),
        side.get_by_role("button", name="New chat"),
        *(rows.nth(number) for number in range(CHATS)),
        side.get_by_role("link", name="Account"),
        side.get_by_role("button", name="Sign out"),
        side.get_by_role("radiogroup", name="Colours"),
    ]
    boxes = [
        part.evaluate("one => [one.getBoundingClientRect().top, one.getBoundingClientRect().bottom]") for part in parts
    ]
    assert all(one[1] <= other[0] for one, other in pairwise(boxes)), boxes
    for number in range(CHATS):
        rows.nth(number).get_by_role("button", name="More").tap(trial=True)
    side.get_by_role("button", name="Sign out").tap(trial=True)
    rows.nth(CHATS - 1).get_by_role("button").first.tap()
    answers(bob).get_by_text("You said: Chat 0").wait_for()
    bob.wait_for_function(f"{DRAWER}.right <= 0")


def test_the_drawer_lies_over_the_page_and_a_press_beside_it_closes_it(house: AppServer, bob: "Page") -> None:
    go(bob, f"{house.url}/playground?flow=echo")
    title = bob.get_by_test_id("stMain").get_by_role("heading").first
    place = "one => one.getBoundingClientRect().left"
    before = title.evaluate(place)
    open_drawer(bob)
    assert title.evaluate(place) == before
    bob.touchscreen.tap(800, 200)
    bob.wait_for_function(f"{DRAWER}.right <= 0")


def test_the_drawer_is_closed_after_signing_in_and_when_the_phone_is_turned(
    house: AppServer, browser: "Browser"
) -> None:
    with visitor(browser, **SIDE) as page:
        go(page, f"{house.url}/playground?flow=echo")
        sign_in(page, "bob")
        page.get_by_role("button", name="Expand sidebar").wait_for()
        assert not is_open(still(page))
    with visitor(browser, **PHONE) as page:
        go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=echo")
        open_drawer(page)
        page.set_viewport_size(SIDE["viewport"])
        page.wait_for_function(f"{DRAWER}.right <= 0")


def test_a_chats_menu_is_in_reach_at_its_end(house: AppServer, bob: "Page") -> None:
    go(bob, f"{house.url}/playground?flow=echo")
    open_drawer(bob)
    bob.locator("[class*='st-key-sessions-row-']").first.get_by_role("button").first.tap()
    answers(bob).get_by_text("You said: Chat 2").wait_for()
    bob.wait_for_function(f"{DRAWER}.right <= 0")
    assert still(bob).get_by_test_id("stMain").evaluate("one => one.scrollTop") > 0
    menu = bob.get_by_role("button", name="More for this chat")
    box = menu.evaluate("one => one.getBoundingClientRect().toJSON()")
    assert box["top"] >= 0
    assert box["bottom"] <= 60
    menu.tap(trial=True)
