"""An organization's name, icon, colours and links on every page, a flow's own colour, and light or dark."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acme import enter_as
from tests.axe import find_violations
from tests.open_page import Browser, Locator, Page, answers, composer, flow_text, go, say, still, visitor
from tests.servers import PUBLIC, AppServer, House
from tests.waiting import eventually

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
WELCOME, NOTICE = "See [the rules](https://example.com).", "By [us](https://example.com)."
TEXTS = {"welcome": WELCOME, "notice": NOTICE, "starters": ["Go"]}
ACME = House(
    flows={
        "plain": flow_text("scripted:echo", "Plain", **TEXTS),
        "purple": flow_text("scripted:echo", "Purple", accent="#7a1fa2", **TEXTS),
    },
    shared={"plain": PUBLIC, "purple": PUBLIC},
    config={"sharing": {"allow_public": True}, "organization": BRAND},
)
WHITE, NIGHT = "rgb(255, 255, 255)", "rgb(15, 17, 23)"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder: Path = tmp_path_factory.mktemp("brand")
    (folder / "icon.svg").write_text(ICON, "utf-8")
    with ACME.open(folder) as running:
        yield running


def read(place: Locator, name: str = "backgroundColor") -> str:
    return str(place.evaluate("(one, name) => getComputedStyle(one)[name]", name))


def await_paint(page: Page, color: str) -> None:
    eventually(lambda: read(page.get_by_test_id("stApp")) == color)


def test_the_sign_in_page_is_the_organizations(house: AppServer, page: Page) -> None:
    go(page, house.url).get_by_role("heading", level=1, name=f"Sign in to {NAME}").wait_for()
    assert read(page.get_by_role("button", name="Sign in")) == "rgb(11, 122, 75)"
    assert page.get_by_role("link", name="Terms").get_attribute("href") == "https://example.com/terms"
    assert page.get_by_role("link", name="Help").get_attribute("href") == "mailto:a@example.com"
    page.locator('img[data-testid="stHeaderLogo"]').wait_for()


def test_light_or_dark_is_chosen_at_once_for_all_pages_and_tabs(house: AppServer, browser: Browser) -> None:
    with visitor(browser, color_scheme="light") as page:
        go(enter_as(page, house, "bob"), house.url)
        beside = page.context.new_page()
        go(beside, f"{house.url}/account")
        app = page.get_by_test_id("stApp")
        assert read(app) == read(beside.get_by_test_id("stApp")) == WHITE
        page.get_by_role("radio", name="Dark").click()
        await_paint(page, NIGHT)
        await_paint(beside, NIGHT)
        assert page.get_by_role("radio", name="Dark").get_attribute("aria-checked") == "true"
        beside.close()
        go(page, f"{house.url}/public_flow/plain")
        assert read(app) == NIGHT
        page.get_by_role("radio", name="Dark").press("ArrowLeft")
        await_paint(page, WHITE)
        page.get_by_role("radio", name="As the system").click()
        page.emulate_media(color_scheme="dark")
        await_paint(page, NIGHT)


def test_the_name_beside_the_icon_and_the_links_at_the_foot(house: AppServer, page: Page) -> None:
    go(page, house.url)
    enter_as(page, house, "bob")
    for path in ("/", "/public_flow/plain", "/public_flow/none"):
        logo = go(page, house.url + path).locator(":has(> img[alt='Logo'])").locator("visible=true")
        assert json.loads(logo.evaluate("one => getComputedStyle(one, '::after').content")) == NAME
        if path != "/public_flow/none":
            page.get_by_test_id("stSidebar").get_by_role("link", name="Terms").wait_for()


@pytest.mark.parametrize(
    ("flow", "scheme", "pressed", "link"),
    [
        ("purple", "light", "rgb(122, 31, 162)", "rgb(122, 31, 162)"),
        ("purple", "dark", "rgb(122, 31, 162)", "rgb(188, 143, 208)"),
        ("plain", "light", "rgb(11, 122, 75)", "rgb(11, 122, 75)"),
        ("plain", "dark", "rgb(18, 130, 79)", "rgb(136, 192, 167)"),
    ],
)
def test_a_flows_own_colour_is_in_its_chat_and_the_organizations_in_others(
    house: AppServer, browser: Browser, axe: str, flow: str, scheme: str, pressed: str, link: str
) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        go(page, f"{house.url}/public_flow/{flow}")
        for name in ("the rules", "us"):
            assert read(page.get_by_role("link", name=name, exact=True), "color") == link
        starter = page.get_by_role("button", name="Go", exact=True)
        starter.hover()
        assert (read(starter, "borderColor"), read(starter, "color")) == (pressed, link)
        composer(page).fill("Hello")
        assert read(page.get_by_role("button", name="Send")) == pressed
        assert find_violations(page, axe) == set()
        say(page, "[there](https://example.com)")
        there = answers(page).get_by_role("link", name="there")
        there.wait_for()
        assert read(there, "color") == link
        assert find_violations(still(page), axe) == set()
