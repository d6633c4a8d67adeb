"""The way to a first API call in Debian's chromium, in local mode and in an organization, on a telephone too."""

import pytest

from tests.acme import enter_as
from tests.api_pane import FLOW, copied, export_line
from tests.api_pane import code_of as find_code
from tests.open_page import Browser, Page, fill, flow_text, go, open_menu, still, visitor
from tests.servers import AppServer, House
from tests.test_local_mode import code_of

OTHERS = {f"other-{number}": flow_text("scripted:echo", f"Other {number}") for number in range(8)}
HOUSE = House(flows={"talk": FLOW} | OTHERS)
CLIPBOARD = ["clipboard-read", "clipboard-write"]


def give_code(page: Page, code: str) -> None:
    fill(page, Owner_code=code)
    page.get_by_role("button", name="Continue").click()


SCROLLING = """() => [...document.querySelectorAll('[data-testid="stMain"] *')].filter((part) =>
  /auto|scroll/.test(getComputedStyle(part).overflowY) && part.clientHeight && part.scrollHeight > part.clientHeight)
  .map((part) => part.className)"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_but_the_page_scrolls_and_the_way_to_the_code_is_in_order(
    server: AppServer, browser: Browser, width: int
) -> None:
    with visitor(browser, viewport={"width": width, "height": 844}) as page:
        go(page, f"{server.url}/api_access?flow=echo")
        give_code(page, code_of(server))
        fill(page, Name="my laptop")
        page.get_by_role("button", name="Make a token").click()
        page.get_by_text("Echo only · sees answers").first.wait_for()
        assert still(page).evaluate(SCROLLING) == []
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
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        row = page.locator('[class*="st-key-tokens-row-"]').filter(has_text="my laptop").first
        question = open_menu(row.get_by_role("button", name="Revoke"))
        question.get_by_text("Revoke “my laptop”?").wait_for()
        question.get_by_role("button", name="Revoke", exact=True).click()
        export_line(page.locator("body")).filter(has_text="YOUR_TOKEN").wait_for()


def test_on_a_telephone_the_new_token_is_where_one_looks_and_all_is_copied_by_touch(
    house: AppServer, browser: Browser
) -> None:
    with visitor(browser, viewport={"width": 390, "height": 844}, has_touch=True, permissions=CLIPBOARD) as page:
        go(enter_as(page, house, "olga"), f"{house.url}/api_access?flow=talk")
        fill(page, Name="from a telephone")
        page.get_by_role("button", name="Make a token").tap()
        page.get_by_text("Your new token").wait_for()
        button = still(page).get_by_role("button", name="Copy the token")
        box, made = button.bounding_box(), page.get_by_role("button", name="Make a token").bounding_box()
        assert box
        assert made
        assert 0 < box["y"] - made["y"] < 400  # the form, and the token below it
        assert box["height"] >= 44
        button.tap()
        button.get_by_text("Copied", exact=True).wait_for()
        assert button.bounding_box() == box
        line = export_line(page.locator("body"))
        assert page.evaluate("navigator.clipboard.readText()") == line.inner_text().strip().partition("=")[2]
        code = find_code(page.locator("body"), "Python")
        code.wait_for()
        for part in (code, code.locator("pre"), line):
            assert part.evaluate("one => one.getBoundingClientRect().right") <= 390
        assert code.evaluate("block => [...block.querySelectorAll('*')].every(e => e.scrollWidth <= e.clientWidth + 1)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_pane_knows_the_flow_that_one_was_looking_at(house: AppServer, browser: Browser) -> None:
    with visitor(browser, permissions=CLIPBOARD) as page:
        go(enter_as(page, house, "olga"), f"{house.url}/api_access")
        page.get_by_role("searchbox", name="Search flows").fill("other 5")
        page.get_by_text("/api/v1/run/other-4").wait_for(state="detached")
        page.get_by_role("link", name="Other 5").click()
        address = page.get_by_role("button", name="Copy the address")
        address.wait_for()
        assert copied(still(page), address) == f"{house.url}/api/v1/run/other-5?shape=simple"
        side = page.get_by_test_id("stSidebar")
        side.get_by_role("link", name="All flows").click()
        page.wait_for_url(f"{house.url}/")
        still(page)
        side.get_by_role("link", name="API access").click()
        address.wait_for()
        assert still(page).url == f"{house.url}/api_access?flow=other-5"
