"""The conversation looks as Streamlit's own chat does, light and dark, wide and narrow: sizes, fonts, colours, places.

Streamlit draws its `st.chat_message`, `st.chat_input` and others in the same run, in the same theme. Where ours differs
on purpose, `ON_PURPOSE` says so, and why; a difference that went away must leave it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.drawn_blocks import compare, tell
from tests.house import House
from tests.markdown_corpus import COMPARED, QUESTION, CorpusServer, read_corpus
from tests.open_page import composer, flow_text, go, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

BLOCKS = [*COMPARED, "code"]
FIXED = {"type": "scripted", "pieces": ["\n\n".join(read_corpus()[block] for block in BLOCKS)]}
HOUSE = House(
    people={},
    config={"providers": {"fixed": FIXED}},
    flows={"corpus": flow_text("fixed:echo", "Corpus"), "fail": flow_text("scripted:fail", "Fail")},
)
TEXT = ["fontSize", "lineHeight", "fontFamily", "fontWeight", "color"]
BOX = ["backgroundColor", "borderRadius", "padding"]
LINE = ["borderTopColor", "borderTopWidth"]


@dataclass(frozen=True)
class Part:
    """What is compared: an element of ours with one of Streamlit's. `left`, `right`, `above` and `below` are distances
    to the column of the page and to the window's edge; `text` is where its text begins, from the left of `beside`."""

    ours: str
    native: str
    looks: list[str]
    places: tuple[str, ...] = ()


COLUMN = Part(".fg-list", '[data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"]', [], ("width",))
PARTS = {
    "column": COLUMN,
    "question": Part(".fg-bubble", '[aria-label*="user"] p', TEXT),
    "question's box": Part(".fg-bubble", ".stChatMessage:has([aria-label*=user])", BOX, ("left", "right")),
    "answer": Part(".fg-text > p", '[aria-label*="assistant"] p', TEXT, ("right",)),
    "avatar": Part(
        ".fg-avatar",
        '[data-testid="stChatMessageAvatarAssistant"]',
        ["backgroundColor", "borderRadius"],
        ("width", "height", "left", "gap"),
    ),
    "code": Part(".fg-code pre code", '[data-testid="stCode"] pre code', TEXT),
    "code's box": Part(".fg-code", '[data-testid="stCode"] pre', [*BOX, *LINE]),
    "field": Part(
        ".fg-field", '[data-testid="stChatInput"] > div', [*BOX, *LINE], ("left", "right", "height", "below")
    ),
    "field's text": Part(".fg-field textarea", '[data-testid="stChatInput"] textarea', [*TEXT, "placeholder"]),
    "send": Part(
        ".fg-send",
        '[data-testid="stChatInputSubmitButton"]',
        ["backgroundColor", "color", "borderRadius"],
        ("width", "height"),
    ),
    "error": Part(".fg-error", '[data-testid="stAlertContainer"]', [*TEXT, *BOX, *LINE], ("right",)),
    "button": Part(".fg-retry", '[data-testid="stButton"] button', [*TEXT, *BOX, *LINE], ("height",)),
    "figures": Part(".fg-figures", '[data-testid="stCaptionContainer"] p', [*TEXT, "opacity"]),
}
ON_PURPOSE: list[tuple[str, set[str], str]] = [
    (
        "question's box",
        {"backgroundColor", "borderRadius", "padding", "left"},
        "a bubble at the end, as wide as its text",
    ),
    ("avatar", {"backgroundColor", "borderRadius", "left"}, "the flow's own sign, at the column's edge: no box around"),
    ("code's box", {"padding", "borderTopColor", "borderTopWidth"}, "a bar with the language and its buttons above"),
    ("field", {"backgroundColor", "borderRadius", "padding", "height"}, "a pill over the messages below it"),
    ("field", {"below"}, "no room is left free for a footer of Streamlit's"),
    ("field's text", {"fontSize", "lineHeight"}, "one writes as large as one reads"),
    ("field's text", {"placeholder"}, "the theme's grey, which has the contrast that WCAG asks for"),
    ("send", {"borderRadius", "width", "height"}, "round, in a pill"),
    ("button", {"fontSize", "lineHeight", "backgroundColor", "height"}, "it stands in a line of smaller things"),
    ("figures", {"fontSize", "lineHeight", "color"}, "quieter than a caption; the theme's grey"),
]
ON_A_PHONE: list[tuple[str, set[str], str]] = [
    ("avatar", {"width", "height", "gap"}, "none: the text has the whole width"),
]
SETTLED = """() => document.fonts.status === 'loaded'
    && document.getAnimations().every(one => !(one instanceof CSSTransition))"""
