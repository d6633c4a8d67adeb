"""What went wrong for people at a chat once, in Debian's chromium: none of it comes back."""

from typing import TYPE_CHECKING

import pytest

from tests.house import House
from tests.open_page import answers, composer, expect_count, flow_text, go, messages, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
SIDE = "document.querySelector('[data-testid=stSidebar]').getBoundingClientRect()"
FLOWS = {
    "echo": flow_text("scripted:echo", "Echo"),
    "slow": flow_text("scripted:slow", "Slow"),
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
        page.wait_for_function(f"{SIDE}.right <= 0")
        page.get_by_test_id("stExpandSidebarButton").click()
        page.wait_for_function(f"{SIDE}.left >= 0")
        page.reload()
        composer(still(page)).wait_for()
        page.wait_for_function(f"{SIDE}.right <= 0")


def test_a_double_click_on_send_is_one_message_and_no_stop(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/playground?flow=slow")
    composer(page).fill("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    page.get_by_role("button", name="Send").dblclick(delay=40)
    answers(page).get_by_text("x y z").wait_for()
    still(page)
    expect_count(messages(page), 2)
    assert "Stopped" not in answers(page).inner_text()


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        ("breaks", ["You said: one", "The connection to the scripted model broke."]),
        ("nothing", ["The model answered with nothing."]),
    ],
)
def test_what_came_before_a_failure_or_that_nothing_came_stays_with_the_error_below(
    house: AppServer, page: "Page", flow: str, says: list[str]
) -> None:
    go(page, f"{house.url}/playground?flow={flow}")
    say(page, "one two three")
    for _ in range(2):
        for said in says:
            answers(page).get_by_text(said).wait_for()
        answers(page).get_by_role("button", name="Try again").wait_for()
        page.reload()


def test_what_is_refused_stays_a_draft_is_kept_until_it_is_sent_and_an_answer_is_copied_by_the_keyboard(
    house: AppServer, browser: "Browser"
) -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        go(page, f"{house.url}/playground?flow=echo")
        say(page, "x" * 201)
        page.get_by_text("The message has 201 characters").wait_for()
        assert composer(page).input_value() == "x" * 201
        assert messages(page).count() == 0
        composer(page).fill("half a *thought*")
        page.reload()
        composer(still(page)).wait_for()
        assert composer(page).input_value() == "half a *thought*"
        composer(page).press("Enter")
        answers(page).get_by_text("You said: half a thought").wait_for()
        still(page)
        copy = answers(page).get_by_role("button", name="Copy", exact=True)
        copy.focus()
        page.keyboard.press("Enter")
        answers(page).get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "You said: half a *thought*"
        page.reload()
        assert composer(still(page)).input_value() == ""
