"""An admin ends what runs and switches a flow off, in Debian's chromium; others read why, and lose no word."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.house import PUBLIC, House
from tests.open_page import answers, flow_text, go, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LASTING = {"type": "scripted", "delay": 0.1, "pieces": [f"word{number} " for number in range(1, 1_000)]}
HOUSE = House(
    config={"sharing": {"allow_public": True}, "providers": {"lasting": LASTING}},
    flows={"long": flow_text("lasting:echo", "Long"), "echo": flow_text("scripted:echo", "Echo")},
    shared={"long": PUBLIC, "echo": PUBLIC},
)
STOPPED = "An administrator stopped this answer."
OFF = "This flow is switched off. Back at three."


def open_now(page: "Page", house: AppServer) -> "Page":
    go(page, f"{house.url}/organization").get_by_role("tab", name="Active runs").click()
    return still(page)


def switch_off(page: "Page", what: str, says: str) -> None:
    page.get_by_role("button", name="Switch off a flow or provider").click()
    page.get_by_role("combobox", name="What").click()
    page.get_by_role("option", name=what).click()
    page.get_by_role("textbox", name="What people are told").fill(says)
    page.get_by_role("button", name="Switch off", exact=True).click()
    page.get_by_text(says).wait_for()


def test_an_admin_sees_what_runs_and_stops_it(house: AppServer, ada: "Page", page: "Page") -> None:
    ada.set_viewport_size({"width": 390, "height": 844})
    open_now(ada, house).get_by_text("Nothing is running").wait_for()
    say(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=long"), "my private question")
    ada.get_by_text("Bob").wait_for()  # by itself
    ada.get_by_text("characters").wait_for()
    assert ada.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not [said for said in ("private question", "word1") if said in ada.content()]
    ada.get_by_role("button", name="Stop").click()
    answers(page).get_by_text(STOPPED).wait_for()
    assert "word1 " in answers(page).last.inner_text()
    ada.get_by_text("Nothing is running").wait_for()
    answers(go(page, page.url)).get_by_text(STOPPED).wait_for()
    page.get_by_role("button", name="Try again").wait_for()


def test_a_flow_that_is_switched_off_ends_for_everybody_and_comes_back(
    house: AppServer, ada: "Page", page: "Page", browser: "Browser"
) -> None:
    with visitor(browser) as guest:
        say(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=long"), "Tell me")
        answers(page).get_by_text("word5").wait_for()
        composer = go(guest, f"{house.url}/public_flow/long").get_by_role("textbox", name="Message", exact=True)
        composer.fill("A long message of mine")
        open_now(ada, house)
        switch_off(ada, "Flow Long", "Back at three.")
        page.get_by_text(OFF).first.wait_for()
        assert "word5" in answers(page).last.inner_text()
        assert page.get_by_role("button", name="Try again").count() == 0
        go(page, page.url).get_by_text(OFF).first.wait_for()
        answers(page).get_by_text("word5").wait_for()
        assert page.get_by_role("button", name="Edit").count() == 0
        composer.press("Enter")  # this page does not know it yet
        guest.get_by_text(OFF).first.wait_for()
        assert composer.is_disabled()
        assert composer.input_value() == "A long message of mine"
        go(page, house.url).get_by_text(OFF).wait_for()
        ada.get_by_role("button", name="Switch on").click()
        ada.get_by_role("button", name="Switch on").wait_for(state="detached")
        say(go(guest, f"{house.url}/public_flow/long"), "And now?")
        answers(guest).get_by_text("word5").wait_for()
