"""Citations in a browser: a number opens its passage, by mouse, finger and keyboard, while an answer grows too."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.axe import fetch_axe, find_ours
from tests.house import PUBLIC, House
from tests.open_page import answers, composer, expect_count, go, measure_at_rest, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FLOW = """\
name: Handbook
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: lodgings cost badges, top_k: 2}
  Model: {type: LanguageModel, model: MODEL, system_message: "${Found.passages}", input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {files: ["knowledge/*.md"]}}
"""
HOUSE = House(
    flows={
        "talk": FLOW.replace("MODEL", "scripted"),
        "slow": FLOW.replace("MODEL", "slow:echo"),
    },
    shared={"talk": PUBLIC, "slow": PUBLIC},
    config={
        "sharing": {"allow_public": True},
        "providers": {"slow": {"type": "scripted", "pieces": ["So it is [", "1], ", "and ", "more"], "delay": 20}},
    },
)


@pytest.fixture(scope="module", autouse=True)
def _files(house: AppServer) -> None:
    folder = house.folder / "flows" / "knowledge"
    folder.mkdir()
    (folder / "travel.md").write_text("# Travel\n\nLodgings cost **120** euros in Lyon.")
    (folder / "badges.md").write_text("Badges are worn.\n\n" * 50)


def ask(page: "Page", house: AppServer, text: str, flow: str = "talk") -> None:
    go(page, f"{house.url}/public_flow/{flow}")
    composer(page).wait_for()
    say(page, text)
    answers(page).locator(".fg-cite").first.wait_for(timeout=60_000)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_number_opens_its_passage_and_escape_leads_back(house: AppServer, browser: "Browser", width: int) -> None:
    with visitor(browser, viewport={"width": width, "height": 800}) as page:
        ask(page, house, "It is so [1], `a[1]`, and [7] is none.")
        still(page)
        for _ in range(2):
            answer = answers(page).first
            mark = answer.get_by_role("button", name="Source 1: knowledge/travel.md")
            assert "[7] is none" in answer.inner_text()
            expect_count(answer.locator(".fg-cite"), 1)
            expect_count(answer.locator(".fg-sources details"), 1)
            mark.focus()
            page.keyboard.press("Enter")
            passage = answer.get_by_text("Lodgings cost 120 euros in Lyon.")
            passage.wait_for()
            assert answer.locator(".fg-passage strong").inner_text() == "120"
            summary = answer.locator(".fg-sources summary")
            assert summary.evaluate("one => one === document.activeElement || one.getRootNode().activeElement === one")
            page.keyboard.press("Escape")
            passage.wait_for(state="hidden")
            assert mark.evaluate("one => one.getRootNode().activeElement === one")
            mark.click()
            passage.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            still(page).reload()
            answers(page).locator(".fg-cite").first.wait_for()


def test_a_number_opens_while_the_answer_grows(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        go(page, f"{house.url}/public_flow/slow")
        composer(page).wait_for()
        say(page, "Well?")
        mark = answers(page).locator(".fg-cite")
        mark.wait_for(timeout=90_000)
        mark.click()
        answers(page).get_by_text("Lodgings cost 120 euros in Lyon.").wait_for()
        assert answers(page).first.get_attribute("data-state") == "growing"


def test_sources_are_fit_for_everybody(house: AppServer, browser: "Browser", tmp_path: Path) -> None:
    with visitor(browser) as page:
        enter_as(page, house, "bob")
        go(page, f"{house.url}/playground?flow=talk")
        composer(page).wait_for()
        say(page, "It is so [1] [2].")
        answers(page).locator(".fg-cite").first.wait_for(timeout=60_000)
        answers(page).locator(".fg-cite").first.click()
        answers(page).locator(".fg-passage").wait_for()
        assert not find_ours(page, fetch_axe(tmp_path))
        answers(page).locator(".fg-cite").last.click()
        answers(page).locator(".fg-passage").nth(1).wait_for()
        row = measure_at_rest(answers(page).locator(".fg-sources summary").last)
        head = measure_at_rest(page.locator('[data-testid="stLayoutWrapper"]:has(> .st-key-page-head)'))
        foot = measure_at_rest(page.locator(".fg-foot"))
        assert head["bottom"] < row["top"] < row["bottom"] < foot["top"], "the row of a long passage stays in sight"
