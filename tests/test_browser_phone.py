"""A thumb on a phone: the drawer, menus, fields and keys."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.chat_states import FLOWS
from tests.house import PUBLIC, House
from tests.narrow import PHONE
from tests.open_page import answers, composer, expect_count, go, messages, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
HOUSE = House(people={}, flows={"echo": FLOWS["echo"]}, shared={"echo": PUBLIC})
FINGER = 44
"""Pixels."""


@pytest.fixture
def phone(browser: "Browser") -> "Iterator[Page]":
    with visitor(browser, **PHONE) as opened:
        yield opened


def open_drawer(page: "Page") -> None:
    page.get_by_role("button", name="Expand sidebar").click()
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().left >= 0")


def wait_closed(page: "Page") -> None:
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0")


def measure(found: "Locator") -> dict[str, Any]:
    box: dict[str, Any] = found.evaluate("one => one.getBoundingClientRect().toJSON()")
    return box


def test_a_press_beside_the_drawer_closes_it_and_does_nothing_else(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    suggestion = phone.get_by_role("button", name="Tell me more of it")
    box = measure(suggestion)
    open_drawer(phone)
    right = measure(phone.get_by_test_id("stSidebar"))["right"]
    assert right < box["right"] - 10, "the suggestion is not seen beside the drawer"
    phone.touchscreen.tap(box["right"] - 5, (box["top"] + box["bottom"]) / 2)
    wait_closed(phone)
    expect_count(messages(still(phone)), 0)
    suggestion.tap()
    expect_count(messages(phone), 2)


def test_the_page_is_dimmed_behind_the_drawer_and_not_beside_a_wide_sidebar(
    house: AppServer, browser: "Browser"
) -> None:
    layer = "getComputedStyle(document.querySelector('[data-testid=stSidebar]'), '::after')"
    with visitor(browser, **PHONE) as page:
        go(page, f"{house.url}/")
        page.wait_for_function(f"{layer}.visibility === 'hidden'")
        open_drawer(page)
        page.wait_for_function(f"{layer}.visibility === 'visible' && {layer}.opacity === '1'")
    with visitor(browser, viewport={"width": 1280, "height": 800}) as page:
        go(page, f"{house.url}/")
        page.get_by_test_id("stSidebar").wait_for()
        assert page.evaluate(f"{layer}.content") == "none"


@pytest.mark.parametrize("width", [390, 700])
def test_nothing_moves_when_the_drawer_opens(house: AppServer, browser: "Browser", width: int) -> None:
    with visitor(browser, viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True) as page:
        for address in ("/", "/playground?flow=echo"):
            go(page, house.url + address)
            title = page.get_by_test_id("stMain").get_by_role("heading").first
            before = measure(title)
            open_drawer(page)
            assert measure(title) == before
            page.touchscreen.tap(width - 20, 400)
            wait_closed(page)
            assert measure(title) == before


def test_the_way_to_the_drawer_is_as_large_as_a_finger_and_always_at_one_place(house: AppServer, phone: "Page") -> None:
    places = []
    for address in ("/", "/playground?flow=echo", "/public_flow/echo"):
        go(phone, house.url + address)
        box = measure(phone.get_by_role("button", name="Expand sidebar"))
        assert box["left"] >= 0
        assert min(box["width"], box["height"]) >= FINGER
        places.append((box["left"], box["top"]))
    assert len(set(places)) == 1
    open_drawer(phone)
    back = measure(phone.get_by_role("button", name="Collapse sidebar"))
    assert min(back["width"], back["height"]) >= FINGER


FOCUSED = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"


def test_on_a_phone_enter_begins_a_line_and_the_button_sends(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    composer(phone).tap()
    phone.keyboard.type("one")
    phone.keyboard.press("Enter")
    phone.keyboard.type("two")
    assert composer(phone).input_value() == "one\ntwo"
    assert composer(phone).get_attribute("enterkeyhint") == "enter"
    phone.get_by_role("button", name="Send", exact=True).tap()
    answers(phone).get_by_text("You said: one").wait_for()
    still(phone)
    composer(phone).blur()
    phone.keyboard.press("?")
    keys = phone.get_by_role("dialog", name="Keyboard shortcuts")
    keys.wait_for()
    assert keys.inner_text().startswith("Keyboard shortcuts\nCtrl + Enter\nSend the message\nEnter\nBegin a new line\n")


def test_on_a_phone_the_keyboard_stays_away_after_trying_again_and_editing(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    say(phone, "Hello")
    answers(phone).get_by_text("You said: Hello").wait_for()
    composer(still(phone)).blur()
    answers(phone).get_by_role("button", name="Try again").tap()
    phone.get_by_role("group", name="Version 2 of 2").wait_for()
    assert still(phone).evaluate(FOCUSED) != "Message"
    phone.get_by_role("button", name="Edit", exact=True).tap()
    editor = phone.get_by_role("textbox", name="Edit your message")
    editor.press("Enter")
    editor.press_sequentially("you")
    phone.locator(".fg-editor").get_by_role("button", name="Send", exact=True).tap()
    answers(phone).get_by_text("you", exact=False).wait_for()
    assert still(phone).evaluate(FOCUSED) != "Message"


def test_the_end_stays_in_sight_while_the_field_grows(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    say(phone, "a line\n\n" * 20)
    answers(phone).get_by_text("You said").wait_for()
    last = answers(still(phone)).get_by_role("button", name="Copy", exact=True)
    gap = "one => document.querySelector('.fg-foot').getBoundingClientRect().top - one.getBoundingClientRect().bottom"
    phone.wait_for_function("document.querySelector('.fg-to-end').hidden")
    assert last.evaluate(gap) >= 0
    composer(phone).fill("a\nb\nc\nd\ne")
    phone.wait_for_function(f"({gap})(document.querySelector('.fg-answer [aria-label=Copy]')) >= 0")
    phone.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    phone.get_by_role("button", name="Go to the end").wait_for()
    composer(phone).fill("a\nb\nc\nd\ne\nf\ng\nh")
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
