"""What stands beside something stands in line with it, and what can be chosen is seen, light and dark."""

from typing import TYPE_CHECKING

import pytest

from flowground.yaml_file.colors import measure_contrast
from tests.acme import FLOWS, enter_as, switch
from tests.house import SHARED, House
from tests.narrow import PHONE
from tests.open_page import answers, expect_count, flow_text, go, open_menu, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
LONG = "Customer support for the north and the islands"
HOUSE = House(
    config={"organization": {"name": "Acme"}},
    flows=FLOWS | {"long": flow_text("scripted:echo", LONG, icon="✦")},
    shared={"long": SHARED},
)
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
LETTERS = PAINT.replace(".borderTopColor", ".color")
"""The same of its letters."""
LOGO_ENDS, ROOM = 43, 27
"""Of the bar on top of a phone's page, in pixels; and what may be free below it."""


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


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["/playground?flow=long", "/public_flow/long"])
def test_a_chat_is_named_once_and_its_head_stays_where_it_is(
    house: AppServer, browser: "Browser", path: str, width: int
) -> None:
    with visitor(browser, viewport={"width": width, "height": 844}) as page:
        enter_as(page, house, "augusta")
        go(page, house.url + path).get_by_text("What would you like to ask?").wait_for()
        main = page.get_by_test_id("stMain")
        head = main.get_by_role("heading", level=1)
        for part in (LONG, "✦"):
            expect_count(main.get_by_text(part).locator("visible=true"), 1)
        assert head.inner_text() == f"✦ {LONG}"
        before = find_middle(head)
        say(page, "Good morning")
        answers(page).get_by_text("You said: Good morning").wait_for()
        still(page)
        assert find_middle(head) == before


@pytest.mark.parametrize(
    ("who", "path"),
    [
        *(
            ("augusta", path)
            for path in ("/", "/playground?flow=echo", "/feedback?flow=echo", "/organization", "/account")
        ),
        *(("bob", path) for path in ("/public_flow/hidden", "/organization", "/public_flow/long")),
    ],
)
def test_on_a_phone_a_page_begins_below_the_bar(house: AppServer, browser: "Browser", who: str, path: str) -> None:
    with visitor(browser, **PHONE) as page:
        enter_as(page, house, who)
        main = go(page, house.url + path).get_by_test_id("stMain")
        main.get_by_role("heading", level=1).first.wait_for()
        parts = main.get_by_test_id("stVerticalBlock").first.locator("> *")
        first = parts.locator("visible=true").first.bounding_box()
        assert first
        assert LOGO_ENDS + 6 <= first["y"] <= LOGO_ENDS + ROOM


def test_on_a_phone_the_title_of_a_sheet_is_one_line(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, **PHONE) as page:
        enter_as(page, house, "augusta")
        go(page, f"{house.url}/playground?flow=long").get_by_role("button", name="API access").click()
        sheet = page.get_by_role("dialog", name=f"API access · {LONG}")
        title = sheet.get_by_role("heading", name="API access").locator("p")
        lines = title.evaluate(
            "one => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight)"
        )
        assert 0.9 <= lines <= 1.1
        box, way_out = title.bounding_box(), sheet.get_by_role("button", name="Close").bounding_box()
        assert box
        assert way_out
        assert box["x"] + box["width"] <= way_out["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_open_tab_stands_out(house: AppServer, browser: "Browser", scheme: str) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        enter_as(page, house, "augusta")
        tabs = go(page, f"{house.url}/organization").get_by_role("tab")
        expect_count(tabs, 4)
        chosen, *others = [measure_contrast(*tab.locator("p").evaluate(LETTERS)) for tab in tabs.all()]
        assert tabs.first.get_attribute("aria-selected") == "true"
        assert chosen >= 6
        assert min(others) >= 4.5
        line = tabs.first.locator("> div").last.evaluate("one => getComputedStyle(one).backgroundColor")
        assert line != tabs.first.locator("> div").first.evaluate("one => getComputedStyle(one).backgroundColor")


def test_on_a_phone_the_logo_and_a_chats_buttons_have_room(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, **PHONE) as page:
        enter_as(page, house, "augusta")
        say(go(page, f"{house.url}/playground?flow=long"), "Good morning")
        page.get_by_role("button", name="More for this chat").wait_for()
        logo = still(page).get_by_test_id("stHeaderLogo").bounding_box()
        button = page.get_by_role("button", name="API access").bounding_box()
        assert logo
        assert button
        assert logo["x"] + logo["width"] + 8 <= button["x"]
