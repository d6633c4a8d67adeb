"""An answer is rated, its reason told and the conversation shared; the flow's owner reads it until it is taken back."""

import re

import pytest

from tests.acme import enter_as
from tests.axe import find_violations
from tests.open_page import Locator, Page, ask, expect_count, go, say, still
from tests.running import chat_flow
from tests.servers import SHARED, AppServer, House

HOUSE = House(
    flows={name.lower(): chat_flow("scripted:echo", name) for name in ("Echo", "Used")}, shared={"echo": SHARED}
)
SHARES = "Let the flow's authors read this conversation up to here"


def open_reason(page: Page) -> Locator:
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").wait_for()
    still(page)
    return dialog


def send(page: Page, dialog: Locator) -> None:
    dialog.get_by_role("button", name="Send").click()
    page.get_by_test_id("stToast").get_by_text("Thank you.").wait_for()  # for two seconds
    dialog.wait_for(state="detached")
    still(page)


def check_looks(page: Page, axe: str, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert find_violations(page, axe) == set()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_bad_answer_reaches_the_flows_owner_as_far_as_its_person_lets_it(
    house: AppServer, page: Page, ada: Page, width: int, axe: str
) -> None:
    author = ada
    for one in (page, author):
        one.set_viewport_size({"width": width, "height": 844})
    say(go(enter_as(page, house, "bob"), f"{house.url}/public_flow/echo"), f"A question at {width}")
    bad, good, edit = (page.get_by_role("button", name=name) for name in ("Bad answer", "Good answer", "Edit reason"))
    bad.click()
    dialog = open_reason(page)
    assert not dialog.get_by_role("checkbox", name=SHARES).is_checked()
    check_looks(page, axe, width)
    dialog.get_by_role("button", name="Incomplete").click()
    dialog.get_by_role("textbox").fill(f"It says nothing at {width}.")
    send(page, dialog)
    edit.wait_for()
    page.reload()
    still(page)
    assert [button.get_attribute("aria-pressed") for button in (good, bad)] == ["false", "true"]

    go(author, f"{house.url}/feedback?flow=echo")
    item = author.locator('[class*="st-key-feedback-item-"]').filter(has_text=f"It says nothing at {width}.")
    item.get_by_text("The conversation is not shared.").wait_for()
    author.get_by_text(re.compile(r"^\d ratings?: 0 good, \d bad$")).wait_for()
    assert author.get_by_text(f"A question at {width}").count() == 0
    check_looks(author, axe, width)

    edit.click()
    dialog = open_reason(page)
    dialog.get_by_text(SHARES).click()
    send(page, dialog)
    go(author, author.url)
    item.get_by_role("button", name="Open the conversation").click()
    opened = author.get_by_role("dialog")
    opened.get_by_text(f"You said: A question at {width}").first.wait_for()
    check_looks(still(author), axe, width)

    bad.click()
    edit.wait_for(state="detached")
    assert bad.get_attribute("aria-pressed") == "false"
    go(author, author.url).get_by_role("heading", level=1, name="Feedback").wait_for()
    assert item.count() == 0


def test_the_sidebar_leads_to_how_the_flow_is_used(house: AppServer, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    ask(go(enter_as(page, house, "olga"), f"{house.url}/playground?flow=used"), "Count me")
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Usage").click()
    page.get_by_role("heading", level=1, name="Usage").wait_for()
    bars = page.get_by_role("list").get_by_role("listitem")
    expect_count(bars, 30)
    assert bars.last.inner_text().endswith(": 1 run")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
