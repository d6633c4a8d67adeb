"""One's chats on a phone: found, pinned, shared and told apart from those of others."""

from collections.abc import Iterator

import pytest

from tests.acme import enter_as
from tests.narrow import PHONE
from tests.open_page import Browser, Locator, Page, answers, ask, choose, expect_count, flow_text, go, still, visitor
from tests.servers import SHARED, AppServer, House
from tests.test_browser_phone import open_drawer

NAMES = {"support": "Support", "handbook": "Handbook"}
HOUSE = House(
    flows={flow: flow_text("scripted:echo", name) for flow, name in NAMES.items()},
    shared=dict.fromkeys(NAMES, SHARED),
)
RECENT = ".st-key-home-recent a"


@pytest.fixture(scope="module")
def bob(house: AppServer, browser: Browser) -> Iterator[Page]:
    """Has a chat with the handbook, and then six with the support."""
    with visitor(browser, **PHONE) as page:
        begin_chat(enter_as(page, house, "bob"), house, "handbook", "How many holidays")
        for number in range(6):
            begin_chat(page, house, "support", f"Parcel {number}")
        yield page


def begin_chat(page: Page, house: AppServer, flow: str, text: str) -> None:
    ask(go(page, f"{house.url}/playground?flow={flow}"), text)


def open_chat_menu(page: Page) -> Locator:
    return page.get_by_role("button", name="More for this chat")


def list_recent(page: Page) -> list[str]:
    return [text.replace("\n", " ") for text in page.locator(RECENT).all_inner_texts()]


def test_a_search_says_whose_chats_it_searches_and_what_other_flows_have(house: AppServer, bob: Page) -> None:
    side = bob.get_by_test_id("stSidebar")
    go(bob, f"{house.url}/playground?flow=handbook")
    expect_count(side.get_by_role("searchbox"), 1)  # from the first chat on: nothing moves at the second
    go(bob, f"{house.url}/playground?flow=support")
    open_drawer(bob).get_by_text("Your chats").wait_for()
    field = side.get_by_role("searchbox", name="Search chats")
    field.fill("nowhere")
    side.get_by_text("No results in chats with Support.").wait_for()
    assert still(bob).get_by_text("With other flows").count() == 0
    field.fill("HOLIDAYS")
    side.get_by_role("link", name="How many holidays Handbook").tap()
    answers(bob).get_by_text("You said: How many holidays").wait_for()


def test_home_shows_pinned_chats_first_and_older_ones_when_asked(house: AppServer, bob: Page) -> None:
    go(bob, f"{house.url}/playground?flow=handbook")
    open_drawer(bob).locator("[class*='st-key-sessions-row-'] a").first.tap()
    answers(bob).get_by_text("You said: How many holidays").wait_for()
    choose(open_chat_menu(still(bob)), "Pin")
    open_drawer(still(bob)).get_by_text("Pinned", exact=True).wait_for()
    go(bob, house.url).get_by_role("heading", name="Recent chats").wait_for()
    expect_count(bob.locator(RECENT), 5)
    recent = list_recent(bob)
    assert [text.partition(" Support")[0].partition(" Pinned · Handbook")[0] for text in recent] == [
        "How many holidays",
        *(f"Parcel {number}" for number in (5, 4, 3, 2)),
    ]
    assert recent[0].startswith("How many holidays Pinned · Handbook · ")
    bob.get_by_role("button", name="Show older chats").tap()
    bob.get_by_role("link", name="Parcel 0").wait_for()
    expect_count(bob.locator(RECENT), 7)
    expect_count(bob.get_by_role("button", name="Show older chats"), 0)


def test_that_a_flow_is_shared_is_told_to_who_may_publish_it(house: AppServer, bob: Page, ada: Page) -> None:
    go(bob, f"{house.url}/playground?flow=support").get_by_role("heading", name="Support").wait_for()
    assert "Shared" not in still(bob).get_by_test_id("stMain").inner_text()
    go(ada, f"{house.url}/playground?flow=support").get_by_text("Shared with your organization").first.hover()
    ada.get_by_text("Nobody sees your chats with it").wait_for()


def test_a_revoked_link_is_said_to_work_no_longer(house: AppServer, bob: Page) -> None:
    begin_chat(bob, house, "support", "Shared for a moment")
    choose(open_chat_menu(bob), "Share")
    dialog = bob.get_by_role("dialog", name="Share this chat")
    dialog.get_by_text("A link that you create now works until midnight at the end of").wait_for()
    dialog.get_by_role("button", name="Create link").tap()
    dialog.get_by_text("This link works only on this computer.").wait_for()
    dialog.get_by_role("button", name="Revoke").tap()
    bob.get_by_text("The link no longer works.").wait_for()
    dialog.get_by_role("button", name="Create link", exact=True).wait_for()
