"""How answers are drawn in a browser: as Streamlit's own Markdown and chat, by keyboard, under our headers.

How the blocks of a text look in a browser, and that two drawings of one text look alike.
"""

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from tests.markdown_corpus import COMPARED, CorpusServer, read_corpus
from tests.narrow import PHONE, find_wide
from tests.open_page import Browser, Page, expect_count, flow_text, go, say, still, visitor
from tests.servers import AppServer, House

BLOCKS = [*COMPARED, "code"]
FIXED = {"type": "scripted", "pieces": ["\n\n".join(read_corpus()[block] for block in BLOCKS)]}
HOUSE = House(
    people={},
    config={"providers": {"fixed": FIXED}},
    flows={"corpus": flow_text("fixed:echo", "Corpus"), "echo": flow_text("scripted:echo", "Echo")},
)
CELL = "delivered on the third of May after two reminders"
TABLE = "\n".join(["| N | Item | Where | What came of it | Who | When |", "|-|-|-|-|-|-|", f"| 1 |{f' {CELL} |' * 5}"])
FILL = "(() => getComputedStyle(document.querySelector('.fg-diagram .nodes text')).fill)"
DIAGRAM = "```mermaid\ngraph LR\nOne --> Two\n```"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusServer]:
    with CorpusServer(tmp_path_factory.mktemp("corpus")) as running:
        yield running


def open_block(page: Page, corpus: CorpusServer, block: str) -> Page:
    page.goto(corpus.address(block))
    page.locator(".answer[data-done]").wait_for()
    return page


@pytest.mark.parametrize("look", ["light", "dark"])
def test_blocks_look_as_streamlits_own(browser: Browser, corpus: CorpusServer, look: Literal["light", "dark"]) -> None:
    """Sizes, weights, fonts, colours and distances. Ours differ in this: an answer's first block begins at its top, and
    quotations are a little darker, for contrast."""
    with visitor(browser, color_scheme=look) as page:
        for block in COMPARED:
            ours = tell(open_block(page, corpus, block), ".answer")
            page.goto(corpus.address(block, way="native"))
            page.locator('[data-testid="stMarkdownContainer"] *').first.wait_for()
            native = tell(page, '[data-testid="stMarkdownContainer"]')
            compare(ours, native, within=block)


def test_formulas_are_typeset_in_all_four_notations(page: Page, corpus: CorpusServer) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    open_block(page, corpus, "formulas")
    page.wait_for_function("document.querySelectorAll('.answer .katex').length === 4")
    expect_count(page.locator(".answer .fg-display .katex-display"), 2)
    page.wait_for_function(
        "[...document.fonts].some(font => font.family.includes('KaTeX') && font.status === 'loaded')"
    )
    assert "$5 and then $10" in page.locator(".answer").inner_text()
    assert complaints == []


