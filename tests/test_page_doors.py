"""What a page shows and does is decided by who asks now: on the wire, without a browser that would hide the rest."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from flowground.flows.tweaks import write_link
from flowground.store.publications import Sharing
from flowground.ui.page.parts import mark_gone
from tests.page_socket import Browser, PageSocket, open_browser, open_page
from tests.people import CREDENTIALS
from tests.servers import ROOT, AppServer, House, share
from tests.waiting import eventually

TALK = """\
name: Talk
components:
  ChatInput: {type: ChatInput}
  Model:
    type: LanguageModel
    display_name: Thinkingpart
    model: scripted:echo
    system_message: Hushprompt
    input_value: ${ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


BROKEN = "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n"
MISTAKES = (b"broken.yaml", b"ChatInptu", b"needs a correction", b"line 3")
HOUSE = House(
    config={"sharing": {"allow_public": True}},
    flows={"talk": TALK, "tried": TALK, "ended": TALK, "broken": BROKEN},
    shared={name: Sharing(is_shared=True, shares_api=True) for name in ("talk", "tried", "ended", "broken")},
)


def test_a_members_link_with_overrides_shows_nothing_of_the_inside(house: AppServer) -> None:
    """Beside each override stands the author's own value, for authors: a link can be made by anybody."""
    asked = ("playground", f"flow=talk&overrides={write_link({'Model': {'system_message': 'x'}})}")
    with open_page(open_browser(house, "bob")) as page:
        sent = page.visit(*asked)
        assert b"Links with overrides are for authors" in sent
        assert b"Hushprompt" not in sent
    with open_page(open_browser(house, "augusta")) as page:
        assert b"Hushprompt" in page.visit(*asked)


def test_the_shareable_page_shows_nobody_the_inside(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    with open_page(browser) as page:
        page.visit("playground", "flow=talk")
        sent = page.say("Hello")
        assert (b"You said: Hello" in sent, b'"steps": 3' in sent) == (True, True)
    with open_page(browser, base="/public_flow/talk") as page:
        page.visit()
        sent = page.say("Hello again")
        assert b"You said: Hello again" in sent
        page.chat.send("steps", session=page.chat.session, message=page.chat.told[-1]["messages"][0]["id"])
        assert page.chat.read_until("steps")["steps"] == []
        sent += page.chat.spell() + page.visit()
        for inside in (b'"steps": 3', b'"facts"', b"scripted", b"Thinkingpart", b"Copy as code"):
            assert inside not in sent


def delete(page: PageSocket, doing: Callable[[], object] = lambda: None) -> None:
    """The open chat, by its menu. `doing` happens while the page asks."""
    assert b"Delete this chat?" in page.choose(page.widget("menu_button", "sessions:more:"), mark_gone("Delete"))
    doing()
    page.press(page.widget("button", "sessions:delete:"))


def rename(page: PageSocket, doing: Callable[[], object] = lambda: None) -> None:
    page.choose(page.widget("menu_button", "sessions:more:"), "Rename")
    doing()
    typed = {page.widget("text_input", "sessions:title:"): "Renamed"}
    page.press(page.widget("button", "sessions:rename:"), typed=typed)


def test_a_conversation_is_deleted_by_whoever_is_signed_in_only(house: AppServer) -> None:
    """And renamed."""
    for act, shown in ((delete, b""), (rename, b"Renamed")):
        browser = open_browser(house, "bob")
        with open_page(browser) as page:
            page.visit("playground", "flow=talk")
            assert b"You said: Keep this" in page.say("Keep this")
            page.visit("playground", f"flow=talk&session={page.chat.session}")
            act(page, partial(browser.post, "/session/end"))  # in another tab
        with open_page(open_browser(house, "bob")) as page:
            sent = page.visit("playground", "flow=talk")
            assert (b"Keep this" in sent, b"Renamed" in sent) == (True, False)
            page.press(page.widget("button", "sessions:open:"))
            act(page)
            sent = page.visit("playground", "flow=talk")
            assert (b"Keep this" in sent, shown in sent) == (False, True)


def test_a_search_finds_ones_own_chats_with_all_flows_that_one_may_open(house: AppServer) -> None:
    for who, flow in (("bob", "talk"), ("bob", "tried"), ("bob", "ended"), ("zoe", "talk")):
        with open_page(open_browser(house, who)) as page:
            page.visit("playground", f"flow={flow}&session=of-one-name")  # as a link may name it
            page.say(f"A needle of {who} with {flow}")
    share(house, "ended", Sharing(is_shared=False))
    with open_page(open_browser(house, "bob")) as page:
        page.visit()
        at_home = page.fill(page.widget("text_input", "home:search"), "NEEDLE")
        page.visit("playground", "flow=tried")
        beside = page.fill(page.widget("text_input", "sessions:search:"), "needle")
    for sent in (at_home, beside):
        found = [f"A needle of {of}".encode() in sent for of in ("bob with talk", "bob with ended", "zoe with talk")]
        assert found == [True, False, False]
    assert (b"bob with tried" in at_home, b"With other flows" in beside) == (True, True)
    assert beside.count(b"sessions:open:") == 2  # each link has its button


def test_a_try_asks_anew_whether_the_flow_is_shared_for_the_api(house: AppServer) -> None:
    with open_page(open_browser(house, "bob")) as page:
        page.visit("api_access", "flow=tried")
        page.press(page.widget("button", "try:tried:run"))
        eventually(lambda: b"200 OK" in page.visit("api_access", "flow=tried"))
        share(house, "tried")
        sent = page.press(page.widget("button", "try:tried:run"))
        assert [text in sent for text in (b"403 Forbidden", b"not for its API", b"200 OK")] == [True, True, False]


def test_no_script_of_a_page_is_told_a_cookie_of_ours(tmp_path: Path) -> None:
    """Of an app whose one page shows all that Streamlit tells it of its visitor."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "pages", checkout / "pages")
    (checkout / "pages" / "router.py").write_text(
        "import streamlit as st\nst.text(f'{st.context.cookies.to_dict()} {st.context.headers.to_dict()}')\n", "utf-8"
    )
    shutil.copytree(ROOT / ".streamlit", checkout / ".streamlit")
    shutil.copy(ROOT / "app.py", checkout)
    environment = {"PYTHONPATH": str(ROOT)}
    with AppServer(tmp_path, config=CREDENTIALS, flows=[], checkout=checkout, environment=environment) as server:
        browser = open_browser(server, "augusta")
        ours = {cookie.name: str(cookie.value) for cookie in browser.session.cookies if "flowground" in cookie.name}
        with open_page(browser, headers={"Cookie": f"{browser.cookies}; theirs=crumb"}) as page:
            sent = page.visit()
        assert b"'theirs': 'crumb'" in sent
        assert b"'flowground" not in sent
        assert ours["flowground"].encode() not in sent


def test_a_member_is_offered_no_token_that_may_more_than_members(house: AppServer) -> None:
    offers = (b"Set fields of the flow", b"See prompts, traces and whole errors")
    for name, is_offered in (("olga", True), ("bob", False)):
        with open_page(open_browser(house, name)) as page:
            sent = page.visit("api_access", "flow=talk")
            assert b"Application tokens" in sent
            assert [offer in sent for offer in offers] == [is_offered] * 2


@pytest.mark.parametrize("who", ["augusta", "olga"])
@pytest.mark.parametrize("page", ["playground", "api_access"])
def test_authors_and_admins_read_the_mistakes(house: AppServer, who: str, page: str) -> None:
    with open_page(open_browser(house, who)) as socket:
        sent = socket.visit(page, "flow=broken")
        assert [word for word in (*MISTAKES, b"Did you mean") if word not in sent] == []
        assert b"You don't have access to this page" not in sent
        assert b"You don't have access to this page" in socket.visit(page, "flow=unknown")


def test_a_member_meets_the_page_of_unknown_flows(house: AppServer) -> None:
    with open_page(open_browser(house, "bob")) as socket:
        for address in ("broken", "unknown"):
            sent = socket.visit("playground", f"flow={address}")
            assert b"You don't have access to this page" in sent
            assert [word for word in MISTAKES if word in sent] == []


@pytest.mark.parametrize("who", ["", "bob", "olga", "augusta"])
def test_the_shareable_playground_tells_nobody(house: AppServer, who: str) -> None:
    browser = open_browser(house, who) if who else Browser(house.url)
    with open_page(browser, base="/public_flow/broken") as socket:
        sent = socket.visit()
        assert (b"You don't have access to this page" if who else b"Sign in") in sent
        assert [word for word in MISTAKES if word in sent] == []
