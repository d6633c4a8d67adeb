"""Temporary overrides between people, in Debian's chromium: a link to a colleague, and what a member sees of them."""

import json
from typing import TYPE_CHECKING

import pytest

from flowground.store.flows.publications import Sharing
from tests.api_pane import FLOW, change, code_of, copied, copied_code, copied_line, open_pane
from tests.house import House
from tests.open_page import answers, fill, go, open_menu, say, sign_in, still, visitor
from tests.servers import AppServer
from tests.snippet_runs import run_snippet

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
OPENED = """\
api:
  overridable: [Prompt.tone, {field: Model.max_tokens, max: 50}]
"""
CANARIES = ("canary in the input", "canary of the prompt", "LanguageModel", "system_message", "temperature", "flows/")


HOUSE = House(
    flows={"talk": FLOW, "opened": FLOW.replace("Talk", "Opened") + OPENED},
    shared={"opened": Sharing(is_shared=True, shares_api=True)},
)


@pytest.fixture
def ada(house: AppServer, ada: "Page") -> "Page":
    go(ada, f"{house.url}/playground?flow=talk")
    ada.get_by_role("textbox", name="Message", exact=True).wait_for()
    return still(ada)


def test_a_second_author_sees_a_links_overrides_and_accepts_them(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    pane = open_pane(ada)
    change(ada, "Tone", "rude *and* loud")
    menu = open_menu(pane.get_by_role("button", name="Link"))
    link = copied(ada, menu.get_by_role("button", name="Copy the link"))
    with visitor(browser) as olga:
        go(olga, link)
        sign_in(olga, "olga")
        olga.get_by_text("This link brings 1 override.").wait_for()
        olga.get_by_text("rude *and* loud").wait_for()
        say(olga, "Before")
        answers(olga).last.get_by_text("be kind.").wait_for()
        still(olga)
        olga.get_by_role("button", name="Apply").click()
        olga.get_by_role("button", name="1 override").locator("visible=true").wait_for()
        assert "overrides=" not in olga.url
        say(olga, "After")
        answers(olga).last.get_by_text("be rude and loud.").wait_for()
        go(olga, link.replace("/playground?flow=talk&", "/public_flow/talk?"))
        assert olga.get_by_text("This link").count() == 0
        say(olga, "Outside")
        answers(olga).last.get_by_text("be kind.").wait_for()


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
        bob.get_by_role("spinbutton", name="Max Tokens").wait_for()
        still(bob)
        for label in ("Tone", "Max Tokens"):
            bob.locator('[role="tabpanel"]:visible').get_by_test_id("stWidgetLabel").get_by_text(label).wait_for()
        labels = bob.locator('[role="tabpanel"]:visible').get_by_test_id("stWidgetLabel").all_inner_texts()
        assert [label for label in labels if label.strip() in ("Tone", "Max Tokens")] == ["Tone", "Max Tokens"]
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
            go(bob, f"{house.url}{address}").get_by_text("Nothing here for you").wait_for()
