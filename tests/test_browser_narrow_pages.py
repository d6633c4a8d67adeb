"""At 390 px no page, no menu and no dialog goes over the side."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import ADMINS_PAGES, FLOWS, enter_as
from tests.house import PUBLIC, House
from tests.narrow import find_wide
from tests.open_page import go, open_menu, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
CONFIG = {"organization": {"name": "Acme"}, "sharing": {"allow_public": True}}
HOUSE = House(flows=FLOWS, shared={"echo": PUBLIC}, config=CONFIG)
PAGES: list[tuple[str | None, str]] = [
    (None, path) for path in ("/", "/join?invitation=unknown", "/public_flow/echo", "/public_flow/hidden")
]
PAGES += [("augusta", path) for path in ADMINS_PAGES]


@pytest.mark.parametrize(("who", "path"), PAGES)
def test_no_page_goes_over_the_side(house: AppServer, phone: "Page", who: str | None, path: str) -> None:
    if who:
        enter_as(phone, house, who)
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