MEASURE = """parts => {
  const round = one => Math.round(one * 2) / 2;
  const column = document.querySelector(parts.column.selector).getBoundingClientRect();
  const tell = ({ selector, looks, places }) => {
    const one = [...document.querySelectorAll(selector)].at(0);
    if (!one) return null;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    const beside = one.nextElementSibling?.querySelector("p:not([hidden])")?.getBoundingClientRect();
    const placed = {
      width: box.width, height: box.height, left: box.left - column.left, right: column.right - box.right,
      below: innerHeight - box.bottom, gap: (beside?.left ?? 0) - box.right,
    };
    return {
      ...Object.fromEntries(looks.filter(name => name !== "placeholder").map(name => [name, style[name]])),
      ...(looks.includes("placeholder") ? { placeholder: getComputedStyle(one, "::placeholder").color } : {}),
      ...Object.fromEntries(places.map(name => [name, round(placed[name])])),
    };
  };
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, tell(part)]));
}"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusServer]:
    with CorpusServer(tmp_path_factory.mktemp("corpus")) as running:
        yield running


@pytest.fixture(params=["light", "dark", "light phone", "dark phone"])
def page(request: pytest.FixtureRequest, browser: "Browser") -> "Iterator[Page]":
    look: Literal["light", "dark"] = "dark" if "dark" in request.param else "light"
    width = 390 if "phone" in request.param else 1280
    with visitor(browser, color_scheme=look, viewport={"width": width, "height": 844}) as opened:
        yield opened


def measure(page: "Page", side: Literal["ours", "native"], names: list[str]) -> dict[str, dict[str, Any]]:
    parts = {
        name: {"selector": getattr(part, side), "looks": part.looks, "places": part.places}
        for name, part in PARTS.items()
        if name in ["column", *names]
    }
    page.wait_for_function(SETTLED)
    found: dict[str, dict[str, Any]] = page.evaluate(MEASURE, parts)
    assert [name for name, told in found.items() if told is None] == []
    return found


def open_ours(page: "Page", house: AppServer) -> None:
    go(page, f"{house.url}/playground?flow=corpus")
    say(page, QUESTION)
    page.locator(".fg-answer .fg-code").last.wait_for()
    composer(still(page)).fill("x")
    composer(page).blur()


def open_native(page: "Page", corpus: CorpusServer) -> None:
    page.goto(corpus.address(*BLOCKS, way="chat"))
    page.get_by_test_id("stChatInputTextArea").fill("x")
    page.get_by_test_id("stCode").last.wait_for()
    page.get_by_test_id("stChatInputTextArea").blur()
    still(page)


def test_messages_and_field_look_as_streamlits_own(house: AppServer, corpus: CorpusServer, page: "Page") -> None:
    failing = ["error", "button", "figures"]
    open_ours(page, house)
    ours = measure(page, "ours", [name for name in PARTS if name not in failing])
    go(page, f"{house.url}/playground?flow=fail")
    say(page, QUESTION)
    page.locator(".fg-retry").wait_for()
    ours |= measure(still(page), "ours", failing)
    open_native(page, corpus)
    native = measure(page, "native", list(PARTS))
    different = {
        (name, what): (mine, native[name][what])
        for name, told in ours.items()
        for what, mine in told.items()
        if mine != native[name][what]
    }
    listed = ON_PURPOSE + (ON_A_PHONE if is_phone(page) else [])
    named = {(name, what) for name, properties, _ in listed for what in properties}
    assert different.keys() - named == set(), {one: different[one] for one in different.keys() - named}
    assert named - different.keys() == set(), "alike by now"


def test_an_answers_blocks_look_and_stand_as_streamlits_own(
    house: AppServer, corpus: CorpusServer, page: "Page"
) -> None:
    """At one width: Streamlit's message has a padding where ours has none."""
    open_native(page, corpus)
    text = '[aria-label*="assistant"] [data-testid="stMarkdownContainer"]'
    native, width = tell(page, text), page.locator(text).evaluate("one => one.clientWidth")
    open_ours(page, house)
    page.add_style_tag(content=f".fg-text {{ width: {width}px !important }}")
    ours = tell(page, ".fg-text")
    code = [index for index, block in enumerate(ours) if block["what"] == "P"][-1]  # what follows has bars of ours
    compare(ours[: code + 1], native[: code + 1], within="an answer")


def is_phone(page: "Page") -> bool:
    assert page.viewport_size
    return page.viewport_size["width"] < 640
