"""The way to a first API call in Debian's chromium, as somebody goes it who has never been here: in local mode."""

import re
from typing import TYPE_CHECKING

import pytest

from flowground.ui.api_access.tokens import SEES_INSIDE
from tests.api_pane import code_of as find_code
from tests.api_pane import export_line
from tests.open_page import fill, go, open_menu, still, visitor
from tests.servers import AppServer
from tests.test_local_mode import code_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def choose_flow(page: "Page", server: AppServer, name: str) -> None:
    """From home, by the sidebar and the list of flows."""
    go(page, server.url)
    page.get_by_test_id("stSidebar").get_by_role("link", name="API access").click()
    page.get_by_text("Choose the flow that your program is to ask.").wait_for()
    still(page)
    page.get_by_test_id("stMain").get_by_role("link", name=name).click()
    page.get_by_role("heading", name="1 · Token").wait_for()
    still(page)


def give_code(page: "Page", code: str) -> None:
    fill(page, Owner_code=code)
    page.get_by_role("button", name="Continue").click()


def test_a_flow_chosen_in_the_list_stands_in_the_address_and_stays_when_the_owner_gives_the_code(
    server: AppServer, page: "Page"
) -> None:
    choose_flow(page, server, "Echo")
    page.wait_for_url(re.compile(r"/api_access\?flow=echo$"))
    give_code(page, "2222-2222-2222")
    page.get_by_text("This is not the code.").wait_for()
    give_code(page, code_of(server))
    page.get_by_role("button", name="Make a token").wait_for()
    assert page.url == f"{server.url}/api_access?flow=echo"


def test_a_page_of_a_flow_leads_back_to_the_list_of_flows(server: AppServer, page: "Page") -> None:
    choose_flow(page, server, "Echo")
    page.get_by_test_id("stMain").get_by_role("link", name="All flows' APIs").click()
    page.get_by_text("Choose the flow that your program is to ask.").wait_for()
    page.wait_for_url(re.compile(r"/api_access$"))
    still(page)
    page.get_by_test_id("stMain").get_by_role("link", name="Translator").click()
    page.wait_for_url(re.compile(r"/api_access\?flow=translator$"))
    page.go_back()
    page.get_by_text("Choose the flow that your program is to ask.").wait_for()


def test_the_forms_choices_stay_open_after_the_owner_code(server: AppServer, page: "Page") -> None:
    go(page, f"{server.url}/api_access?flow=echo")
    give_code(page, code_of(server))
    page.get_by_text("Reach, expiry and rights").click()
    page.get_by_text(SEES_INSIDE).wait_for()
    page.get_by_text("With error handling").click()
    page.get_by_text("No answer from").locator("visible=true").wait_for()
    still(page)
    assert page.get_by_text(SEES_INSIDE).is_visible()


SCROLLING = """() => [...document.querySelectorAll('[data-testid="stMain"] *')].filter((part) =>
  /auto|scroll/.test(getComputedStyle(part).overflowY) && part.clientHeight && part.scrollHeight > part.clientHeight)
  .map((part) => part.className)"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_but_the_page_scrolls_and_the_way_to_the_code_is_in_order(
    server: AppServer, browser: "Browser", width: int
) -> None:
    with visitor(browser, viewport={"width": width, "height": 844}) as page:
        go(page, f"{server.url}/api_access?flow=echo")
        give_code(page, code_of(server))
        fill(page, Name="my laptop")
        page.get_by_role("button", name="Make a token").click()
        page.get_by_text("Echo only · sees answers").first.wait_for()
        still(page)
        assert page.evaluate(SCROLLING) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        order = [export_line(page.locator("body")), page.get_by_role("heading", name="2 · Code")]
        order.append(find_code(page.locator("body"), "Python"))
        tops = [box["y"] for part in order if (box := part.bounding_box())]
        assert (len(tops), tops) == (3, sorted(tops))
        page.get_by_text('python3 python-test-script.py --message="').wait_for()
        page.get_by_text("All as Markdown").click()
        text = page.get_by_test_id("stExpander").get_by_test_id("stCode").filter(has_text="# Echo")
        text.wait_for()
        box = text.bounding_box()
        assert box is not None
        assert (box["x"] >= 0, box["x"] + box["width"] <= width) == (True, True)
        row = page.locator('[class*="st-key-tokens-row-"]').filter(has_text="my laptop").first
        question = open_menu(row.get_by_role("button", name="Revoke"))
        question.get_by_text("Revoke “my laptop”?").wait_for()
        yes = question.get_by_role("button", name="Revoke", exact=True)
        assert yes.evaluate("button => getComputedStyle(button).backgroundColor") == "rgb(201, 42, 42)"
        yes.click()
        export_line(page.locator("body")).filter(has_text="YOUR_TOKEN").wait_for()
