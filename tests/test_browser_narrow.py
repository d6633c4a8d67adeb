"""On a phone no state of a chat goes over the side, nothing lies over its messages, and what can be pressed is as large
as a finger; the keyboard's focus is seen in each, and axe-core finds no violation in it, on a desk neither."""

from typing import Literal

import pytest

from tests.axe import find_ours
from tests.chat_states import CHATS, STATES, show
from tests.contrast import measure_contrast
from tests.narrow import PHONE, find_wide
from tests.open_page import SETTLED, Browser, Page, answers, ask, composer, find_send_key, go, still, visitor
from tests.servers import AppServer

HOUSE = CHATS
COVERED = """() => {
  const last = [...document.querySelectorAll("article")].at(-1).getBoundingClientRect();
  const field = document.querySelector(".fg-foot").getBoundingClientRect();
  return last.bottom - field.top;
}"""
"""By how many pixels the last message lies below the field's upper edge, once one is at the end."""


END = "Go to the end"
SEEN = [state for state in STATES if state != "long"]
"""By axe-core: the long one has nothing that others have not, 600 kB of it."""
LEAST = 44
"""Pixels."""
RING = 3.0
"""Contrast that WCAG asks of what is no text."""
INSIDE = ".fg-chat :is(button, a[href], textarea, input, select, summary, [tabindex='0']):not(:disabled)"
FOUND = """selector => {
  const open = document.querySelector("dialog[open]") ?? document;
  return [...open.querySelectorAll(selector)]
    .filter(one => one.checkVisibility({ visibilityProperty: true }))
    .map(one => {
      one.scrollIntoView({ block: "center" });
      const box = one.getBoundingClientRect();
      const there = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, innerHeight / 3));
      return {
        name: one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent.trim().slice(0, 40),
        width: Math.round(box.width * 10) / 10, height: Math.round(box.height * 10) / 10,
        isPressed: !one.matches("[tabindex], .fg-md :is(p, li, sup) a"),
        isCovered: !one.contains(there),
      };
    });
}"""
"""All that takes the focus, in its order. Not pressed are areas that scroll, and links within a sentence, which are as
high as its lines (WCAG has them so too)."""
FOCUSED = """() => {
  const brush = document.createElement("canvas").getContext("2d");
  const paint = (...colors) => {
    for (const color of colors) { brush.fillStyle = color; brush.fillRect(0, 0, 1, 1); }
    const seen = [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
    return "#" + seen.map((part) => part.toString(16).padStart(2, "0")).join("");
  };
  const look = (from, color) => {
    const behind = [];
    for (let place = from; place; place = place.parentElement) behind.unshift(getComputedStyle(place).backgroundColor);
    return [paint("white", ...behind), paint("white", ...behind, color)];
  };
  const one = document.activeElement, style = getComputedStyle(one), sign = one.querySelector("svg");
  const field = one.matches("textarea") && one.closest(".fg-field, .fg-editor");
  const outline = style.outlineStyle === "none" ? null : style.outlineColor;
  const ring = field ? getComputedStyle(field).borderTopColor : outline;
  return {
    name: one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent.trim().slice(0, 40),
    ring: ring && look(one.parentElement, ring),
    sign: sign && look(one, getComputedStyle(sign).color),
    opacity: one.closest(".fg-footer") ? Number(getComputedStyle(one.closest(".fg-footer")).opacity) : 1,
  };
}"""
"""What has the focus; the colours of the ground and of its ring, of the button and of its sign."""
BEFORE = """() => {
  const open = document.querySelector("dialog[open] > *") ?? document.querySelector(".fg-chat");
  const start = Object.assign(document.createElement("button"), { textContent: "start" });
  open.before(start);
  start.focus();
}"""
"""Puts the focus before all of it."""
IS_IN_FRONT = """one => {
  const box = one.getBoundingClientRect();
  return document.elementFromPoint(box.x + box.width / 2, box.y + 2) === one;
}"""


@pytest.mark.parametrize("state", STATES)
def test_a_state_of_a_chat_fits_a_phone_and_fingers(house: AppServer, phone: Page, axe: str, state: str) -> None:
    show(phone, house, state)
    assert find_wide(phone) == []
    if state in ("everything", "long", "failed", "stopped", "interrupted", "waiting"):
        end = phone.get_by_role("button", name=END)
        if end.count():
            end.click()
        phone.wait_for_function(f"({COVERED})() <= 0")
    pressed = [one for one in phone.evaluate(FOUND, INSIDE) if one["isPressed"]]
    assert pressed
    assert [one for one in pressed if min(one["width"], one["height"]) < LEAST or one["isCovered"]] == []
    if state in SEEN:
        assert find_ours(phone, axe) == set()


