"""An organization's name, icon, colours and links on every page, and the choice of light or dark."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acme import enter_as
from tests.house import PUBLIC, House
from tests.open_page import flow_text, go, visitor
from tests.servers import AppServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><circle cx="32" cy="32" r="30" fill="#0b7a4b"/></svg>'
)
NAME = 'Acme </style> & "Alps"\\'
BRAND = {
    "name": NAME,
    "icon": "icon.svg",
    "colors": {"light": {"primary": "#0b7a4b"}, "dark": {"primary": "#12824f"}},
    "links": [{"title": "Terms", "url": "https://example.com/terms"}, {"title": "Help", "url": "mailto:a@example.com"}],
}
ACME = House(
    flows={"echo": flow_text("scripted:echo", "Echo")},
    shared={"echo": PUBLIC},
    config={"sharing": {"allow_public": True}, "organization": BRAND},
)
WHITE, NIGHT = "rgb(255, 255, 255)", "rgb(15, 17, 23)"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder: Path = tmp_path_factory.mktemp("brand")
    (folder / "icon.svg").write_text(ICON, "utf-8")
    with ACME.open(folder) as running:
        yield running


def read_paint(place: "Locator") -> str:
    return str(place.evaluate("element => getComputedStyle(element).backgroundColor"))


def await_paint(page: "Page", color: str) -> None:
    eventually(lambda: read_paint(page.get_by_test_id("stApp")) == color)


def test_the_sign_in_page_is_the_organizations(house: AppServer, page: "Page") -> None:
    go(page, house.url).get_by_role("heading", level=1, name=f"Sign in to {NAME}").wait_for()
    assert read_paint(page.get_by_role("button", name="Sign in")) == "rgb(11, 122, 75)"
    assert page.get_by_role("link", name="Terms").get_attribute("href") == "https://example.com/terms"
    assert page.get_by_role("link", name="Help").get_attribute("href") == "mailto:a@example.com"
    page.locator('img[data-testid="stHeaderLogo"]').wait_for()


def test_light_or_dark_is_chosen_at_once_for_all_pages_and_tabs(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, color_scheme="light") as page:
        go(enter_as(page, house, "bob"), house.url)
        beside = page.context.new_page()
        go(beside, f"{house.url}/account")
        app = page.get_by_test_id("stApp")
        assert read_paint(app) == read_paint(beside.get_by_test_id("stApp")) == WHITE
        page.get_by_role("radio", name="Dark").click()
        await_paint(page, NIGHT)
        await_paint(beside, NIGHT)
        assert page.get_by_role("radio", name="Dark").get_attribute("aria-checked") == "true"
        beside.close()
        go(page, f"{house.url}/public_flow/echo")
        assert read_paint(app) == NIGHT
        page.get_by_role("radio", name="Dark").press("ArrowLeft")
        await_paint(page, WHITE)
        page.get_by_role("radio", name="As the system").click()
        page.emulate_media(color_scheme="dark")
        await_paint(page, NIGHT)


def test_the_name_beside_the_icon_and_the_links_at_the_foot(house: AppServer, page: "Page") -> None:
    go(page, house.url)
    enter_as(page, house, "bob")
    for path in ("/", "/public_flow/echo", "/public_flow/none"):
        logo = go(page, house.url + path).locator(":has(> img[alt='Logo'])").locator("visible=true")
        assert json.loads(logo.evaluate("one => getComputedStyle(one, '::after').content")) == NAME
        if path != "/public_flow/none":
            page.get_by_test_id("stSidebar").get_by_role("link", name="Terms").wait_for()


@pytest.mark.parametrize(("scheme", "color"), [("light", "rgb(11, 122, 75)"), ("dark", "rgb(18, 130, 79)")])
def test_a_missing_page_has_the_organizations_colour(
    house: AppServer, browser: "Browser", scheme: Any, color: str
) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        page.goto(f"{house.url}/nowhere")
        assert read_paint(page.get_by_role("link", name="Go to your flows")) == color
