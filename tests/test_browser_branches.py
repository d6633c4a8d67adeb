"""Branches on the page: the one that runs streams, skipped steps are said, and so is a question without an answer."""

from typing import TYPE_CHECKING

import pytest

from tests.house import House
from tests.open_page import answers, flow_text, go, say, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FLOW = """
name: Branching
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, display_name: Refund or not,
    input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, display_name: Refunds, model: "scripted:echo", input_value: "${Gate.true_result}"}
  Order: {type: ConditionalRouter, display_name: Order or not,
    input_text: "${Gate.false_result}", operator: contains, match_text: order}
  Helper: {type: LanguageModel, display_name: Orders, model: "scripted:fail", input_value: "${Order.true_result}",
    step: {on_error: continue, fallback: Please call us.}}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Helper?}"}
"""
CUT = flow_text("scripted:cut", "Cut")
HOUSE = House(people={}, flows={"branching": FLOW, "cut": CUT})


def test_the_page_says_what_ran_and_what_did_not(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=branching")
    say(page, "a refund")
    answers(page).get_by_text("You said: a refund").wait_for()
    still(page)
    page.get_by_role("button", name="6 steps").click()
    skipped = page.locator('.fg-step[data-status="skipped"]')
    skipped.first.wait_for()
    assert [one.get_attribute("aria-label") for one in skipped.all()] == ["Order or not", "Orders"]
    assert "skipped" in skipped.first.inner_text()
    say(page, "my order")
    answers(page).get_by_text("Please call us.").wait_for()
    still(page)
    page.get_by_role("button", name="6 steps").last.click()
    page.locator('.fg-step[data-status="failed"]').get_by_text("its fallback stands for it").wait_for()
    say(page, "hello")
    without = answers(page).get_by_text("The flow has no answer to this: none of its outputs ran.")
    without.wait_for()
    still(page).reload()
    without.wait_for()


def test_an_answer_that_was_cut_says_so(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=cut")
    say(page, "one two three")
    told = answers(page).get_by_text("This answer was cut: it reached the longest that its model may write.")
    told.wait_for()
    still(page).reload()
    told.wait_for()
