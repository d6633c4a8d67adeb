"""Temporary overrides in Debian's chromium: from an editor to a program's answer, to a colleague and to members."""

import json
import re

import pytest

from flowground.store.publications import Sharing
from tests.api_pane import FLOW, change, code_of, copied, copied_code, copied_line, open_pane
from tests.open_page import Browser, Page, ask, fill, flow_text, go, open_menu, sign_in, still, visitor
from tests.servers import AppServer, House
from tests.snippet_runs import run_snippet
from tests.two_servers import LASTING
from tests.waiting import eventually

OPENED = """\
api:
  overridable: [Prompt.tone, {field: Model.max_tokens, max: 50}]
"""
CANARIES = ("canary in the input", "canary of the prompt", "LanguageModel", "system_message", "temperature", "flows/")
HOUSE = House(
    flows={
        "talk": FLOW,
        "opened": FLOW.replace("Talk", "Opened") + OPENED,
        "long": flow_text("scripted:long"),
        "lasting": flow_text("lasting:echo"),
    },
    config={"providers": {"lasting": LASTING}},
    shared={"opened": Sharing(is_shared=True, shares_api=True)},
)


@pytest.fixture
def ada(house: AppServer, ada: Page) -> Page:
    go(ada, f"{house.url}/playground?flow=talk").get_by_role("textbox", name="Message", exact=True).wait_for()
    return still(ada)


def test_an_override_is_in_the_three_tabs_and_in_the_answer_of_the_copied_code(ada: Page) -> None:
    pane = open_pane(ada)
    change(ada, "Tone", 'it\'s "rude" $HOME 🦊')
    pane.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    assert pane.get_by_role("tab", selected=True).inner_text() == "Temporary overrides (1)"
    for tab in ("Python", "JavaScript", "cURL"):
        code_of(pane, tab).get_by_text("🦊").first.wait_for()
    pane.get_by_role("button", name="Make such a token").click()
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


def test_the_chat_feels_an_override_and_a_click_on_the_chip_ends_it(ada: Page) -> None:
    open_pane(ada)
    change(ada, "Tone", "rude")
    ada.get_by_role("button", name="Close").click()
    chip = ada.get_by_role("button", name="1 override")
    chip.locator("visible=true").wait_for()
    ask(ada, "Hello", "be rude.").get_by_role("button", name="Copy as code").click()
    ada.get_by_text("The call behind “Hello” with 1 override").wait_for()
    session = ada.url.partition("session=")[2]
    code = code_of(ada.get_by_role("dialog"), "cURL").inner_text()
    assert all(word in code for word in ("Hello", "rude", session))
    ada.get_by_role("button", name="Close").click()
    chip.locator("visible=true").click()
    chip.first.wait_for(state="detached")
    ask(ada, "Again", "be kind.")


def test_a_try_streams_in_the_drawer_and_can_be_stopped(house: AppServer, ada: Page) -> None:
    pane = open_pane(go(ada, f"{house.url}/playground?flow=lasting"), "cURL")
    pane.get_by_role("radio", name="Stream").click()
    pane.get_by_role("button", name="Try it").click()
    pane.get_by_text("word3").first.wait_for()
    shown = pane.get_by_text("word1").first  # in sight, where the button stands at the lower edge
    eventually(lambda: shown.evaluate("one => one.getBoundingClientRect().bottom <= innerHeight"))
    pane.get_by_role("button", name="Stop").click()
    pane.get_by_text("Stopped").wait_for()
    pane.get_by_text("word1").first.wait_for()
    assert "word200" not in pane.inner_text()
    pane.get_by_role("radio", name="Langflow").click()
    pane.get_by_role("button", name="Try it").click()
    pane.get_by_text("Running", exact=True).wait_for()
    pane.get_by_text(re.compile("^[1-9][0-9]? s$")).wait_for()
    pane.get_by_role("radio", name="Simple").click()  # another request, while this one runs
    pane.get_by_text("Stopped: the request was changed.").wait_for()
    pane.get_by_role("button", name="Try it").wait_for()
    assert pane.get_by_role("button", name="Stop").count() == 0
    ada.get_by_role("button", name="Close").click()
    assert ada.get_by_text("Your chats").count() == 0  # a try is no conversation of the playground's


def test_a_try_that_takes_its_time_ends_by_itself(house: AppServer, ada: Page) -> None:
    go(ada, f"{house.url}/api_access?flow=long")  # ten seconds: a busy machine sees it run too
    ada.get_by_role("button", name="Try it").click()
    ada.get_by_text("Running", exact=True).wait_for()
    ada.get_by_text("200 OK").wait_for(timeout=60_000)
    ada.get_by_text("word200").first.wait_for()
    ada.get_by_role("button", name="Try it").wait_for()


def test_a_second_author_sees_a_links_overrides_and_accepts_them(house: AppServer, ada: Page, page: Page) -> None:
    pane = open_pane(ada)
    change(ada, "Tone", "rude *and* loud")
    menu = open_menu(pane.get_by_role("button", name="Link"))
    link = copied(ada, menu.get_by_role("button", name="Copy the link"))
    sign_in(go(page, link), "olga")
    page.get_by_text("This link brings 1 override.").wait_for()
    page.get_by_text("rude *and* loud").wait_for()
    ask(page, "Before", "be kind.").get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="1 override").locator("visible=true").wait_for()
    assert "overrides=" not in page.url
    ask(page, "After", "be rude and loud.")
    go(page, link.replace("/playground?flow=talk&", "/public_flow/talk?"))
    assert page.get_by_text("This link").count() == 0
    ask(page, "Outside", "be kind.")


def test_a_member_changes_what_the_author_opened_and_sees_nothing_else_on_the_wire(
    house: AppServer, browser: Browser
) -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as bob:
        wire: list[str] = []
        bob.on("websocket", lambda socket: socket.on("framereceived", lambda frame: wire.append(repr(frame))))
        sign_in(go(bob, f"{house.url}/api_access?flow=opened"), "bob")
        bob.get_by_role("tab", name="Temporary overrides", exact=True).click()
        labels = bob.locator('[role="tabpanel"]:visible').get_by_test_id("stWidgetLabel")
        for label in ("Tone", "Max Tokens"):
            labels.get_by_text(label).wait_for()
        assert bob.get_by_role("button", name="Link").count() == 0
        number = bob.get_by_role("spinbutton", name="Max Tokens")
        number.fill("51")
        number.press("Enter")
        bob.get_by_text("not 51").wait_for()
        change(bob, "Tone", "brief")
        assert "brief" in code_of(bob.locator("body"), "Python").inner_text()
        fill(bob, Name="bob's")
        bob.get_by_role("button", name="Make a token").click()
        bob.get_by_text("Your new token").wait_for()
        assert any("brief" in frame for frame in wire)
        assert [word for word in CANARIES if any(word in frame for frame in wire)] == []
        still(bob)
        token = copied_line(bob, bob.locator("body")).partition("=")[2]
        script = copied_code(bob, bob.locator("body"), "Python")
        answer = json.loads(run_snippet("python", script, env={"FLOWGROUND_API_KEY": token}).stdout)
        assert answer["messages"][0]["content"] == "canary of the prompt: be brief."
        for address in ("/api_access?flow=talk", "/api_access?flow=unknown"):
            go(bob, f"{house.url}{address}").get_by_text("You don't have access to this page").wait_for()