def test_formulas_are_typeset_after_their_library_could_not_be_loaded(house: AppServer, browser: Browser) -> None:
    with visitor(browser) as page:
        page.route("**/assets/katex-*.js", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            say(go(page, f"{house.url}/playground?flow=echo"), "so $x^2$ is")
        page.unroute("**/assets/katex-*.js")
        say(page, "and $y^2$ is")
        page.locator(".fg-answer .katex").wait_for()


def test_code_is_coloured_wrapped_and_copied_by_keyboard(browser: Browser, corpus: CorpusServer) -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        open_block(page, corpus, "code")
        page.locator(".fg-code .fg-c-keyword").first.wait_for()
        parts = [page.locator(part).first for part in (".fg-code .fg-c-keyword", ".fg-code pre code")]
        assert len({part.evaluate("one => getComputedStyle(one).color") for part in parts}) == 2
        figure = page.locator(".fg-code").nth(1)
        figure.get_by_role("button", name="Wrap lines").focus()
        page.keyboard.press("Enter")
        assert figure.get_by_role("button", name="Wrap lines").get_attribute("aria-pressed") == "true"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        figure.get_by_role("button", name="Copied").wait_for()
        assert figure.get_by_role("status").text_content() == "Copied"
        assert page.evaluate("navigator.clipboard.readText()").startswith('curl -H "x-api-key: $KEY"')
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "PRE"


@pytest.mark.parametrize("block", ["diagram", "sequence diagram"])
def test_a_diagram_is_drawn_and_its_code_is_a_press_away(page: Page, corpus: CorpusServer, block: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    open_block(page, corpus, block)
    picture = page.get_by_role("img", name="Diagram")
    picture.wait_for()
    assert picture.locator("svg").bounding_box() is not None
    assert page.locator(".fg-code pre").is_hidden()
    page.get_by_role("button", name="Show the code").click()
    page.locator(".fg-code pre").wait_for()
    assert picture.is_hidden()
    assert complaints == []


def test_a_wide_table_scrolls_on_a_phone_and_its_rows_stay_low(house: AppServer, browser: Browser) -> None:
    with visitor(browser, **PHONE) as page:
        say(go(page, f"{house.url}/playground?flow=echo"), f"So:\n\n{TABLE}\n\n| A | B |\n|-|-|\n| so | {CELL} |")
        page.locator(".fg-table").nth(1).wait_for()
        wide, narrow = (
            still(page)
            .locator(".fg-table")
            .evaluate_all(
                "all => all.map((one) => [one.scrollWidth - one.clientWidth, one.querySelector('td').offsetHeight])"
            )
        )
        assert wide[0] > 200
        assert 0 < wide[1] < 100
        assert narrow[0] == 0
        assert find_wide(page) == []


def test_a_diagram_follows_the_theme(house: AppServer, browser: Browser) -> None:
    with visitor(browser, color_scheme="light") as page:
        say(go(page, f"{house.url}/playground?flow=echo"), f"So:\n\n{DIAGRAM}")
        page.get_by_role("img", name="Diagram").wait_for()
        light = page.evaluate(f"{FILL}()")
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"light => {FILL}() !== light", arg=light)
        expect_count(page.get_by_role("button", name="Show the code"), 1)
        page.emulate_media(color_scheme="light")
        page.wait_for_function(f"light => {FILL}() === light", arg=light)


Block = dict[str, Any]

_TOLD = """root => {
  const inside = "h1,h2,h3,h4,h5,h6,li,blockquote,hr,th,td,a,strong,em,del,code,p:not(li > p)";
  return [...root.querySelectorAll(inside)]
    .filter(one => !one.closest("pre, [data-testid=stHeaderActionElements]"))
    .map(one => {
      const box = one.getBoundingClientRect(), style = getComputedStyle(one);
      return {
        what: one.tagName, x: box.x - root.getBoundingClientRect().x, y: box.y, width: box.width, height: box.height,
        style: [style.fontSize, style.fontWeight, style.fontFamily, style.lineHeight, style.color,
                style.backgroundColor, style.textDecorationLine],
      };
    });
}"""
"""What stands in an element, in its order: places and looks."""

_DRAWN = """() => {{
  const root = document.querySelector('{selector}');
  const told = root ? ({told})(root) : [];
  return told.length ? told : null;
}}"""
"""Waits, since what a page draws first may hold nothing yet: a table comes later than its frame."""


def tell(page: Page, selector: str) -> list[Block]:
    """Of the first element of this selector, once something is drawn in it."""
    page.wait_for_function("document.fonts.status === 'loaded'")
    told: list[Block] = page.wait_for_function(_DRAWN.format(selector=selector, told=_TOLD)).json_value()
    return told


def compare(ours: list[Block], native: list[Block], *, within: str) -> None:
    """Ours differ in this: an answer's first block begins at its top."""
    assert ours
    assert [one["what"] for one in ours] == [one["what"] for one in native], within
    above = native[0]["y"] + native[0]["height"] - ours[0]["y"] - ours[0]["height"]
    for mine, theirs in zip(ours, native, strict=True):
        named = f"{within}: {mine['what']}"
        assert mine["style"] == theirs["style"], named
        assert mine["x"] == pytest.approx(theirs["x"], abs=1), named
        assert mine["width"] == pytest.approx(theirs["width"], abs=2), named
        assert mine["y"] + mine["height"] == pytest.approx(theirs["y"] + theirs["height"] - above, abs=2), named
