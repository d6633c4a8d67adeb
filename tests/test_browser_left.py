"""What is left of one's limits, as a person sees it before it is reached, and what a page says when it is."""

from typing import TYPE_CHECKING

import pytest

from tests.house import SHARED, House
from tests.open_page import answers, composer, go, say, sign_in, still
from tests.people import PEOPLE
from tests.running import chat_flow
from tests.servers import AppServer
from tests.test_limits_each import PRICES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
LIMITS = {
    "person": {"runs_per_minute": 9, "tokens_per_day": 8, "money_per_day": 20, "stored_bytes": 10_000_000},
    "flow": {"runs_per_minute": 50},
}
HOUSE = House(
    config={"limits": LIMITS, "prices": PRICES},
    flows={"talk": chat_flow("scripted:echo", "Talk")},
    shared={"talk": SHARED},
)


def test_what_is_left_is_seen_before_it_is_reached(house: AppServer, page: "Page") -> None:
    name = sorted(PEOPLE)[0]
    go(page, f"{house.url}/playground?flow=talk")
    sign_in(page, name)
    say(page, "hi")
    answers(page).get_by_text("You said: hi").wait_for()
    answers(page).get_by_role("button", name="Copy", exact=True).wait_for()  # it has its end, and is counted
    go(page, f"{house.url}/account")
    left = page.locator(".st-key-account-left")
    left.get_by_text("4 of 8 tokens today, all of it again at 00:00 UTC, in").wait_for()
    left.get_by_text("8 of 9 runs this minute, all of it again in").wait_for()
    left.get_by_text("19.75 of 20.00 EUR today").wait_for()
    left.get_by_text("10 MB of 10 MB for the text of conversations").wait_for()
    go(page, f"{house.url}/api_access?flow=talk")
    page.get_by_text("Left for you: 8 of 9 runs this minute · 4 of 8 tokens today").wait_for()
    page.get_by_text("For this flow: 49 of 50 runs this minute.").wait_for()


def test_a_day_that_is_used_up_is_said_with_its_time_and_nothing_is_lost(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=talk")
    sign_in(page, sorted(PEOPLE)[0])
    say(page, "hi")
    answers(page).get_by_text("You said: hi").wait_for()
    answers(page).get_by_role("button", name="Copy", exact=True).wait_for()  # it has its end, and is counted
    say(page, "what I typed")
    page.get_by_text("You have used the 8 tokens that you may use a day; the limit resets at 00:00 UTC, in").wait_for()
    assert composer(still(page)).input_value() == "what I typed"
