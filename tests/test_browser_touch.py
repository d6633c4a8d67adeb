"""What can be pressed in a conversation is as large as a finger on a phone, and shows the keyboard's focus."""

from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.chat_states import CHATS, STATES, show
from tests.open_page import visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
HOUSE = CHATS
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
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
  const shine = colour => colour.map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const compare = (one, other) => {
    const [dark, light] = [shine(one), shine(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = from => {
    const behind = [];
    for (let place = from; place; place = place.parentElement)
      behind.push(parse(getComputedStyle(place).backgroundColor));
    return behind.reverse().reduce((under, colour) => over(colour, under), [255, 255, 255]);
  };
  const one = document.activeElement, style = getComputedStyle(one);
  const field = one.matches("textarea") && one.closest(".fg-field, .fg-editor");
  const outline = style.outlineStyle === "none" ? null : style.outlineColor;
  const ring = field ? getComputedStyle(field).borderTopColor : outline;
  const sign = one.querySelector("svg");
  return {
    name: one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent.trim().slice(0, 40),
    ring: ring && compare(over(parse(ring), ground(one.parentElement)), ground(one.parentElement)),
    sign: sign && compare(over(parse(getComputedStyle(sign).color), ground(one)), ground(one)),
    opacity: one.closest(".fg-footer") ? Number(getComputedStyle(one.closest(".fg-footer")).opacity) : 1,
  };
}"""
"""What has the focus; how far its ring stands out from the ground, and its sign from the button."""
BEFORE = """() => {
  const open = document.querySelector("dialog[open] > *") ?? document.querySelector(".fg-chat");
  const start = Object.assign(document.createElement("button"), { textContent: "start" });
  open.before(start);
  start.focus();
}"""
"""Puts the focus before all of it."""
SETTLED = "() => document.getAnimations().every(one => !(one instanceof CSSTransition))"
PRESSED = {
    "Send", "Stop", "Run", "Message", "Good morning", "Show earlier messages", "Go to the end", "Copy", "Try again",
    "Copy as code", "Copy the question", "4 steps", "Wrap lines", "Show the code", "1 override · clear", "Close",
    "Edit", "Cancel", "Next version", "Make it a test", "Good answer", "Bad answer", "Tell why",
    "Allow once", "Allow in this chat", "Refuse",
    "Options", "Language", "Temperature", "Tone", "Reset", "Copy link",
}  # fmt: skip
"""Names of what must be among what is found, of all states."""


def test_what_is_pressed_on_a_phone_is_as_large_as_a_finger(house: AppServer, browser: "Browser") -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    for state in STATES:
        with visitor(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
            found[state] = show(page, house, state).evaluate(FOUND, INSIDE)
    names = {one["name"] for all_of_them in found.values() for one in all_of_them}
    assert PRESSED - names == set()
    bad = {
        (state, one["name"], one["width"], one["height"], one["isCovered"])
        for state, all_of_them in found.items()
        for one in all_of_them
        if one["isPressed"] and (one["width"] < LEAST or one["height"] < LEAST or one["isCovered"])
    }
    assert bad == set()


END = "Go to the end"


@pytest.mark.parametrize(
    ("state", "look"), [*((state, "light") for state in STATES), ("everything", "dark"), ("failed", "dark")]
)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    house: AppServer, browser: "Browser", state: str, look: Literal["light", "dark"]
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
            reached.append(page.evaluate(FOCUSED))
        reached = [one for one in reached if one["name"] != END][: len(wanted)]  # which is there as long as one is not
        assert [one["name"] for one in reached] == wanted
        assert [one["name"] for one in reached if one["sign"] and one["sign"] < RING] == []
        assert [one["name"] for one in reached if one["opacity"] < 1] == []
        assert [one["name"] for one in reached if not one["ring"] or one["ring"] < RING] == []
