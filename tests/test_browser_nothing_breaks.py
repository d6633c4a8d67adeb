"""What went wrong for people at a chat once, in Debian's chromium: none of it comes back."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.house import House
from tests.open_page import answers, composer, expect_count, flow_text, go, messages, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
FLOWS = {
    "echo": flow_text("scripted:echo", "Echo"),
    "slow": flow_text("scripted:slow", "Slow"),
    "long": flow_text("scripted:long", "Long"),
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "nothing": flow_text("mute:echo", "Nothing"),
}
HOUSE = House(
    people={},
    config={"providers": {"mute": {"type": "scripted", "pieces": [""]}}, "limits": {"message_chars": 200}},
    flows=FLOWS,
)


def test_on_a_phone_the_sidebar_closes_on_choice_and_does_not_come_back(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, viewport=PHONE) as page:
        go(page, f"{house.url}/playground?flow=echo")
        say(page, "the first chat")
        answers(page).get_by_text("You said: the first chat").wait_for()
        still(page)
        page.get_by_test_id("stExpandSidebarButton").click()
        side = page.get_by_test_id("stSidebar")
        side.get_by_role("button", name="New chat").click()
        page.get_by_text("What would you like to ask?").wait_for()
        page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0")
        page.get_by_test_id("stExpandSidebarButton").click()
        page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().left >= 0")
        page.reload()
        composer(still(page)).wait_for()
        page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0")


def test_a_double_click_on_send_is_one_message_and_no_stop(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=slow")
    composer(page).fill("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    page.get_by_role("button", name="Send").dblclick(delay=40)
    answers(page).get_by_text("x y z").wait_for()
    still(page)
    expect_count(messages(page), 2)
    assert "Stopped" not in answers(page).inner_text()


def test_what_came_before_a_failure_stays_with_the_error_below(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=breaks")
    say(page, "one two three")
    for _ in range(2):
        answers(page).get_by_text("You said: one").wait_for()
        answers(page).get_by_text("The connection to the scripted model broke.").wait_for()
        answers(page).get_by_role("button", name="Try again").wait_for()
        page.reload()


def test_a_killed_process_leaves_what_came_and_says_so(tmp_path: Path, page: "Page") -> None:
    slowly = {"type": "scripted", "delay": 0.1, "pieces": [f"word{number} " for number in range(1, 400)]}
    config = {"providers": {"slowly": slowly}}
    with AppServer(tmp_path, config=config, flows={"slowly": flow_text("slowly:echo", "Slowly")}) as server:
        go(page, f"{server.url}/playground?flow=slowly")
        say(page, "Go")
        answers(page).get_by_text("word50 ").wait_for()  # what is said in 2 s is written down
        server.kill()
        server.start()
        answers(page).get_by_text("Interrupted: the server stopped while it wrote this.").wait_for()
        answers(page).get_by_role("button", name="Try again").wait_for()
        assert "word10 " in answers(page).inner_text()


def test_an_empty_answer_says_so(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=nothing")
    say(page, "Go")
    for _ in range(2):
        answers(page).get_by_text("The model answered with nothing.").wait_for()
        answers(page).get_by_role("button", name="Try again").wait_for()
        page.reload()


def test_a_refused_message_stays_in_the_composer(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=echo")
    say(page, "x" * 201)
    page.get_by_text("The message has 201 characters").wait_for()
    assert composer(page).input_value() == "x" * 201
    assert messages(page).count() == 0


def test_an_answer_and_its_code_are_copied_by_the_keyboard(house: AppServer, browser: "Browser") -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        go(page, f"{house.url}/playground?flow=echo")
        say(page, "copy *this*")
        still(page)
        copy = answers(page).get_by_role("button", name="Copy", exact=True)
        copy.focus()
        page.keyboard.press("Enter")
        answers(page).get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "You said: copy *this*"


def test_a_draft_is_there_again_after_a_reload_and_gone_once_sent(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=echo")
    composer(page).fill("half a thought")
    page.reload()
    composer(still(page)).wait_for()
    assert composer(page).input_value() == "half a thought"
    composer(page).press("Enter")
    answers(page).get_by_text("You said: half a thought").wait_for()
    page.reload()
    still(page)
    assert composer(page).input_value() == ""
