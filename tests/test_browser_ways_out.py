"""Where a page cannot show what was asked for: what it says, in our words, and how one goes on."""

from pathlib import Path

import pytest

from tests.acme import FLOWS, enter_as
from tests.narrow import PHONE
from tests.open_page import Browser, Page, composer, go, sign_in, still, visitor
from tests.servers import PUBLIC, SHARED, AppServer, House

HOUSE = House(
    config={"organization": {"name": "Acme"}, "sharing": {"allow_public": True}},
    flows=FLOWS,
    shared={"echo": SHARED, "talk": PUBLIC},
)


@pytest.mark.parametrize("path", ["/organization", "/first_account", "/playground?flow=hidden", "/public_flow/hidden"])
def test_a_page_that_is_not_ones_own_leads_to_ones_flows(house: AppServer, page: Page, path: str) -> None:
    enter_as(page, house, "bob")
    go(page, house.url + path).get_by_role("heading", level=1, name="You don't have access to this page").wait_for()
    page.get_by_text("an admin of Acme").wait_for()
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("link", name="Your flows").click()
    page.get_by_role("link", name="Echo").wait_for()


def test_an_address_where_nothing_stands_has_the_chosen_look_and_leads_to_ones_flows(
    house: AppServer, page: Page
) -> None:
    go(enter_as(page, house, "bob"), house.url).get_by_role("radio", name="Dark").click()
    page.goto(f"{house.url}/nowhere")
    page.get_by_role("heading", level=1, name="There is no such page").wait_for()
    page.wait_for_function("document.fonts.check('15px Inter') && document.fonts.size === 1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 23)"
    page.get_by_role("link", name="Go to your flows").click()
    page.get_by_role("link", name="Echo").wait_for()


def test_somebody_else_may_sign_in_there(house: AppServer, page: Page) -> None:
    enter_as(page, house, "bob")
    go(page, f"{house.url}/public_flow/hidden").get_by_role("button", name="Sign in as somebody else").click()
    page.get_by_role("heading", level=1, name="Sign in to Acme").wait_for()


def test_the_shareable_playground_leads_to_ones_flows_and_account(house: AppServer, page: Page) -> None:
    enter_as(page, house, "bob")
    shared = f"{house.url}/public_flow/echo"
    go(page, shared).get_by_role("link", name="Account").click()
    page.get_by_role("heading", level=1, name="Bob").wait_for()
    go(page, shared).get_by_role("link", name="All flows").click()
    page.get_by_role("link", name="Echo").wait_for()


def test_the_ways_of_the_sidebar_are_as_high_as_a_finger_on_a_phone(house: AppServer, browser: Browser) -> None:
    with visitor(browser, **PHONE) as page:
        enter_as(page, house, "bob")
        for path in ("/", "/public_flow/echo"):
            go(page, house.url + path).get_by_test_id("stExpandSidebarButton").click()
            ways = page.get_by_test_id("stSidebar").get_by_role("link")
            ways.filter(has_text="Account").wait_for()
            heights = ways.evaluate_all("all => all.map(one => [one.textContent, one.getBoundingClientRect().height])")
            assert len(heights) >= 2
            assert [found for found in heights if found[1] < 44] == []


def test_who_did_not_sign_in_may_do_so_and_stays_with_the_flow(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/public_flow/talk").get_by_role("link", name="Sign in").wait_for()
    assert page.get_by_role("link", name="All flows").or_(page.get_by_role("link", name="Account")).count() == 0
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, "bob")
    composer(page).wait_for()
    page.get_by_role("heading", level=1, name="Talk").wait_for()


def test_a_server_that_is_away_is_said_until_it_is_back(page: Page, tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"]) as server:
        go(page, server.url)
        server.stop()
        said = page.get_by_role("dialog").filter(has_text="No connection")
        said.wait_for(timeout=90_000)
        assert "The server does not answer. It may be starting again" in said.inner_text()
        assert "Streamlit" not in said.inner_text()
        server.start()
        said.wait_for(state="detached", timeout=90_000)
        still(page)
