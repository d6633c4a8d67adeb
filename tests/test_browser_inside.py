"""The page *Inside*: the picture lights up as the flow runs, and a mistake stands at its line."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.axe import fetch_axe, find_ours
from tests.house import SHARED, House
from tests.open_page import answers, expect_count, go, say, still, stop, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

FLOW = """\
name: Branching
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, display_name: Refund or not,
    input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: "slow:echo", input_value: "${Gate.true_result}"}
  Helper: {type: LanguageModel, model: "scripted:fail", input_value: "${Gate.false_result}",
    step: {on_error: continue, fallback: Please call us.}}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Helper?}"}
"""
COMMENTS = "".join(f"# line {number}\n" for number in range(1, 101))
BROKEN = COMMENTS + FLOW.replace("operator: contains", "operater: contains")
SLOW = {"type": "scripted", "pieces": [f"word{number} " for number in range(400)], "delay": 0.05}
HOUSE = House(
    flows={"branching": FLOW, "broken": BROKEN}, config={"providers": {"slow": SLOW}}, shared={"branching": SHARED}
)
ORDER = ["ChatInput", "Gate", "Refund", "Helper", "ChatOutput"]


def find_shape(page: "Page", component: str, state: str | None = None) -> "Locator":
    """In the picture; once it is lit so."""
    lit = "" if state is None else f'[data-state="{state}"]'
    return page.locator(f'.fg-figure g.node[id*="flowchart-n{ORDER.index(component)}-"]{lit}')


def test_the_steps_light_up_beside_the_chat_and_stay_as_the_last_answer_was_made(
    house: AppServer, browser: "Browser"
) -> None:
    with visitor(browser) as page:
        enter_as(page, house, "olga")
        go(page, f"{house.url}/playground?flow=branching")
        way = page.get_by_test_id("stMain").get_by_role("link", name="Inside")
        beside = page.context.new_page()
        go(beside, way.evaluate("link => link.href"))
        beside.get_by_text("Say something in the chat").wait_for()
        say(page, "a refund, please")
        find_shape(beside, "Refund", "running").wait_for()
        others = [name for name in ORDER if name != "Refund"]
        states = [find_shape(beside, name).get_attribute("data-state") for name in others]
        assert states == ["done", "done", "skipped", ""]
        beside.get_by_text("A message is being answered.").wait_for()
        stop(page)
        beside.get_by_text("The last answer").wait_for()
        still(page)
        say(page, "something else")
        answers(page).get_by_text("Please call us.").wait_for()
        find_shape(beside, "Helper", "failed").wait_for()
        find_shape(beside, "ChatOutput", "done").wait_for()
        find_shape(beside, "Refund", "skipped").wait_for()
        beside.get_by_text("Steps as a list").click()
        row = beside.get_by_role("listitem").filter(has_text="Language Model (Helper)").filter(has_text="Failed")
        assert "input_value from Refund or not (Gate) (false_result)" in row.inner_text()
        go(beside, beside.url)  # as it was stored
        find_shape(beside, "Helper", "failed").wait_for()
        beside.get_by_role("link", name="Branching").click()
        answers(beside).get_by_text("Please call us.").wait_for()


def test_a_mistake_stands_at_its_line_and_goes_once_the_file_is_saved_without(
    house: AppServer, browser: "Browser"
) -> None:
    with visitor(browser) as page:
        enter_as(page, house, "olga")
        go(page, house.url)
        page.get_by_text("1 file needs a correction").click()
        page.get_by_role("link", name="Show in the file").click()
        page.get_by_role("heading", name="broken.yaml").wait_for()
        text = page.get_by_role("region", name="Text of broken.yaml")
        wrong = text.get_by_role("note").filter(has_text="has no field operater")
        wrong.wait_for()
        line = text.locator('.fg-line[data-wrong="mistake"]')
        assert line.get_attribute("data-number") == "105"
        assert "operater: contains" in line.inner_text()
        under, word = line.locator(".fg-under").bounding_box(), line.get_by_text("operater").last.bounding_box()
        assert under is not None
        assert word is not None
        assert abs(under["x"] - word["x"]) < 3
        assert 0 < word["width"] - under["width"] < 10  # the word has its colon
        page.get_by_role("button", name="Line 105").click()
        page.wait_for_function("document.querySelector('.fg-file-text').scrollTop > 1000")
        file = house.folder / "flows" / "broken.yaml"
        file.write_text(FLOW.replace("Branching", "Mended"))
        page.locator(".fg-figure svg").wait_for()
        expect_count(page.get_by_role("note"), 0)
        page.get_by_role("link", name="Mended").wait_for()
        find_shape(page, "Refund").click()
        page.locator('.fg-line.fg-found[data-number="6"]').wait_for()
        file.write_text(BROKEN)


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(house: AppServer, browser: "Browser", width: int, tmp_path: "Path") -> None:
    axe = fetch_axe(tmp_path)
    with visitor(browser, viewport={"width": width, "height": 844}) as page:
        enter_as(page, house, "augusta")
        go(page, f"{house.url}/playground?flow=branching")
        say(page, "something else")
        answers(page).get_by_text("Please call us.").wait_for()
        for path in ("/inside?flow=branching", "/inside?file=broken.yaml"):
            go(page, house.url + path)
            page.locator(".fg-file-text").wait_for()
            if "flow=" in path:
                find_shape(page, "Helper", "failed").wait_for()
                page.get_by_text("Steps as a list").click()
            assert find_ours(page, axe) == set(), path


def test_members_have_no_way_there(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        enter_as(page, house, "bob")
        go(page, f"{house.url}/playground?flow=branching")
        assert page.get_by_role("link", name="Inside").count() == 0
        go(page, f"{house.url}/inside?flow=branching").get_by_text("Nothing here for you").wait_for()
