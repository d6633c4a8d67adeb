"""At 390 px no state of a chat goes over the side, and nothing lies over its messages."""

from typing import TYPE_CHECKING

import pytest

from tests.chat_states import CHATS, STATES, show
from tests.narrow import PHONE, find_wide
from tests.open_page import answers, composer, find_send_key, go, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
HOUSE = CHATS
COVERED = """() => {
  const last = [...document.querySelectorAll("article")].at(-1).getBoundingClientRect();
  const field = document.querySelector(".fg-foot").getBoundingClientRect();
  return last.bottom - field.top;
}"""
"""By how many pixels the last message lies below the field's upper edge, once one is at the end."""


@pytest.fixture
def phone(browser: "Browser") -> "Iterator[Page]":
    with visitor(browser, **PHONE) as opened:
        yield opened


@pytest.mark.parametrize("state", STATES)
def test_no_state_of_a_chat_goes_over_the_side_or_under_the_field(house: AppServer, phone: "Page", state: str) -> None:
    show(phone, house, state)
    assert find_wide(phone) == []
    if state in ("everything", "long", "failed", "stopped", "interrupted", "waiting"):
        end = phone.get_by_role("button", name="Go to the end")
        if end.count():
            end.click()
        phone.wait_for_function(f"({COVERED})() <= 0")


def test_the_head_does_not_lie_over_the_first_message(house: AppServer, browser: "Browser") -> None:
    for look in (PHONE, {"viewport": {"width": 1280, "height": 800}}):
        with visitor(browser, **look) as page:
            go(page, f"{house.url}/playground?flow=echo")
            say(page, "hello")
            answers(page).get_by_text("You said: hello").wait_for()
            bubble = (
                still(page)
                .locator(".fg-bubble")
                .evaluate(
                    "one => { const box = one.getBoundingClientRect();"
                    " return document.elementFromPoint(box.x + box.width / 2, box.y + 2) === one; }"
                )
            )
            assert bubble


def test_an_empty_chat_opens_at_its_head_with_the_field_in_sight(house: AppServer, browser: "Browser") -> None:
    """Also where welcome and suggestions need more than the screen has, and after a chat that was read at its end."""
    with visitor(browser, viewport={"width": 390, "height": 400}) as page:
        go(page, f"{house.url}/playground?flow=welcoming")
        for _ in range(2):
            page.get_by_role("group", name="Suggestions").wait_for()
            place = still(page).locator('[data-testid="stMain"]')
            assert place.evaluate("one => one.scrollHeight - one.clientHeight") > 0
            assert place.evaluate("one => one.scrollTop") == 0
            assert composer(page).evaluate("one => one.getBoundingClientRect().bottom <= innerHeight")
            say(page, "a line\n\n" * 20)
            answers(page).get_by_text("You said:").wait_for()
            still(page)
            assert place.evaluate("one => one.scrollTop") > 0
            page.keyboard.press("Control+Shift+O")


def test_text_from_right_to_left_stands_at_the_right(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    composer(phone).fill("مرحبا بالعالم")
    assert composer(phone).evaluate("one => getComputedStyle(one).direction") == "rtl"
    composer(phone).press(find_send_key(phone))
    answers(phone).get_by_text("مرحبا").wait_for()
    assert still(phone).locator(".fg-bubble").evaluate("one => getComputedStyle(one).direction") == "rtl"
    assert find_wide(phone) == []


def test_a_chat_is_printed_whole_in_light_and_without_what_one_presses(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, viewport={"width": 1280, "height": 500}, color_scheme="dark") as page:
        show(page, house, "everything")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.wait_for_function("getComputedStyle(document.querySelector('.fg-answer')).color === 'rgb(27, 31, 42)'")
        shown = "document.scrollingElement.scrollHeight - document.querySelector('.fg-chat').offsetHeight"
        page.wait_for_function(f"document.querySelector('.fg-chat').offsetHeight > 1000 && {shown} >= 0")
        assert page.get_by_text("Everything", exact=True).first.is_visible()
        for pressed in (composer(page), page.get_by_test_id("stSidebar"), page.get_by_role("button", name="Copy")):
            assert pressed.count() == 0 or not pressed.first.is_visible()
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        composer(page).wait_for()


def test_nothing_moves_for_who_wants_no_motion(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, reduced_motion="reduce") as page:
        show(page, house, "waiting")
        assert page.locator(".fg-wait").inner_text() == "Running Language Model …"
        read = "[...document.querySelectorAll('.fg-chat *')].map(one => getComputedStyle(one).animationName)"
        drawn = page.evaluate(read)
        assert drawn
        assert {name for name in drawn if name != "none"} == set()
