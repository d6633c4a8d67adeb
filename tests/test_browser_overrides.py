"""Temporary overrides in Debian's chromium: from an editor to the clipboard to a program's answer."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.api_pane import FLOW, change, code_of, copied_code, copied_line, open_pane
from tests.house import House
from tests.open_page import answers, fill, flow_text, go, open_menu, say, still
from tests.servers import AppServer
from tests.snippet_runs import run_snippet
from tests.two_servers import LASTING

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


HOUSE = House(
    flows={"talk": FLOW, "long": flow_text("scripted:long"), "lasting": flow_text("lasting:echo")},
    config={"providers": {"lasting": LASTING}},
)


@pytest.fixture
def ada(house: AppServer, ada: "Page") -> "Page":
    go(ada, f"{house.url}/playground?flow=talk")
    ada.get_by_role("textbox", name="Message", exact=True).wait_for()
    return still(ada)


def test_an_override_is_in_the_three_tabs_and_in_the_answer_of_the_copied_code(ada: "Page") -> None:
    pane = open_pane(ada)
    change(ada, "Tone", 'it\'s "rude" $HOME 🦊')
    pane.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    assert pane.get_by_role("tab", selected=True).inner_text() == "Temporary overrides (1)"
    for tab in ("Python", "JavaScript", "cURL"):
        code_of(pane, tab).get_by_text("🦊").first.wait_for()
    pane.get_by_role("button", name="Make a token that may").click()
    fill(ada, Name="a program")
    pane.get_by_role("button", name="Make a token", exact=True).click()
    pane.get_by_text("Your new token").wait_for()
    pane.get_by_text("sees answers, sets fields").first.wait_for()
    still(ada)
    token = copied_line(ada, pane).partition("=")[2]
    for tab, language in (("Python", "python"), ("JavaScript", "javascript"), ("cURL", "curl")):
        done = run_snippet(language, copied_code(ada, pane, tab), env={"FLOWGROUND_API_KEY": token})
        assert "canary of the prompt: be it's" in done.stdout, done.stderr
        assert "$HOME 🦊" in done.stdout or r"$HOME \ud83e\udd8a" in done.stdout
    pane.get_by_text("Write the token into the code").click()
    code_of(pane, "Python").get_by_text(token).wait_for()
    done = run_snippet("python", copied_code(ada, pane, "Python"))
    assert "$HOME" in done.stdout, done.stderr


def test_the_chat_feels_them_and_a_click_on_the_chip_ends_it(ada: "Page") -> None:
    open_pane(ada)
    change(ada, "Tone", "rude")
    ada.get_by_role("button", name="Close").click()
    chip = ada.get_by_role("button", name="1 override")
    chip.locator("visible=true").wait_for()
    say(ada, "Hello")
    answers(ada).last.get_by_text("be rude.").wait_for()
    still(ada)
    ada.get_by_role("button", name="Copy as code").click()
    ada.get_by_text("The call behind “Hello” with 1 override").wait_for()
    session = ada.url.partition("session=")[2]
    code = code_of(ada.get_by_role("dialog"), "cURL").inner_text()
    assert all(word in code for word in ("Hello", "rude", session))
    ada.get_by_role("button", name="Close").click()
    chip.locator("visible=true").click()
    chip.first.wait_for(state="detached")
    say(ada, "Again")
    answers(ada).last.get_by_text("be kind.").wait_for()


def test_a_bad_value_is_explained_and_a_locked_field_says_why(ada: "Page") -> None:
    pane = open_pane(ada)
    number = pane.get_by_role("spinbutton", name="Top P")
    number.fill("7")
    number.press("Enter")
    pane.get_by_text("is a number above 0 and of at most 1, not 7.").wait_for()
    pane.get_by_text("System Message · Prompt feeds it").wait_for()
    assert pane.get_by_role("textbox", name="System Message").count() == 0
    assert "top_p" not in code_of(pane, "Python").inner_text()


def test_a_try_streams_in_the_drawer_and_can_be_stopped(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/playground?flow=lasting")
    pane = open_pane(ada, "cURL")
    pane.get_by_role("radio", name="Stream").click()
    pane.get_by_role("button", name="Try it").click()
    pane.get_by_text("word3").first.wait_for()
    pane.get_by_role("button", name="Stop").click()
    pane.get_by_text("Stopped").wait_for()
    pane.get_by_text("word1").first.wait_for()
    assert "word200" not in pane.inner_text()
    pane.get_by_role("radio", name="Plain").click()
    pane.get_by_role("button", name="Try it").click()
    pane.get_by_text("Running", exact=True).wait_for()
    pane.get_by_text(re.compile("^[1-9][0-9]? s$")).wait_for()
    pane.get_by_role("radio", name="Simple").click()  # another request, while this one runs
    pane.get_by_text("Stopped: the request was changed.").wait_for()
    pane.get_by_role("button", name="Try it").wait_for()
    assert pane.get_by_role("button", name="Stop").count() == 0
    ada.get_by_role("button", name="Close").click()
    assert ada.get_by_text("Your chats").count() == 0  # a try is no conversation of the playground's


@pytest.mark.parametrize("address", ["playground", "api_access"])
def test_a_try_that_takes_its_time_ends_by_itself(house: AppServer, ada: "Page", address: str) -> None:
    go(ada, f"{house.url}/{address}?flow=long")  # ten seconds: a busy machine sees it run too
    if address == "playground":
        ada.get_by_role("button", name="API access").click()
    ada.get_by_role("button", name="Try it").click()
    ada.get_by_text("Running", exact=True).wait_for()
    ada.get_by_role("button", name="Stop").wait_for()
    ada.get_by_text("200 OK").wait_for(timeout=60_000)
    ada.get_by_text("word200").first.wait_for()
    ada.get_by_text("Raw answer").click()
    ada.get_by_text('"session_id"').last.wait_for()
    ada.get_by_role("button", name="Try it").wait_for()
    assert ada.get_by_role("button", name="Stop").count() == 0
    assert ada.get_by_text("Something went wrong here").count() == 0


def test_a_preset_is_kept_loaded_and_deleted(house: AppServer, ada: "Page") -> None:
    pane = open_pane(ada)
    change(ada, "Tone", "formal")
    open_menu(pane.get_by_role("button", name="Presets"))
    ada.get_by_label("Save these overrides as").fill("for letters")
    ada.get_by_role("button", name="Save").click()
    ada.get_by_role("button", name="for letters").wait_for()
    go(ada, f"{house.url}/api_access?flow=talk")  # another visit, on the page of its own
    ada.get_by_role("tab", name="Temporary overrides", exact=True).click()
    open_menu(ada.get_by_role("button", name="Presets")).get_by_role("button", name="for letters").click()
    ada.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    still(ada)
    assert ada.get_by_role("textbox", name="Tone").input_value() == "formal"
    open_menu(ada.get_by_role("button", name="Presets")).get_by_role("button", name="Delete").click()
    ada.get_by_role("button", name="for letters").wait_for(state="detached")
