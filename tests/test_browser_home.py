"""Home in Debian's chromium: found by a word, opened by the whole card, by keyboard too; a page of cards at a time."""

import re

import pytest

from tests.acme import enter_as
from tests.open_page import Page, ask, expect_count, flow_text, go, still
from tests.servers import SHARED, AppServer, House
from tests.waiting import eventually

FLOWS = {
    **{f"flow-{number:02}": flow_text("scripted:echo", f"Flow {number:02}") for number in range(30)},
    "zurich": "description: Knows every tram.\nowners: [olga]\n"
    + flow_text("scripted:echo", "Zürich").replace("type: LanguageModel", "type: LanguageModelComponent"),
    "broken": "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n",
}
HOUSE = House(config={"organization": {"name": "Acme"}}, flows=FLOWS, shared={"zurich": SHARED})


def cards(page: Page) -> list[str]:
    found = still(page).locator("[class*='st-key-card-']").get_by_role("link").all_inner_texts()
    return [text.strip() for text in found]


def test_a_word_finds_a_card_of_which_all_opens_it_and_which_is_one_stop_for_the_keyboard(
    house: AppServer, ada: Page
) -> None:
    go(ada, house.url).get_by_text("31 flows").wait_for()
    ada.locator("[class*='st-key-card-']").get_by_role("link").nth(23).wait_for()
    eventually(lambda: len(cards(ada)) == 24)
    search = ada.get_by_role("searchbox", name="Search flows and chats")
    search.fill("ZURICH tram")
    ada.get_by_text("1 flow", exact=True).wait_for()
    eventually(lambda: cards(ada) == ["Zürich"])  # a page that is done with its script may still be drawing
    told = ada.locator(".st-key-card-zurich").inner_text()
    assert "By Olga" in told
    assert "Shared with your organization" in told
    search.fill("nothing like it")
    ada.get_by_text("No flow has").wait_for()
    go(ada, house.url).get_by_text("31 flows").wait_for()
    first, second = (ada.locator(f".st-key-card-flow-0{number}") for number in (0, 1))
    first.get_by_role("link").focus()
    ada.keyboard.press("Tab")
    assert second.get_by_role("link").evaluate("(link) => link === document.activeElement")
    box = second.bounding_box()
    assert box
    ada.mouse.click(box["x"] + box["width"] - 12, box["y"] + box["height"] - 8)
    ada.wait_for_url(re.compile(r"/playground\?flow=flow-01"))


def test_mistakes_stand_above_everything_and_only_for_who_sees_the_inside(
    house: AppServer, ada: Page, page: Page
) -> None:
    go(ada, house.url).get_by_text("1 file needs a correction").click()
    ada.get_by_text("line 3, column 14").wait_for()
    ada.get_by_text("Did you mean").wait_for()
    ada.get_by_text("1 file has a warning").click()
    ada.get_by_text("is an old word for").wait_for()
    bob = go(enter_as(page, house, "bob"), house.url)
    bob.get_by_text("Zürich").wait_for()
    text = still(bob).get_by_test_id("stMain").inner_text()
    assert cards(bob) == ["Zürich"]
    assert "1 flow\n" in text
    assert [word for word in ("correction", "warning", "31", "Shared with", "echo") if word in text] == []


LONG = "What is paid for a hotel in Lyon when the fair is on and every room of the town is taken by somebody else"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_recent_chat_is_a_line_that_ends_in_dots_with_a_name_of_its_own(
    house: AppServer, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    ask(go(enter_as(page, house, "olga"), f"{house.url}/playground?flow=zurich"), LONG)
    link = go(page, house.url).locator(".st-key-home-recent").get_by_role("link").first
    title = link.locator("strong")
    assert width > 500 or title.evaluate("one => one.scrollWidth > one.clientWidth")
    assert title.evaluate("one => getComputedStyle(one).textOverflow") == "ellipsis"
    outer, inner = link.bounding_box(), link.get_by_text("Zürich").bounding_box()
    assert outer
    assert inner
    assert inner["x"] + inner["width"] <= outer["x"] + outer["width"] <= width
    assert outer["height"] >= (44 if width < 500 else 32)
    page.get_by_role("link", name=re.compile("^What is paid .* Zürich · ")).first.wait_for()
    expect_count(page.get_by_role("link", name="Zürich", exact=True), 1)
