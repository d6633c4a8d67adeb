"""A flow's own colour, in its chat and at its shareable playground, light and dark; beside it nothing changes."""

from typing import TYPE_CHECKING

import pytest

from tests.axe import find_violations
from tests.house import PUBLIC, House
from tests.open_page import answers, composer, flow_text, go, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
WELCOME, NOTICE = "See [the rules](https://example.com).", "By [us](https://example.com)."
TEXTS = {"welcome": WELCOME, "notice": NOTICE, "starters": ["Go"]}
HOUSE = House(
    flows={
        "green": flow_text("scripted:echo", "Green", accent="#0b7a4b", **TEXTS),
        "plain": flow_text("scripted:echo", "Plain", **TEXTS),
    },
    shared={"green": PUBLIC, "plain": PUBLIC},
    config={"sharing": {"allow_public": True}},
)
GREEN, PALE_GREEN = "rgb(11, 122, 75)", "rgb(133, 188, 165)"
INDIGO, PALE_INDIGO = "rgb(79, 70, 229)", "rgb(165, 180, 252)"
NIGHT_INDIGO = "rgb(97, 100, 239)"


def read(place: "Locator", name: str) -> str:
    return str(place.evaluate("(one, name) => getComputedStyle(one)[name]", name))


@pytest.mark.parametrize(
    ("flow", "scheme", "pressed", "link"),
    [
        ("green", "light", GREEN, GREEN),
        ("green", "dark", GREEN, PALE_GREEN),
        ("plain", "light", INDIGO, INDIGO),
        ("plain", "dark", NIGHT_INDIGO, PALE_INDIGO),
    ],
)
def test_its_buttons_and_links_have_it(
    house: AppServer, browser: "Browser", axe: str, flow: str, scheme: str, pressed: str, link: str
) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        go(page, f"{house.url}/public_flow/{flow}")
        for name in ("the rules", "us"):
            assert read(page.get_by_role("link", name=name, exact=True), "color") == link
        starter = page.get_by_role("button", name="Go", exact=True)
        starter.hover()
        assert (read(starter, "borderColor"), read(starter, "color")) == (pressed, link)
        composer(page).fill("Hello")
        assert read(page.get_by_role("button", name="Send"), "backgroundColor") == pressed
        assert find_violations(page, axe) == set()
        say(page, "[there](https://example.com)")
        there = answers(page).get_by_role("link", name="there")
        there.wait_for()
        assert read(there, "color") == link
        assert find_violations(still(page), axe) == set()


def test_at_the_playground_the_chat_alone_has_it(house: AppServer, ada: "Page") -> None:
    composer(go(ada, f"{house.url}/playground?flow=green")).fill("Hello")
    assert read(ada.get_by_role("button", name="Send"), "backgroundColor") == GREEN
    assert read(ada.get_by_role("button", name="Publish"), "backgroundColor") == INDIGO
