"""A message that is not taken, as a person meets it: what they wrote is still there."""

from typing import TYPE_CHECKING

import pytest

from tests.house import House
from tests.open_page import answers, go, say, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
TEXT = "It took me a while\nto write this."


HOUSE = House(people={}, config={"limits": {"runs_per_minute": 2, "message_chars": 100}}, flows=["echo", "summarizer"])


def composer(page: "Page") -> str:
    return still(page).get_by_test_id("stChatInputTextArea").input_value()


def test_what_was_written_is_still_there(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=echo")
    say(page, "x" * 101)
    page.get_by_text("The message has 101 characters").wait_for()
    assert composer(page) == "x" * 101
    say(page, "a shorter one")  # the one that was too long counts too: it was let in
    answers(page).get_by_text("a shorter one").wait_for()
    assert composer(page) == ""
    say(page, TEXT)
    page.get_by_text("You can send the next message in").wait_for()
    assert composer(page) == TEXT
    page.get_by_role("button", name="New chat").click()
    page.get_by_text("Whatever you write comes back.").wait_for()
    assert composer(page) == ""
    go(page, f"{house.url}/playground?flow=summarizer")
    area = page.get_by_role("textbox", name="Text")
    area.fill(TEXT)
    for _ in range(2):
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_text("You can send the next message in").wait_for()
        assert still(page).get_by_role("textbox", name="Text").input_value() == TEXT
