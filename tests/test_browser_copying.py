"""The API access pane by keyboard and by touch: what is made is seen, is copied, is not cut; and it knows its flow."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.api_pane import FLOW, code_of, copied, export_line
from tests.house import House
from tests.open_page import fill, flow_text, go, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
FLOWS = {"talk": FLOW} | {f"other-{number}": flow_text("scripted:echo", f"Other {number}") for number in range(8)}
HOUSE = House(flows=FLOWS)


def test_on_a_telephone_the_new_token_is_where_one_looks_and_all_is_copied_by_touch(
    house: AppServer, browser: "Browser"
) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with visitor(browser, viewport={"width": 390, "height": 844}, has_touch=True, permissions=permissions) as page:
        enter_as(page, house, "olga")
        go(page, f"{house.url}/api_access?flow=talk")
        fill(page, Name="from a telephone")
        page.get_by_role("button", name="Make a token").tap()
        page.get_by_text("Your new token").wait_for()
        still(page)
        button = page.get_by_role("button", name="Copy the token")
        box, made = button.bounding_box(), page.get_by_role("button", name="Make a token").bounding_box()
        assert box is not None
        assert made is not None
        assert 0 < box["y"] - made["y"] < 400  # the form, and the token below it
        assert box["height"] >= 44
        button.tap()
        button.get_by_text("Copied", exact=True).wait_for()
        assert button.bounding_box() == box
        token = page.evaluate("navigator.clipboard.readText()")
        assert token == export_line(page.locator("body")).inner_text().strip().partition("=")[2]
        code = code_of(page.locator("body"), "Python")
        code.wait_for()
        for part in (code, code.locator("pre"), export_line(page.locator("body"))):
            width = part.bounding_box()
            assert width is not None
            assert width["x"] + width["width"] <= 390
        assert code.evaluate("block => [...block.querySelectorAll('*')].every(e => e.scrollWidth <= e.clientWidth + 1)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_pane_knows_the_flow_that_one_was_looking_at(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        enter_as(page, house, "olga")
        go(page, f"{house.url}/api_access")
        page.get_by_role("textbox", name="Search flows").fill("other 5")
        page.get_by_text("/api/v1/run/other-4").wait_for(state="detached")
        page.get_by_role("link", name="Other 5").click()
        address = page.get_by_role("button", name="Copy the address")
        address.wait_for()
        still(page)
        assert copied(page, address) == f"{house.url}/api/v1/run/other-5"
        side = page.get_by_test_id("stSidebar")
        side.get_by_role("link", name="All flows").click()
        page.wait_for_url(f"{house.url}/")
        still(page)
        side.get_by_role("link", name="API access").click()
        address.wait_for()
        still(page)
        assert page.url == f"{house.url}/api_access?flow=other-5"
