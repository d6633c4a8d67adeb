"""A thumb on a phone: the drawer, menus, fields and keys."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.chat_states import FLOWS
from tests.house import PUBLIC, House
from tests.narrow import PHONE
from tests.open_page import (
    answers,
    composer,
    expect_count,
    go,
    measure_at_rest,
    messages,
    open_menu,
    say,
    still,
    stop,
    visitor,
)
from tests.servers import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
HOUSE = House(
    people={},
    flows={name: FLOWS[name] for name in ("echo", "long")},
    shared={"echo": PUBLIC, "long": PUBLIC},
)
FINGER = 44
"""Pixels."""
SETTLED = "() => document.getAnimations().every(one => !(one instanceof CSSTransition))"
PAINTED = """(one, of) => {
  const brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = getComputedStyle(one)[of];
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
"""A colour as it comes to the screen: red, green, blue."""


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
def test_nothing_moves_when_the_drawer_opens(house: AppServer, browser: "Browser", width: int) -> None:
    with visitor(browser, viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True) as page:
        main = page.get_by_test_id("stMain")
        for address, last in (("/", main.get_by_role("link", name="Long")), ("/playground?flow=echo", composer(page))):
            go(page, house.url + address)
            last.wait_for()
            title = main.get_by_role("heading").first
            before = measure_at_rest(title)
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


def test_a_stopped_answer_has_the_row_of_any_other_and_nothing_moves(house: AppServer, phone: "Page") -> None:
    go(phone, f"{house.url}/public_flow/long")
    say(phone, "Go")
    answers(phone).get_by_text("word3").wait_for()
    stop(phone)
    phone.get_by_text("Stopped", exact=True).wait_for()
    first = answers(still(phone))
    row = first.locator(".fg-footer")
    before = (measure(first)["height"], measure(row)["height"], measure(row.get_by_role("button", name="Copy"))["left"])
    places = [measure(one)["top"] for one in row.locator("> *").all()]
    assert max(places) - min(places) < measure(row)["height"]
    say(phone, "Once more")
    answers(phone).nth(1).get_by_text("word3").wait_for()
    first = answers(phone).first
    row = first.locator(".fg-footer")
    copy = row.get_by_role("button", name="Copy")
    assert (measure(first)["height"], measure(row)["height"], measure(copy)["left"]) == before
    stop(phone)


def test_entries_of_a_menu_are_as_large_as_a_finger_and_delete_is_red_and_apart(
    house: AppServer, phone: "Page"
) -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    say(phone, "Hello")
    answers(phone).get_by_text("You said: Hello").wait_for()
    open_drawer(still(phone))
    menu = open_menu(phone.get_by_test_id("stSidebar").get_by_role("button", name="More").first)
    entries = {one.inner_text(): measure(one) for one in menu.get_by_role("menuitem").all()}
    assert list(entries) == ["Pin", "Rename", "Share", "Export", "Delete"]
    assert min(box["height"] for box in entries.values()) >= FINGER
    gaps = [entries[after]["top"] - entries[one]["bottom"] for one, after in pairwise(entries)]
    assert gaps[-1] >= gaps[0] + 5
    delete = menu.get_by_role("menuitem", name="Delete")
    assert is_red(delete.locator("span").last, "color")
    delete.tap()
    dialog = phone.get_by_role("dialog", name="Delete this chat?")
    assert is_red(dialog.get_by_role("button", name="Delete"), "backgroundColor")
    dialog.get_by_role("button", name="Cancel").tap()
    dialog.wait_for(state="hidden")
    open_menu(phone.get_by_test_id("stSidebar").get_by_role("button", name="More").first)
    menu.get_by_role("menuitem", name="Rename").tap()
    title = phone.get_by_role("textbox", name="Title")
    assert title.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 16
    title.fill("Never kept")
    phone.get_by_role("dialog").get_by_role("button", name="Cancel").tap()
    phone.get_by_role("dialog").wait_for(state="hidden")
    expect_count(still(phone).get_by_role("button", name="Never kept"), 0)


def is_red(found: "Locator", of: str) -> bool:
    red, green, blue = found.evaluate(PAINTED, of)
    return bool(red > green + 60 and red > blue + 60)


def test_in_dark_a_pressed_menu_can_be_seen(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, **PHONE, color_scheme="dark") as page:
        go(page, f"{house.url}/playground?flow=echo")
        say(page, "Hello")
        answers(page).get_by_text("You said: Hello").wait_for()
        open_drawer(still(page))
        button = page.get_by_test_id("stSidebar").get_by_role("button", name="More").first
        open_menu(button)
        assert min(button.evaluate(PAINTED, "color")) > 150


def test_a_main_button_that_is_pointed_at_does_not_glare(house: AppServer, browser: "Browser") -> None:
    for look in ("light", "dark"):
        with visitor(browser, color_scheme=look) as page:
            go(page, f"{house.url}/playground?flow=echo")
            button = page.get_by_role("button", name="Publish")
            before = button.evaluate(PAINTED, "backgroundColor")
            button.hover()
            page.wait_for_function(SETTLED)
            after = button.evaluate(PAINTED, "backgroundColor")
            assert before != after
            assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < 40


def test_what_scrolls_under_the_head_fades(house: AppServer, browser: "Browser") -> None:
    for look in (PHONE, {"viewport": {"width": 1280, "height": 500}}):
        with visitor(browser, **look) as page:
            go(page, f"{house.url}/playground?flow=echo")
            say(page, "a line\n\n" * 30)
            answers(page).get_by_text("You said").wait_for()
            shades = still(page).evaluate(
                "[...document.querySelectorAll('[data-testid=stLayoutWrapper]:has(> .st-key-page-head),"
                " .st-key-page-head-actions')].map(one => getComputedStyle(one, '::after'))"
                ".filter(one => one.display !== 'none' && one.backgroundImage.startsWith('linear-gradient'))"
                ".map(one => [one.position, parseFloat(one.height) > 10])"
            )
            assert shades == [["absolute", True]]
