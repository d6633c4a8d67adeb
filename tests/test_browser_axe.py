"""No page of ours has what axe-core calls a violation, with its menus and dialogs open, in light and in dark; and on a
phone none goes over the side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acme import ADMINS_PAGES, FLOWS, enter_as
from tests.axe import find_ours
from tests.narrow import PHONE, find_wide
from tests.open_page import Browser, Page, composer, go, open_menu, say, still, visitor
from tests.servers import PUBLIC, AppServer, House

LINKS = [{"title": "Terms", "url": "https://example.com/terms"}]
HOUSE = House(
    flows=FLOWS,
    shared={"echo": PUBLIC},
    config={"organization": {"name": "Acme", "links": LINKS}, "sharing": {"allow_public": True}},
)


@pytest.fixture(params=[{"viewport": {"width": 1280, "height": 844}}, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    with visitor(browser, **request.param) as opened:
        yield opened


def check(page: Page, axe: str, what: str = "") -> None:
    assert find_ours(page, axe) == set(), what
    if page.viewport_size == PHONE["viewport"]:
        assert find_wide(page) == [], what


def check_tabs(page: Page, axe: str, least: int = 0) -> None:
    tabs = page.get_by_role("tab").all()
    assert len(tabs) >= least
    for tab in tabs:
        tab.click()
        page.get_by_role("tabpanel").filter(visible=True).first.wait_for()
        check(still(page), axe, tab.inner_text())


@pytest.mark.parametrize("who", ["", "bob"])
def test_pages_before_the_sign_in_and_without_rights(house: AppServer, page: Page, axe: str, who: str) -> None:
    if who:
        enter_as(page, house, who)
    for path in ("/", "/join?invitation=unknown", "/public_flow/echo", "/public_flow/hidden"):
        go(page, house.url + path).get_by_role("heading", level=1).first.wait_for()
        check(page, axe, path)
    page.goto(f"{house.url}/nowhere")
    check(page, axe)


@pytest.mark.parametrize("path", [*ADMINS_PAGES, "/first_account"])
def test_pages_of_an_admin(house: AppServer, page: Page, axe: str, path: str) -> None:
    go(enter_as(page, house, "augusta"), house.url + path).get_by_role("heading", level=1).first.wait_for()
    page.wait_for_load_state("networkidle")
    check(page, axe)
    check_tabs(page, axe, 2 if path in ("/organization", "/api_access?flow=echo") else 0)


def test_menus_dialogs_and_the_sidebar(house: AppServer, page: Page, axe: str) -> None:
    address = f"{house.url}/playground?flow=echo"
    composer(go(enter_as(page, house, "augusta"), address)).wait_for()
    if page.get_by_test_id("stExpandSidebarButton").is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_test_id("stSidebar").get_by_role("button", name="New chat").wait_for()
    check(still(page), axe, "sidebar")
    menu = open_menu(go(page, address).get_by_role("button", name="Publish"))
    menu.get_by_role("switch").wait_for()
    check(still(page), axe, "Publish")
    menu.get_by_role("button", name="Who can open it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").wait_for()
    check(still(page), axe, "Who can open it")
    dialog.get_by_text("People and groups").click()
    dialog.get_by_text("2 people can open it").wait_for()
    check(still(page), axe, "People and groups")
    go(page, f"{house.url}/organization").get_by_role("button", name="Invite somebody").click()
    dialog.get_by_role("textbox", name="User name").wait_for()
    check(still(page), axe, "Invite somebody")


def test_the_api_pane_versions_and_the_editor_of_a_question(house: AppServer, page: Page, axe: str) -> None:
    say(go(enter_as(page, house, "augusta"), f"{house.url}/playground?flow=echo"), "Hello")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("group", name="Version 2 of 2").wait_for()
    check(still(page), axe, "Versions")
    page.get_by_role("button", name="Edit", exact=True).press("Enter")
    page.get_by_role("textbox", name="Edit your message").wait_for()
    check(page, axe, "Edit")
    page.get_by_role("button", name="API access").click()
    page.get_by_role("tab", name="Temporary overrides").wait_for()
    check_tabs(still(page), axe, 4)


def test_the_first_account(tmp_path: Path, page: Page, axe: str) -> None:
    with AppServer(tmp_path, flows=[]) as server:
        go(page, f"{server.url}/first_account").get_by_role("heading", level=1).wait_for()
        check(page, axe)
