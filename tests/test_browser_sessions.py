"""The list of chats in Debian's chromium: any of them renamed, pinned and deleted, several at once, found, paged."""

from datetime import UTC, datetime, timedelta

import pytest

from flowground.settings import Settings
from flowground.store.connections import Database
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.open_page import SETTLED, Locator, Page, composer, flow_text, go, still
from tests.servers import AppServer, House
from tests.waiting import eventually

FLOWS = {name: flow_text("scripted:echo", name.title()) for name in ("many", "few")}
HOUSE = House(people={}, flows=FLOWS)


@pytest.fixture(scope="module", autouse=True)
def _said(house: AppServer) -> None:
    """Fifty chats of two years with the flow "many", and three of today with the flow "few"."""
    now = datetime.now(UTC)
    engine = Database.open(Settings.load(house.config_file).database).writer
    with engine.begin() as connection:
        for flow, names in (("many", [f"Question {n:02}" for n in range(50)]), ("few", ["First", "Second", "Third"])):
            for number, name in enumerate(names):
                at = now - (timedelta(days=10 * number) if flow == "many" else timedelta(seconds=9 - number))
                message = StoredMessage(f"{flow} {name}", "user", f"{name} with its needle{number}", "complete", at)
                turns.begin_turn(connection, flow_id=flow, owner="local:owner", session_id=name, message=message)
    engine.dispose()


def row(page: Page, name: str) -> Locator:
    return page.locator("[class*='st-key-sessions-row-']").filter(has_text=name)


def rows(page: Page) -> list[str]:
    found = still(page).locator("[class*='st-key-sessions-row-'] a").all_inner_texts()
    return [text.partition(" with")[0] for text in found]


def expect_rows(page: Page, names: list[str]) -> None:
    """At once or soon: a page that is done with its script may still be drawing."""
    eventually(lambda: rows(page) == names)


def choose(page: Page, name: str, word: str) -> None:
    """In the menu of this chat."""
    row(page, name).hover()
    row(page, name).get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=word, exact=True).click()


def open_flow(page: Page, house: AppServer, flow: str) -> Page:
    composer(go(page, f"{house.url}/playground?flow={flow}")).wait_for()
    row(page, "with its").first.wait_for()
    return still(page)


def test_all_chats_are_reached_page_by_page_and_by_a_word(house: AppServer, page: Page) -> None:
    open_flow(page, house, "many")
    expect_rows(page, [f"Question {number:02}" for number in range(40)])
    for day in ("Today", "Last 30 days", "Older"):
        page.get_by_test_id("stSidebar").get_by_text(day, exact=True).wait_for()
    page.get_by_role("button", name="Show older").click()
    row(page, "Question 49").wait_for()
    expect_rows(page, [f"Question {number:02}" for number in range(40, 50)])
    page.get_by_role("button", name="Back to the newest").click()
    row(page, "Question 00").wait_for()
    page.get_by_role("searchbox", name="Search chats").fill("NEEDLE47")
    row(page, "Question 47").wait_for()
    row(page, "Question 00").wait_for(state="detached")
    expect_rows(page, ["Question 47"])
    row(page, "Question 47").get_by_role("link").click()
    page.get_by_role("log").get_by_text("needle47").wait_for()
    assert "session=Question+47" in page.url.replace("%20", "+")


def test_a_chat_is_a_link_that_opens_beside_the_page_too_and_says_which_is_open(house: AppServer, page: Page) -> None:
    open_flow(page, house, "few")
    with page.context.expect_page() as opened:
        row(page, "Second").get_by_role("link").click(modifiers=["ControlOrMeta"])
    answered = opened.value.get_by_role("log").get_by_text("Second with its needle1")
    answered.wait_for()
    assert ("session=" in page.url, "session=Second" in opened.value.url) == (False, True)
    row(page, "Third").get_by_role("link").click()
    shown = page.get_by_test_id("stSidebar").locator("[aria-current=page]")
    shown.get_by_text("Third with its needle2").wait_for()
    page.evaluate("window.isSame = true")
    shown.click()
    assert (still(page).evaluate("window.isSame"), shown.count()) == (True, 1)
    for name in ("First", "Second", "Third"):
        assert page.get_by_role("button", name=f"More about {name}").count() == 1


def test_any_chat_is_pinned_renamed_and_deleted_without_opening_it(house: AppServer, page: Page) -> None:
    open_flow(page, house, "few")
    expect_rows(page, ["Third", "Second", "First"])
    choose(page, "First", "Pin")
    page.get_by_text("Pinned", exact=True).wait_for()
    expect_rows(page, ["First", "Third", "Second"])
    choose(page, "Second", "Rename")
    page.get_by_role("textbox", name="Title").fill("Renamed with care")
    page.get_by_role("button", name="Save").click()
    row(page, "Renamed").wait_for()
    expect_rows(page, ["First", "Third", "Renamed"])
    choose(page, "Third", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    row(page, "Third").wait_for(state="detached")
    expect_rows(page, ["First", "Renamed"])
    page.get_by_role("button", name="Select", exact=True).click()
    for name in ("First", "Renamed"):
        page.get_by_role("checkbox", name=name).wait_for()
        page.locator(".st-key-sessions-rows").get_by_text(name).click()
        page.get_by_role("checkbox", name=name, checked=True).wait_for()
        still(page)
    page.get_by_role("button", name="Delete 2 chats").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Your chats").wait_for(state="detached")
    page.wait_for_url(lambda address: "session=" not in address)


@pytest.mark.parametrize("size", [(1280, 800), (390, 700)])
def test_the_list_scrolls_by_itself_and_the_foot_stays_in_sight(
    house: AppServer, page: Page, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    go(page, f"{house.url}/playground?flow=many")
    if size[0] < 768:
        page.get_by_test_id("stExpandSidebarButton").click()
    row(page, "Question 00").wait_for()
    page.wait_for_function(SETTLED)  # while the drawer opens, its lines are narrower
    foot = page.get_by_role("link", name="Create the first account")
    assert foot.evaluate("(link) => link.getBoundingClientRect().bottom <= innerHeight")
    listed = page.locator(".st-key-sessions-rows")
    assert listed.evaluate("(list) => list.scrollHeight > list.clientHeight + 200")
    page.get_by_role("button", name="Show older").scroll_into_view_if_needed()
    assert foot.evaluate("(link) => link.getBoundingClientRect().bottom <= innerHeight")
