"""Temporary overrides in Debian's chromium: from an editor to the clipboard to a program's answer; who sees what."""

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from flowground.settings import Settings
from flowground.store import Store, publications
from flowground.store.publications import Sharing
from tests.open_page import PASSWORD, fill, go, say, sign_in, still, visitor
from tests.servers import AppServer
from tests.snippet_runs import run_snippet
from tests.tickets import signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
FLOW = """\
name: Talk
components:
  ChatInput: {type: ChatInput, input_value: canary in the input}
  Prompt: {type: Prompt, template: "canary of the prompt: be {tone}.", tone: kind}
  Model:
    type: LanguageModel
    model: scripted:json
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.5
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
OPENED = """\
api:
  overridable: [Prompt.tone, {field: Model.max_tokens, max: 50}]
"""
CANARIES = ("canary in the input", "canary of the prompt", "LanguageModel", "system_message", "temperature", "flows/")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """ada: admin; olga: author; bob: member, with whom "opened" is shared, its API too."""
    flows = {"talk": FLOW, "opened": FLOW.replace("Talk", "Opened") + OPENED}
    with AppServer(tmp_path_factory.mktemp("overrides"), flows=flows) as server:
        for name, role in (("ada", "admin"), ("olga", "author"), ("bob", "member")):
            server.member(name, PASSWORD, role=role)
        share_api(server, "opened")
        yield server


@pytest.fixture(scope="module")
def cookies(house: AppServer) -> list[dict[str, str]]:
    """Ada's, signed in once, and before a browser holds this thread's event loop."""
    jar = signed_in(house, "ada").session.cookies
    return [{"name": cookie.name, "value": cookie.value or "", "url": house.url} for cookie in jar]


@pytest.fixture
def ada(house: AppServer, cookies: list[dict[str, str]], browser: "Browser") -> Iterator["Page"]:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        go(page, f"{house.url}/playground?flow=talk")
        page.get_by_test_id("stChatInputTextArea").wait_for()
        yield still(page)


def share_api(server: AppServer, flow_id: str) -> None:
    store = Store.open(Settings.load(server.config_file).database)
    try:
        asyncio.run(store.write(publications.change, flow_id=flow_id, sharing=Sharing(True, api=True), by="member:ada"))
    finally:
        store.close()


def open_pane(page: "Page", tab: str = "Temporary overrides") -> "Locator":
    page.get_by_test_id("stMain").get_by_role("button", name="API access").click()
    pane = page.get_by_role("dialog")
    pane.get_by_role("tab", name=tab).click()
    still(page)
    return pane


def change(page: "Page", label: str, text: str) -> None:
    area = page.get_by_role("textbox", name=label)
    area.fill(text)
    area.press("Control+Enter")
    still(page)


def code_of(pane: "Locator", tab: str) -> "Locator":
    pane.get_by_role("tab", name=tab).click()
    return pane.locator('[role="tabpanel"]:visible').get_by_test_id("stCode")


def copied(page: "Page", code: "Locator") -> str:
    code.hover()
    code.get_by_role("button", name="Copy to clipboard").click()
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_an_override_is_in_the_three_tabs_and_in_the_answer_of_the_copied_code(ada: "Page") -> None:
    pane = open_pane(ada)
    change(ada, "Tone", 'it\'s "rude" $HOME 🦊')
    pane.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    assert pane.get_by_role("tab", selected=True).inner_text() == "Temporary overrides (1)"
    for tab in ("Python", "JavaScript", "cURL"):
        code_of(pane, tab).get_by_text("🦊").first.wait_for()
    fill(ada, Name="a program")
    pane.get_by_role("button", name="Make a token").click()
    pane.get_by_text("shown this once").wait_for()
    still(ada)
    token = copied(ada, pane.get_by_test_id("stCode").nth(0)).partition("=")[2]
    for tab, language in (("Python", "python"), ("JavaScript", "javascript"), ("cURL", "curl")):
        done = run_snippet(language, copied(ada, code_of(pane, tab)), env={"FLOWGROUND_API_KEY": token})
        assert "canary of the prompt: be it's" in done.stdout, done.stderr
        assert "$HOME 🦊" in done.stdout or r"$HOME \ud83e\udd8a" in done.stdout
    pane.get_by_text("Write the token into the code").click()
    code_of(pane, "Python").get_by_text(token).wait_for()
    done = run_snippet("python", copied(ada, code_of(pane, "Python")))
    assert "$HOME" in done.stdout, done.stderr


def test_the_chat_feels_them_and_a_click_on_the_chip_ends_it(ada: "Page") -> None:
    open_pane(ada)
    change(ada, "Tone", "rude")
    ada.get_by_role("button", name="Close").click()
    chip = ada.get_by_role("button", name="1 override")
    chip.locator("visible=true").wait_for()
    say(ada, "Hello")
    ada.get_by_text("be rude.").wait_for()
    still(ada)
    ada.get_by_role("button", name="Copy as code").click()
    ada.get_by_text("The call behind").wait_for()
    session = ada.url.partition("session=")[2]
    code = code_of(ada.get_by_role("dialog"), "cURL").inner_text()
    assert all(word in code for word in ("Hello", "rude", session))
    ada.get_by_role("button", name="Close").click()
    chip.locator("visible=true").click()
    chip.first.wait_for(state="detached")
    say(ada, "Again")
    ada.get_by_text("be kind.").wait_for()


def test_a_bad_value_is_explained_and_a_locked_field_says_why(ada: "Page") -> None:
    pane = open_pane(ada)
    number = pane.get_by_role("spinbutton", name="Top P")
    number.fill("7")
    number.press("Enter")
    pane.get_by_text("is a number above 0 and of at most 1, not 7.").wait_for()
    pane.get_by_text("System Message · Prompt feeds it").wait_for()
    assert pane.get_by_role("textbox", name="System Message").count() == 0
    assert "top_p" not in code_of(pane, "Python").inner_text()


def test_a_preset_is_kept_loaded_and_deleted(house: AppServer, ada: "Page") -> None:
    pane = open_pane(ada)
    change(ada, "Tone", "formal")
    pane.get_by_role("button", name="Presets").click()
    ada.get_by_label("Keep these overrides as").fill("for letters")
    ada.get_by_role("button", name="Save").click()
    ada.get_by_role("button", name="for letters").wait_for()
    go(ada, f"{house.url}/api_access?flow=talk")  # another visit, on the page of its own
    ada.get_by_role("tab", name="Temporary overrides", exact=True).click()
    ada.get_by_role("button", name="Presets").click()
    ada.get_by_role("button", name="for letters").click()
    ada.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    still(ada)
    assert ada.get_by_role("textbox", name="Tone").input_value() == "formal"
    ada.get_by_role("button", name="Delete").click()
    ada.get_by_role("button", name="for letters").wait_for(state="detached")


def test_a_second_author_sees_a_links_overrides_and_accepts_them(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    pane = open_pane(ada)
    change(ada, "Tone", "rude *and* loud")
    pane.get_by_role("button", name="Link").click()
    link = copied(ada, ada.get_by_test_id("stPopoverBody").get_by_test_id("stCode"))
    with visitor(browser) as olga:
        go(olga, link)
        sign_in(olga, "olga")
        olga.get_by_text("This link brings 1 override.").wait_for()
        olga.get_by_text("rude *and* loud").wait_for()
        say(olga, "Before")
        olga.get_by_text("be kind.").wait_for()
        still(olga)
        olga.get_by_role("button", name="Apply").click()
        olga.get_by_role("button", name="1 override").locator("visible=true").wait_for()
        assert "overrides=" not in olga.url
        say(olga, "After")
        olga.get_by_text("be rude and loud.").wait_for()
        go(olga, link.replace("/playground?flow=talk&", "/public_flow/talk?"))
        assert olga.get_by_text("This link").count() == 0
        say(olga, "Outside")
        olga.get_by_text("be kind.").wait_for()


def test_a_member_changes_what_the_author_opened_and_sees_nothing_else_on_the_wire(
    house: AppServer, browser: "Browser"
) -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as bob:
        wire: list[str] = []
        bob.on("websocket", lambda socket: socket.on("framereceived", lambda frame: wire.append(repr(frame))))
        go(bob, f"{house.url}/api_access?flow=opened")
        sign_in(bob, "bob")
        bob.get_by_role("tab", name="Temporary overrides", exact=True).click()
        bob.get_by_role("textbox", name="Tone").wait_for()
        still(bob)
        labels = bob.locator('[role="tabpanel"]:visible').get_by_test_id("stWidgetLabel").all_inner_texts()
        assert [label for label in labels if label.strip() in ("Tone", "Max Tokens")] == ["Tone", "Max Tokens"]
        assert bob.get_by_role("button", name="Link").count() == 0
        number = bob.get_by_role("spinbutton", name="Max Tokens")
        number.fill("51")
        number.press("Enter")
        bob.get_by_text("Model.max_tokens").nth(1).wait_for()
        change(bob, "Tone", "brief")
        assert "brief" in code_of(bob.locator("body"), "Python").inner_text()
        fill(bob, Name="bob's")
        bob.get_by_role("button", name="Make a token").click()
        bob.get_by_text("shown this once").wait_for()
        assert [word for word in CANARIES if any(word in frame for frame in wire)] == []
        still(bob)
        token = copied(bob, bob.get_by_test_id("stCode").nth(0)).partition("=")[2]
        script = copied(bob, code_of(bob.locator("body"), "Python"))
        answer = json.loads(run_snippet("python", script, env={"FLOWGROUND_API_KEY": token}).stdout)
        assert answer["messages"][0]["content"] == "canary of the prompt: be brief."
        for address in ("/api_access?flow=talk", "/api_access?flow=unknown"):
            go(bob, f"{house.url}{address}").get_by_text("Nothing here for you").wait_for()
