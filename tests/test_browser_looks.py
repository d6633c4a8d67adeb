"""What stands beside something stands in line with it, and what can be chosen is seen, light and dark."""

from typing import TYPE_CHECKING

import pytest

from flowground.yaml_file.colors import measure_contrast
from tests.acme import ACME, enter_as, switch
from tests.open_page import go, open_menu, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
HOUSE = ACME
PAINT = """one => {
  const [paper, ink] = [document.createElement("canvas"), getComputedStyle(one).borderTopColor];
  const brush = paper.getContext("2d");
  let ground = one;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  const read = () => "#" + [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3)
    .map((part) => part.toString(16).padStart(2, "0")).join("");
  const paint = (color) => { brush.fillStyle = color; brush.fillRect(0, 0, 1, 1); return read(); };
  return [paint(getComputedStyle(ground).backgroundColor), paint(ink)];
}"""
"""The ground on which an element stands and the colour of its border, as they are seen."""


def find_middle(place: "Locator") -> float:
    box = place.bounding_box()
    assert box
    return box["y"] + box["height"] / 2


def test_the_picture_of_a_card_stands_beside_its_name(house: AppServer, ada: "Page") -> None:
    card = go(ada, house.url).locator(".st-key-card-echo")
    assert abs(find_middle(card.locator(".fg-picture")) - find_middle(card.get_by_text("Echo", exact=True))) <= 1


def test_the_entries_of_publish_begin_in_one_line(house: AppServer, ada: "Page") -> None:
    switch(ada, house, "echo", on=True)
    menu = open_menu(ada.get_by_role("button", name="Publish"))
    entries = [
        *(menu.get_by_role("button", name=name) for name in ("API access", "Copy link")),
        *(menu.get_by_role("link", name=name) for name in ("Feedback", "View as a member")),
        menu.get_by_test_id("stCheckbox"),
    ]
    places = [entry.bounding_box() for entry in entries]
    padding = [float(str(entry.evaluate("one => parseFloat(getComputedStyle(one).paddingLeft)"))) for entry in entries]
    lefts = [box["x"] for box in places if box]
    assert len(lefts) == len(entries)
    assert max(lefts) - min(lefts) <= 1
    assert padding[0] == padding[2] == padding[3] == padding[4]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_not_chosen_is_seen(house: AppServer, browser: "Browser", scheme: str) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        enter_as(page, house, "augusta")
        switch(page, house, "echo", on=True)
        open_menu(page.get_by_role("button", name="Publish")).get_by_role("button", name="Who can open it").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Save").wait_for()
        other = dialog.get_by_test_id("stRadioOption").filter(has_text="People and groups").locator("> div > div").first
        box = dialog.get_by_test_id("stCheckbox").filter(has_text="Share the API too").locator("label > div").first
        for place in (other, box):
            ground, line = place.evaluate(PAINT)
            assert measure_contrast(ground, line) >= 3


def test_the_api_pane_names_its_flow(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/playground?flow=talk").get_by_role("button", name="API access").click()
    ada.get_by_role("dialog", name="API access · Talk").wait_for()
