"""Publishing in Debian's chromium: API access, the share link, who sees what, signing out."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acme import await_composer, enter_as, switch
from tests.api_pane import code_of, copied, copied_code, copied_line
from tests.house import House
from tests.open_page import answers, ask, fill, flow_text, go, open_menu, revoke, say, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import AppServer
from tests.snippet_runs import run_snippet
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
FLOWS = {
    "echo": flow_text("scripted:echo", "Echo", welcome="Whatever you write comes back."),
    "slow": flow_text("scripted:slow", "Slow"),
    "keyed": flow_text("scripted:echo", "Keyed"),
    "hidden": flow_text("scripted:echo", "Hidden"),
    "unshared": flow_text("scripted:echo", "Unshared"),
}
HOUSE = House(flows=FLOWS)


def open_share(browser_page: "Page", house: AppServer, flow: str, name: str) -> "Page":
    """By the link, through the sign-in, to that very flow."""
    link = f"{house.url}/public_flow/{flow}"
    sign_in(go(browser_page, link), name)
    await_composer(browser_page)
    assert browser_page.url == link
    return still(browser_page)


def test_the_pane_makes_a_token_and_its_code_runs_as_copied(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/playground?flow=echo").get_by_role("button", name="API access").click()
    fill(ada, Name="my script")
    ada.get_by_role("button", name="Make a token").click()
    ada.get_by_text("Your new token").wait_for()
    pane = still(ada).get_by_role("dialog")
    assert pane.get_by_role("textbox", name="Name").input_value() == ""
    key = copied_line(ada, pane)
    assert copied(ada, pane.get_by_role("button", name="Copy the token")) == key.partition("=")[2]
    assert re.fullmatch(r"export FLOWGROUND_API_KEY=fg_\S+", key)
    env = {"FLOWGROUND_API_KEY": key.partition("=")[2]}
    script, args = copied_code(ada, pane, "Python"), ['--message=it\'s "quoted" $HOME']
    done = run_snippet("python", script, env=env, args=args)
    assert (done.stdout, done.stderr, done.returncode) == ('You said: it\'s "quoted" $HOME\n', "", 0)
    done = run_snippet("curl", f"{key}\n{copied_code(ada, pane, 'cURL')}")
    assert "You said: tell me about something interesting" in done.stdout, done.stderr
    revoke(pane.get_by_role("button", name="Revoke"))
    pane.get_by_role("button", name="Revoke").first.wait_for(state="detached")
    assert run_snippet("python", script, env=env, args=args).returncode == 1


def test_the_pane_is_a_page_too(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/api_access?flow=echo")
    code = code_of(ada.locator("body"), "Python")
    fill(ada, Name="from the page")
    ada.get_by_role("button", name="Make a token").click()
    ada.get_by_text("from the page").first.wait_for()
    assert "stream=sse" not in code.inner_text()
    modes = (("Langflow", ""), ("Stream", "?stream=sse&shape=simple"), ("Simple", "?shape=simple"))
    for shape, query in modes:
        ada.get_by_role("radio", name=shape).click()
        address = f"{house.url}/api/v1/run/echo{query}"
        ada.get_by_role("code").filter(has_text=re.compile(f"^{re.escape(address)}$")).wait_for()  # above the snippets
        assert copied(ada, still(ada).get_by_role("button", name="Copy the address")) == address
    assert len(code.inner_text().splitlines()) <= 20
    assert "shape=simple" in code.inner_text()
    ada.get_by_text("Continue a conversation").click()
    code.get_by_text("my-conversation").wait_for()


def test_a_member_opens_the_link_signs_in_and_chats_from_outside(house: AppServer, ada: "Page", page: "Page") -> None:
    switch(ada, house, "echo", on=True)
    link = ada.get_by_test_id("stPopoverBody").get_by_test_id("stCode").inner_text().strip()
    assert link == f"{house.url}/public_flow/echo"
    open_share(page, house, "echo", "bob")
    page.get_by_text("Whatever you write comes back.").wait_for()
    ask(page, "hello from outside")
    assert "steps" not in answers(page).inner_text()
    assert page.get_by_role("button", name="API access").count() == 0
    page.reload()
    answers(page).get_by_text("You said: hello from outside").wait_for()
    other = go(page.context.new_page(), f"{house.url}/public_flow/echo")
    other.get_by_test_id("stSidebar").get_by_role("link", name="hello from outside").click()
    other.get_by_text("You said: hello from outside").wait_for()


def test_publishing_takes_a_few_keys(house: AppServer, ada: "Page") -> None:
    ask(go(ada, f"{house.url}/playground?flow=keyed"), "An answer with buttons of its own")
    button, menu = ada.get_by_role("button", name="Publish"), ada.get_by_test_id("stPopoverBody")
    button.focus()
    ada.keyboard.press("Enter")
    menu.get_by_role("switch").wait_for()
    eventually(lambda: menu.evaluate("one => one === document.activeElement"))
    assert still(ada).get_by_test_id("stPopoverBody").inner_text().startswith("Shareable Playground")
    for key in ("Tab", "Space"):
        ada.keyboard.press(key)
    ada.get_by_text("Shared with your organization. They").wait_for()
    still(ada)
    ada.keyboard.press("Escape")
    eventually(lambda: button.evaluate("one => one === document.activeElement"))


def test_two_people_never_see_each_other(house: AppServer, ada: "Page", browser: "Browser") -> None:
    switch(ada, house, "slow", on=True)
    with visitor(browser) as bob, visitor(browser) as zoe:
        open_share(bob, house, "slow", "bob")
        open_share(zoe, house, "slow", "zoe")
        say(bob, "bob's own words, quite a few of them, so that they take their time")
        answers(bob).get_by_text("You said: bob's").wait_for()
        zoe.goto(bob.url)  # with the id of bob's conversation, in the middle of his answer
        ask(zoe, "zoe speaks")
        answers(bob).get_by_text("take their time").wait_for()
        assert "bob's" not in zoe.content()
        assert "zoe speaks" not in still(bob).content()
        bob.reload()
        answers(bob).get_by_text("You said: bob's").wait_for()
        assert "zoe speaks" not in bob.content()


def test_unknown_and_unshared_look_the_same(house: AppServer, page: "Page") -> None:
    enter_as(page, house, "bob")
    pages = []
    for address in ("public_flow/hidden", "public_flow/unknown", "playground?flow=hidden", "playground?flow=no"):
        go(page, f"{house.url}/{address}").get_by_role("textbox", name="Why do you need it?").wait_for()
        page.get_by_role("button", name="Request access").wait_for()
        pages.append(page.get_by_test_id("stMain").inner_text())
    assert len(set(pages)) == 1
    assert "Hidden" not in go(page, house.url).content()


def test_who_stops_sharing_a_flow_in_use_is_asked_first(house: AppServer, ada: "Page", page: "Page") -> None:
    switch(ada, house, "slow", on=True)
    open_share(page, house, "slow", "zoe")
    say(page, "in use")
    page.get_by_role("article", name="Slow").get_by_text("You said: in use").wait_for()
    menu = open_menu(go(ada, f"{house.url}/playground?flow=slow").get_by_role("button", name="Publish"))
    menu.get_by_text("Shareable Playground").click()
    asked = ada.get_by_role("dialog")
    asked.get_by_text(re.compile(r"used Slow today")).wait_for()
    asked.get_by_role("button", name="Keep sharing").click()
    asked.wait_for(state="detached")
    assert open_menu(ada.get_by_role("button", name="Publish")).get_by_role("switch").is_checked()
    switch(ada, house, "slow", on=False)
    page.reload()
    page.get_by_text("You don't have access to this page").wait_for()


def test_the_first_publication_makes_the_first_account(tmp_path: Path, browser: "Browser") -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with (
        AppServer(tmp_path, flows=FLOWS) as server,
        visitor(browser, permissions=permissions) as page,
        visitor(browser) as other,
    ):
        code = re.search(r"code=(\S+)", server.log)
        assert code is not None
        go(page, f"{server.url}/playground?flow=echo")
        say(page, "before any account")
        answers(page).get_by_text("You said: before").wait_for()
        open_menu(page.get_by_role("button", name="Publish")).get_by_text("Shareable Playground").click()
        fill(page, Owner_code=code[1])
        page.get_by_role("button", name="Continue").click()
        fill(page, Your_name="Grace Hopper")
        page.get_by_role("textbox", name="Password").focus()
        page.wait_for_function("document.querySelector('input[autocomplete=username]')?.value === 'grace.hopper'")
        page.keyboard.type(PASSWORD)  # the name drew the fields anew, and the writer is where they were
        fill(page, User_name="grace")
        page.get_by_role("button", name="Create account").click()
        copy = page.get_by_test_id("stPopoverBody").get_by_role("button", name="Copy link")  # the menu is open, with it
        copy.wait_for()
        assert copied(still(page), copy) == f"{server.url}/public_flow/echo"
        page.keyboard.press("Escape")
        page.get_by_text("Grace Hopper").wait_for()
        answers(page).get_by_text("You said: before").wait_for()  # what the local owner said is hers
        open_share(other, server, "echo", "grace")


def test_an_invitation_lands_on_the_flow_that_it_was_made_for(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    switch(ada, house, "hidden", on=True)
    ada.get_by_role("button", name="Who can open it").click()
    ada.get_by_text("People and groups").click()
    still(ada).get_by_role("button", name="Save").click()
    ada.get_by_role("button", name="Save").wait_for(state="detached")
    open_menu(ada.get_by_role("button", name="Publish"))
    ada.get_by_role("button", name="Who can open it").click()
    ada.get_by_role("button", name="Invite somebody new").click()
    fill(ada, User_name="mina")
    ada.get_by_role("dialog").get_by_role("textbox", name="Name", exact=True).fill("Mina M.")
    ada.get_by_role("button", name="Make the invitation").click()
    copy = ada.get_by_role("dialog").get_by_role("button", name="Copy link")
    copy.wait_for()
    link = copied(still(ada), copy)
    with visitor(browser) as mina:
        go(mina, link.replace("invitation=", "invitation=x")).get_by_text("This link does not work").wait_for()
        go(mina, link.replace("flow=hidden", "flow=unshared")).get_by_text("Ada invites you to Flowground.").wait_for()
        go(mina, link).get_by_text("Ada invites you to Hidden.").wait_for()
        fill(mina, Password=PASSWORD)
        mina.get_by_role("button", name="Set the password and sign in").click()
        await_composer(mina)
        assert mina.url == f"{house.url}/public_flow/hidden"
        go(mina, link).get_by_role("link", name="Open Hidden").click()
        await_composer(mina)
    with visitor(browser) as bob:
        go(bob, link).get_by_text("This link does not work").wait_for()
        go(enter_as(bob, house, "bob"), link).get_by_text("This link does not work").wait_for()
