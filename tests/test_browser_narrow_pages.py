"""At 390 px no page, no menu and no dialog goes over the side."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import ADMINS_PAGES, FLOWS, enter_as
from tests.house import PUBLIC, House
from tests.narrow import PHONE, find_wide
from tests.open_page import go, open_menu, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
HOUSE = House(
    flows=FLOWS,
    shared={"echo": PUBLIC},
    config={"organization": {"name": "Acme"}, "sharing": {"allow_public": True}},
)
OUTSIDERS = ["/", "/join?invitation=unknown", "/public_flow/echo", "/public_flow/hidden"]


@pytest.fixture
def phone(browser: "Browser") -> "Iterator[Page]":
    with visitor(browser, **PHONE) as opened:
        yield opened


@pytest.mark.parametrize("path", OUTSIDERS)
def test_no_page_of_somebody_outside_goes_over_the_side(house: AppServer, phone: "Page", path: str) -> None:
    go(phone, house.url + path).get_by_role("heading", level=1).first.wait_for()
    assert find_wide(phone) == []


@pytest.mark.parametrize("path", ADMINS_PAGES)
def test_no_page_of_an_admin_goes_over_the_side(house: AppServer, phone: "Page", path: str) -> None:
    enter_as(phone, house, "augusta")
    go(phone, house.url + path).get_by_role("heading", level=1).first.wait_for()
    assert find_wide(phone) == []
    for tab in phone.get_by_role("tab").all():
        tab.click()
        assert find_wide(still(phone)) == [], tab.inner_text()


def test_no_menu_and_no_dialog_goes_over_the_side(house: AppServer, phone: "Page") -> None:
    enter_as(phone, house, "augusta")
    go(phone, f"{house.url}/playground?flow=echo")
    menu = open_menu(phone.get_by_role("button", name="Publish"))
    assert find_wide(phone) == []
    menu.get_by_role("button", name="Who can open it").click()
    phone.get_by_role("dialog").get_by_role("button", name="Save").wait_for()
    assert find_wide(still(phone)) == []
    go(phone, f"{house.url}/playground?flow=echo").get_by_role("button", name="API access").click()
    pane = phone.get_by_role("dialog")
    pane.get_by_role("tab", name="Python").wait_for()
    for tab in pane.get_by_role("tab").all():
        tab.click()
        assert find_wide(still(phone)) == [], tab.inner_text()
