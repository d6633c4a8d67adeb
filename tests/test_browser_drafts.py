"""What was typed and not sent stays with who typed it, and goes with them."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.house import SHARED, House
from tests.open_page import composer, go, sign_in, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOUSE = House(flows=["echo"], shared={"echo": SHARED})
COUNT = 'Object.keys(localStorage).filter((name) => name.startsWith("flowground:draft:")).length'


def write_draft(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/public_flow/echo")
    composer(still(page)).fill("half a thought")
    page.wait_for_function(f"{COUNT} === 1")


def test_drafts_go_at_sign_out(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        enter_as(page, house, "zoe")
        write_draft(house, page)
        page.locator(".st-key-sign_out button:visible").click()
        page.get_by_role("textbox", name="Password").wait_for()
        assert page.evaluate(COUNT) == 0


def test_drafts_go_when_somebody_else_signs_in_and_stay_for_oneself(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        enter_as(page, house, "zoe")
        write_draft(house, page)
        for name, left in (("zoe", 1), ("bob", 0)):
            page.context.clear_cookies()  # their sign-in ran out
            go(page, house.url)
            page.get_by_role("textbox", name="User name").wait_for()
            still(page)
            assert page.evaluate(COUNT) == 1
            sign_in(page, name)
            page.get_by_role("link", name="Account").wait_for()
            assert page.evaluate(COUNT) == left


def test_drafts_go_with_ones_conversations(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        enter_as(page, house, "zoe")
        write_draft(house, page)
        go(page, f"{house.url}/account")
        page.get_by_role("button", name="Delete my conversations").click()
        page.get_by_role("button", name="Delete all").click()
        page.wait_for_function(f"{COUNT} === 0")
