"""Who comes to an organization, and goes, in Debian's chromium: what strangers read, invitations, roles, signed out,
and what they typed and did not send."""

from dataclasses import replace
from pathlib import Path

from tests.acme import ACME, enter_as, switch
from tests.open_page import Browser, Page, choose, composer, fill, go, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import SHARED, AppServer
from tests.test_local_mode import code_of
from tests.waiting import eventually

HOUSE = replace(ACME, shared={"talk": SHARED})
COUNT = 'Object.keys(localStorage).filter((name) => name.startsWith("flowground:draft:")).length'


def test_a_used_invitation_leads_to_its_flow_by_signing_in(
    house: AppServer, ada: Page, page: Page, browser: Browser
) -> None:
    switch(ada, house, "echo", on=True)
    ada.get_by_role("button", name="Who can open it").click()
    ada.get_by_role("button", name="Invite somebody new").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name", exact=True).fill("Mína Example")
    ada.wait_for_function("[...document.querySelectorAll('input')].some(one => one.value === 'mina.example')")
    still(ada)
    dialog.get_by_role("button", name="Make the invitation").click()
    link = dialog.get_by_test_id("stCode").inner_text().strip()
    go(page, link).wait_for_function("document.activeElement.type === 'password'")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    composer(page).wait_for()
    with visitor(browser) as later:
        for address in (link, link.replace("invitation=", "invitation=x")):  # who has no link reads the same
            go(later, address).get_by_text("This link does not work").wait_for()
            later.get_by_text("If you have chosen your password already, sign in with it.").wait_for()
        later.get_by_role("link", name="Sign in").click()
        sign_in(later, "mina.example")
        composer(later).wait_for()
        assert later.url == f"{house.url}/public_flow/echo"
        assert len(later.context.pages) == 1


def test_who_is_signed_out_by_others_reads_so_and_has_no_sidebar(house: AppServer, ada: Page, page: Page) -> None:
    side = go(enter_as(page, house, "zoe"), house.url).get_by_test_id("stSidebar")
    side.wait_for()
    choose(go(ada, f"{house.url}/organization").locator(".st-key-people-more-zoe button"), "Sign-ins")
    ada.get_by_role("button", name="Sign out everywhere").click()
    ada.get_by_test_id("stToast").get_by_text("Zoe is signed out everywhere.").wait_for()
    side.get_by_role("link", name="All flows").click()
    page.get_by_text("You were signed out.").wait_for()
    side.wait_for(state="hidden")
    assert go(page, house.url).get_by_text("You were signed out.").count() == 0


def test_who_approves_is_told_how_many_ask_and_what_it_shares(house: AppServer, ada: Page, page: Page) -> None:
    go(enter_as(page, house, "bob"), f"{house.url}/public_flow/hidden").get_by_text(
        "you can ask for access here"
    ).wait_for()
    fill(page, Why_do_you_need_it="To read it")
    page.get_by_role("button", name="Request access").click()
    page.get_by_text("your request is on its way").wait_for()
    side = go(ada, f"{house.url}/playground?flow=echo").get_by_test_id("stSidebar")
    side.get_by_role("link", name="All flows · 1 request").click()
    ada.get_by_text("Hidden is not shared now: approving shares it, with Bob only.").wait_for()
    still(ada).get_by_role("button", name="Approve").click()
    ada.get_by_test_id("stToast").get_by_text("Bob can now open Hidden.").wait_for()
    side.get_by_role("link", name="All flows", exact=True).wait_for()
    composer(page).wait_for()


def write_draft(house: AppServer, page: Page) -> None:
    go(enter_as(page, house, "zoe"), f"{house.url}/public_flow/talk")
    composer(still(page)).fill("half a thought")
    page.wait_for_function(f"{COUNT} === 1")


def test_drafts_stay_for_oneself_and_go_when_somebody_else_signs_in(house: AppServer, page: Page) -> None:
    write_draft(house, page)
    for name, left in (("zoe", 1), ("bob", 0)):
        page.context.clear_cookies()  # their sign-in ran out
        go(page, house.url).get_by_text("No account yet? Ask the person who sent you this link").wait_for()
        assert page.evaluate(COUNT) == 1
        sign_in(still(page), name)
        page.get_by_role("link", name="Account").wait_for()
        assert page.evaluate(COUNT) == left


def test_drafts_go_at_sign_out_and_with_ones_conversations(house: AppServer, page: Page) -> None:
    write_draft(house, page)
    go(page, f"{house.url}/account").get_by_role("button", name="Delete my conversations").click()
    page.get_by_role("button", name="Delete all").click()
    page.wait_for_function(f"{COUNT} === 0")
    write_draft(house, page)
    page.locator(".st-key-sign_out button:visible").click()
    page.get_by_role("textbox", name="Password").wait_for()
    assert page.evaluate(COUNT) == 0


def test_by_link_a_browser_is_let_in_once_and_for_all(browser: Browser, tmp_path: Path) -> None:
    with AppServer(tmp_path, config={"local_mode": "link"}) as server:
        with visitor(browser) as page:
            go(page, f"{server.url}/?code={code_of(server)}")
            page.get_by_role("link", name="Memory Chatbot").wait_for()
            page.wait_for_url(lambda url: "code=" not in url)
            eventually(lambda: [each for each in page.context.cookies() if each.get("httpOnly")])  # it is let in now
            go(page, server.url).get_by_role("link", name="Memory Chatbot").wait_for()
            assert page.evaluate("document.cookie").count("flowground") == 0
        with visitor(browser) as page:
            go(page, f"{server.url}/playground?flow=echo").get_by_text("Open the link of the terminal").wait_for()
            fill(still(page), **{"Owner code": code_of(server)})
            page.get_by_role("button", name="Continue").click()
            page.get_by_role("heading", name="Echo").wait_for()