@pytest.mark.parametrize("state", SEEN)
def test_a_state_of_a_chat_is_fit_for_everybody_on_a_desk(house: AppServer, page: Page, axe: str, state: str) -> None:
    assert find_ours(show(page, house, state), axe) == set()


@pytest.mark.parametrize(
    ("state", "look"), [*((state, "light") for state in STATES), ("everything", "dark"), ("failed", "dark")]
)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    house: AppServer, browser: Browser, state: str, look: Literal["light", "dark"]
) -> None:
    with visitor(browser, color_scheme=look) as page:
        show(page, house, state)
        wanted = [one["name"] for one in page.evaluate(FOUND, INSIDE) if one["name"] != END]
        assert wanted
        page.evaluate(BEFORE)
        reached = []
        for _ in [*wanted, END]:
            page.keyboard.press("Tab")
            page.wait_for_function(SETTLED)
            # "Go to the end" may go while it has the focus, and then nothing has it.
            reached += page.evaluate(f"document.activeElement === document.body ? [] : [({FOCUSED})()]")
        reached = [one for one in reached if one["name"] != END][: len(wanted)]  # which is there as long as one is not
        assert [one["name"] for one in reached] == wanted
        assert [one["name"] for one in reached if one["sign"] and measure_contrast(*one["sign"]) < RING] == []
        assert [one["name"] for one in reached if one["opacity"] < 1] == []
        assert [one["name"] for one in reached if not one["ring"] or measure_contrast(*one["ring"]) < RING] == []


def test_the_head_does_not_lie_over_the_first_message(house: AppServer, browser: Browser) -> None:
    for look in (PHONE, {"viewport": {"width": 1280, "height": 800}}):
        with visitor(browser, **look) as page:
            ask(go(page, f"{house.url}/playground?flow=echo"), "hello")
            assert page.locator(".fg-bubble").evaluate(IS_IN_FRONT)


def test_an_empty_chat_opens_at_its_head_with_the_field_in_sight(house: AppServer, browser: Browser) -> None:
    """Also where welcome and suggestions need more than the screen has, and after a chat that was read at its end."""
    with visitor(browser, viewport={"width": 390, "height": 400}) as page:
        go(page, f"{house.url}/playground?flow=welcoming")
        for _ in range(2):
            page.get_by_role("group", name="Suggestions").wait_for()
            place = still(page).locator('[data-testid="stMain"]')
            assert place.evaluate("one => one.scrollHeight - one.clientHeight") > 0
            assert place.evaluate("one => one.scrollTop") == 0
            assert composer(page).evaluate("one => one.getBoundingClientRect().bottom <= innerHeight")
            ask(page, "a line\n\n" * 20, "You said:")
            assert place.evaluate("one => one.scrollTop") > 0
            page.keyboard.press("Control+Shift+O")


def test_text_from_right_to_left_stands_at_the_right(house: AppServer, phone: Page) -> None:
    go(phone, f"{house.url}/playground?flow=echo")
    composer(phone).fill("مرحبا بالعالم")
    assert composer(phone).evaluate("one => getComputedStyle(one).direction") == "rtl"
    composer(phone).press(find_send_key(phone))
    answers(phone).get_by_text("مرحبا").wait_for()
    assert still(phone).locator(".fg-bubble").evaluate("one => getComputedStyle(one).direction") == "rtl"
    assert find_wide(phone) == []
    phone.get_by_role("button", name="Edit", exact=True).click()
    editor = phone.get_by_role("textbox", name="Edit your message")
    assert editor.evaluate("one => getComputedStyle(one).direction") == "rtl"


def test_a_chat_is_printed_whole_in_light_and_without_what_one_presses(house: AppServer, browser: Browser) -> None:
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


def test_nothing_moves_for_who_wants_no_motion(house: AppServer, browser: Browser) -> None:
    with visitor(browser, reduced_motion="reduce") as page:
        show(page, house, "waiting")
        assert page.locator(".fg-wait").inner_text() == "Running Language Model …"
        read = "[...document.querySelectorAll('.fg-chat *')].map(one => getComputedStyle(one).animationName)"
        drawn = page.evaluate(read)
        assert drawn
        assert {name for name in drawn if name != "none"} == set()
