"""A thumb on a phone: the drawer, menus, fields and keys."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.chat_states import FLOWS
from tests.open_page import answers, ask, composer, expect_count, go, measure_at_rest, open_menu, still, visitor
from tests.servers import PUBLIC, AppServer, House

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page


HOUSE = House(people={}, flows={name: FLOWS[name] for name in ("echo", "long")}, shared={"echo": PUBLIC})
FINGER = 44
"""Pixels."""


def open_drawer(page: "Page") -> "Locator":
    page.get_by_role("button", name="Expand sidebar").click()
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().left >= 0")
    return page.get_by_test_id("stSidebar")


def wait_closed(page: "Page") -> None:
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0")


def measure(found: "Locator") -> dict[str, Any]:
    box: dict[str, Any] = found.evaluate("one => one.getBoundingClientRect().toJSON()")
    return box


def test_a_press_beside_the_drawer_closes_it_and_does_nothing_else(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    suggestion = phone.get_by_role("button", name="Tell me more of it")
    box = measure(suggestion)
    assert measure(open_drawer(phone))["right"] < box["right"] - 10, "the suggestion is not seen beside the drawer"
    phone.touchscreen.tap(box["right"] - 5, (box["top"] + box["bottom"]) / 2)
    wait_closed(phone)
    expect_count(answers(still(phone)), 0)
    suggestion.tap()
    expect_count(answers(phone), 1)


BACK = """() => {
  addEventListener("keydown", (event) => event.isTrusted && event.stopImmediatePropagation(), true);
  window.asked = 0;
  window.CloseWatcher = class extends CloseWatcher {
    constructor() { super(); asked += 1; this.addEventListener("close", () => { asked -= 1; }); }
    destroy() { super.destroy(); asked -= 1; }
  };
}"""
"""Escape is no key of the page's any more: it is what Back is on a phone, the browser's own wish to close something.
`asked` counts who would be told of it."""


def test_back_closes_what_lies_over_the_page_and_is_the_pages_again(house: AppServer, phone: "Page") -> None:
    phone.add_init_script(f"({BACK})()")
    go(phone, f"{house.url}/playground?flow=echo")
    address, dialog = phone.url, phone.get_by_role("dialog")
    for is_back in (True, False):
        open_drawer(phone)
        assert phone.evaluate("asked") == 1
        phone.keyboard.press("Escape") if is_back else phone.touchscreen.tap(380, 400)
        wait_closed(phone)
        phone.wait_for_function("asked === 0")
        phone.get_by_role("button", name="API access").tap()
        still(phone).wait_for_function("asked === 1")
        phone.keyboard.press("Escape") if is_back else dialog.get_by_role("button", name="Close").tap()
        dialog.wait_for(state="detached")
        phone.wait_for_function("asked === 0")
    assert phone.url == address


@pytest.mark.parametrize("width", [390, 700])
def test_the_way_to_the_drawer_is_as_large_as_a_finger_at_one_place_and_nothing_moves_when_it_opens(
    house: AppServer, browser: "Browser", width: int
) -> None:
    places = set()
    with visitor(browser, viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True) as page:
        main = page.get_by_test_id("stMain")
        last = composer(page).or_(main.get_by_role("link", name="Long"))
        for address in ("/", "/playground?flow=echo", "/public_flow/echo"):
            go(page, house.url + address)
            last.wait_for()
            title = main.get_by_role("heading").first
            before = measure_at_rest(title)
            way = measure(page.get_by_role("button", name="Expand sidebar"))
            places.add((way["left"], way["top"]))
            open_drawer(page)
            back = measure(page.get_by_role("button", name="Collapse sidebar"))
            assert way["left"] >= 0
            assert min(way["width"], way["height"], back["width"], back["height"]) >= FINGER
            assert measure(title) == before
            page.touchscreen.tap(width - 20, 400)
            wait_closed(page)
            assert measure(title) == before
    assert len(places) == 1


def test_on_a_phone_enter_begins_a_line_the_button_sends_and_the_keyboard_stays_away(
    house: AppServer, phone: "Page"
) -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    composer(phone).tap()
    phone.keyboard.type("one")
    phone.keyboard.press("Enter")
    phone.keyboard.type("two")
    assert composer(phone).input_value() == "one\ntwo"
    assert composer(phone).get_attribute("enterkeyhint") == "enter"
    phone.get_by_role("button", name="Send", exact=True).tap()
    answers(phone).get_by_text("You said: one").wait_for()
    composer(still(phone)).blur()
    phone.keyboard.press("?")
    keys = phone.get_by_role("dialog", name="Keyboard shortcuts")
    keys.wait_for()
    assert keys.inner_text().startswith("Keyboard shortcuts\nCtrl + Enter\nSend the message\nEnter\nBegin a new line\n")
    phone.keyboard.press("Escape")
    keys.wait_for(state="detached")
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"
    answers(phone).get_by_role("button", name="Try again").tap()
    phone.get_by_role("group", name="Version 2 of 2").wait_for()
    assert still(phone).evaluate(focused) != "Message"
    phone.get_by_role("button", name="Edit", exact=True).tap()
    editor = phone.get_by_role("textbox", name="Edit your message")
    editor.press("Enter")
    editor.press_sequentially("you")
    phone.locator(".fg-editor").get_by_role("button", name="Send", exact=True).tap()
    answers(phone).get_by_text("you", exact=False).wait_for()
    assert still(phone).evaluate(focused) != "Message"


def test_the_end_stays_in_sight_while_the_field_grows(house: AppServer, phone: "Page") -> None:
    ask(go(phone, f"{house.url}/playground?flow=echo"), "a line\n\n" * 20, "You said")
    last = answers(phone).get_by_role("button", name="Copy", exact=True)
    gap = "one => document.querySelector('.fg-foot').getBoundingClientRect().top - one.getBoundingClientRect().bottom"
    phone.wait_for_function("document.querySelector('.fg-to-end').hidden")
    assert last.evaluate(gap) >= 0
    composer(phone).fill("a\nb\nc\nd\ne")
    phone.wait_for_function(f"({gap})(document.querySelector('.fg-answer [aria-label=Copy]')) >= 0")
    phone.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    phone.get_by_role("button", name="Go to the end").wait_for()
    composer(phone).fill("a\nb\nc\nd\ne\nf\ng\nh")
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0


def test_entries_of_a_menu_are_as_large_as_a_finger_and_rename_can_be_left(house: AppServer, phone: "Page") -> None:
    side = open_drawer(ask(go(phone, f"{house.url}/playground?flow=echo"), "Hello"))
    menu = open_menu(side.get_by_role("button", name="More").first)
    entries = {one.inner_text(): measure(one) for one in menu.get_by_role("menuitem").all()}
    assert list(entries) == ["Pin", "Rename", "Share", "Export", "Delete"]
    assert min(box["height"] for box in entries.values()) >= FINGER
    menu.get_by_role("menuitem", name="Rename").tap()
    title = phone.get_by_role("textbox", name="Title")
    assert title.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 16
    title.fill("Never kept")
    phone.get_by_role("dialog").get_by_role("button", name="Cancel").tap()
    phone.get_by_role("dialog").wait_for(state="hidden")
    expect_count(still(phone).get_by_role("button", name="Never kept"), 0)
