"""An answer is rated, its reason told and the conversation shared; the flow's owner reads it until it is taken back."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.acme import enter_as
from tests.axe import fetch_axe, find_violations
from tests.house import SHARED, House
from tests.open_page import answers, expect_count, go, open_menu, say, still, visitor
from tests.running import chat_flow
from tests.servers import AppServer

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
HOUSE = House(
    flows={name.lower(): chat_flow("scripted:echo", name) for name in ("Echo", "Used")}, shared={"echo": SHARED}
)
SHARES = "Let the flow's authors read this conversation up to here"


def open_reason(page: "Page") -> "Locator":
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").wait_for()
    still(page)
    return dialog


def send(page: "Page", dialog: "Locator") -> None:
    dialog.get_by_role("button", name="Send").click()
    page.get_by_test_id("stToast").get_by_text("Thank you.").wait_for()  # for two seconds
    dialog.wait_for(state="detached")
    still(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_bad_answer_reaches_the_flows_owner_as_far_as_its_person_lets_it(
    house: AppServer, browser: "Browser", width: int, tmp_path: "Path"
) -> None:
    axe = fetch_axe(tmp_path)
    size: Any = {"width": width, "height": 844}
    with visitor(browser, viewport=size) as page, visitor(browser, viewport=size) as author:
        enter_as(page, house, "bob")
        go(page, f"{house.url}/public_flow/echo")
        say(page, f"A question at {width}")
        bad, good = (page.get_by_role("button", name=name) for name in ("Bad answer", "Good answer"))
        bad.click()
        dialog = open_reason(page)
        assert not dialog.get_by_role("checkbox", name=SHARES).is_checked()
        assert find_violations(page, axe) == set()
        dialog.get_by_role("button", name="Incomplete").click()
        dialog.get_by_role("textbox").fill(f"It says nothing at {width}.")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        send(page, dialog)
        page.get_by_role("button", name="Edit reason").wait_for()
        page.reload()
        still(page)
        assert [button.get_attribute("aria-pressed") for button in (good, bad)] == ["false", "true"]

        enter_as(author, house, "olga")
        go(author, f"{house.url}/feedback?flow=echo")
        item = author.locator('[class*="st-key-feedback-item-"]').filter(has_text=f"It says nothing at {width}.")
        item.get_by_text("The conversation is not shared.").wait_for()
        author.get_by_text(re.compile(r"^\d ratings?: 0 good, \d bad$")).wait_for()
        author.get_by_role("link", name="Usage").wait_for()
        assert author.get_by_text(f"A question at {width}").count() == 0
        assert author.evaluate("document.documentElement.scrollWidth") <= width
        assert find_violations(author, axe) == set()

        page.get_by_role("button", name="Edit reason").click()
        dialog = open_reason(page)
        dialog.get_by_text(SHARES).click()
        send(page, dialog)
        go(author, author.url)
        item.get_by_role("button", name="Open the conversation").click()
        opened = author.get_by_role("dialog")
        opened.get_by_text(f"You said: A question at {width}").first.wait_for()
        still(author)
        assert find_violations(author, axe) == set()

        bad.click()
        page.get_by_role("button", name="Edit reason").wait_for(state="detached")
        assert bad.get_attribute("aria-pressed") == "false"
        go(author, author.url)
        author.get_by_role("heading", level=1, name="Feedback").wait_for()
        assert item.count() == 0


def test_the_publish_menu_leads_to_how_the_flow_is_used(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, viewport={"width": 390, "height": 844}) as page:
        enter_as(page, house, "olga")
        go(page, f"{house.url}/playground?flow=used")
        say(page, "Count me")
        answers(page).get_by_text("You said: Count me").wait_for()
        menu = open_menu(still(page).get_by_role("button", name="Publish"))
        menu.get_by_role("link", name="Usage").click()
        page.get_by_role("heading", level=1, name="Usage").wait_for()
        bars = page.get_by_role("list").get_by_role("listitem")
        expect_count(bars, 30)
        assert bars.last.inner_text().endswith(": 1 run")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
