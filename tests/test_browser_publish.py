"""Publishing in Debian's chromium: API access, the share link, who sees what, signing out."""

import re
from pathlib import Path

from tests.acme import await_composer, enter_as, switch
from tests.api_pane import copied, copied_code, copied_line
from tests.open_page import Browser, Page, answers, fill, flow_text, go, open_menu, revoke, say, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import AppServer, House
from tests.snippet_runs import run_snippet

FLOWS = {
    "echo": flow_text("scripted:echo", "Echo", welcome="Whatever you write comes back."),
    "slow": flow_text("scripted:slow", "Slow"),
    "keyed": flow_text("scripted:echo", "Keyed"),
    "hidden": flow_text("scripted:echo", "Hidden"),
    "unshared": flow_text("scripted:echo", "Unshared"),
}
HOUSE = House(flows=FLOWS)


def open_share(browser_page: Page, house: AppServer, flow: str, name: str) -> Page:
    """By the link, through the sign-in, to that very flow."""
    link = f"{house.url}/public_flow/{flow}"
    sign_in(go(browser_page, link), name)
    await_composer(browser_page)
    assert browser_page.url == link
    return still(browser_page)


def test_the_pane_makes_a_token_and_its_code_runs_as_copied(house: AppServer, ada: Page) -> None:
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


def test_who_stops_sharing_a_flow_in_use_is_asked_first(house: AppServer, ada: Page, page: Page) -> None:
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


def test_the_first_publication_makes_the_first_account(tmp_path: Path, browser: Browser) -> None:
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
        page.get_by_text("Shared with your organization").first.wait_for()
        copy = open_menu(still(page).get_by_role("button", name="Publish")).get_by_role("button", name="Copy link")
        assert copied(still(page), copy) == f"{server.url}/public_flow/echo"
        page.keyboard.press("Escape")
        page.get_by_text("Grace Hopper").wait_for()
        answers(page).get_by_text("You said: before").wait_for()  # what the local owner said is hers
        open_share(other, server, "echo", "grace")


def test_an_invitation_lands_on_the_flow_that_it_was_made_for(house: AppServer, ada: Page, browser: Browser) -> None:
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
