"""Who comes to an organization, and goes, in Debian's chromium: what strangers read, invitations, roles, signed out."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import ACME, enter_as, switch
from tests.open_page import choose, composer, expect_count, fill, go, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOUSE = ACME
WAY_IN = "No account yet? Ask the person who sent you this link to invite you."


def test_a_stranger_reads_the_same_way_in_at_every_address(house: AppServer, ada: "Page", page: "Page") -> None:
    switch(ada, house, "echo", on=True)
    seen = set()
    for address in ("/public_flow/echo", "/public_flow/hidden", "/public_flow/no", "/playground?flow=echo", "/"):
        go(page, house.url + address).get_by_text(WAY_IN).wait_for()
        seen.add(still(page).get_by_test_id("stMain").inner_text())
    assert len(seen) == 1
    sign_in(page, "bob", "a wrong password")
    page.get_by_text("User name or password is wrong.").wait_for()
    expect_count(page.get_by_text(WAY_IN), 1)


def test_a_used_invitation_leads_to_its_flow_by_signing_in(house: AppServer, ada: "Page", browser: "Browser") -> None:
    switch(ada, house, "echo", on=True)
    ada.get_by_role("button", name="Who can open it").click()
    ada.get_by_role("button", name="Invite somebody new").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name", exact=True).fill("Mína Example")
    ada.wait_for_function("[...document.querySelectorAll('input')].some(one => one.value === 'mina.example')")
    still(ada)
    dialog.get_by_role("button", name="Make the invitation").click()
    link = dialog.get_by_test_id("stCode").inner_text().strip()
    with visitor(browser) as mina, visitor(browser) as later:
        go(mina, link).wait_for_function("document.activeElement.type === 'password'")
        mina.keyboard.type(PASSWORD)
        mina.keyboard.press("Enter")
        composer(mina).wait_for()
        for address in (link, link.replace("invitation=", "invitation=x")):  # who has no link reads the same
            go(later, address).get_by_text("This link does not work").wait_for()
            later.get_by_text("If you have chosen your password already, sign in with it.").wait_for()
        later.get_by_role("link", name="Sign in").click()
        sign_in(later, "mina.example")
        composer(later).wait_for()
        assert later.url == f"{house.url}/public_flow/echo"
        assert len(later.context.pages) == 1


def test_a_user_name_that_cannot_be_one_is_explained(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/organization").get_by_role("button", name="Invite somebody").click()
    fill(ada, User_name="Lena Hoff")
    ada.get_by_role("textbox", name="Name", exact=True).fill("Lena")
    still(ada)
    ada.get_by_role("button", name="Make the invitation").click()
    says = "A user name is made of small letters, digits and . _ @ + -, without spaces."
    ada.get_by_role("dialog").get_by_text(says).wait_for()
    ada.get_by_role("dialog").get_by_text("For example lena.hoff.").wait_for()


def test_a_role_is_chosen_by_its_words_and_what_was_done_is_said(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/organization").get_by_role("button", name="Invite somebody").click()
    fill(ada, User_name="kim")
    still(ada).get_by_role("button", name="Make the invitation").click()
    ada.get_by_role("button", name="Done").click()
    ada.get_by_role("dialog").wait_for(state="detached")
    choose(still(ada).locator(".st-key-people-more-kim button"), "Change role")
    pane = ada.get_by_role("dialog")
    pane.get_by_role("radio", name="Member", checked=True).wait_for()
    assert still(ada).get_by_role("button", name="Save").is_disabled()
    pane.get_by_text("Everything, including people.").click()
    pane.get_by_role("radio", name="Admin", checked=True).wait_for()
    still(ada).get_by_role("button", name="Save").click()
    ada.get_by_test_id("stToast").get_by_text("kim is an admin now.").wait_for()


def test_who_is_signed_out_by_others_reads_so_and_has_no_sidebar(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    with visitor(browser) as zoe:
        enter_as(zoe, house, "zoe")
        go(zoe, house.url).get_by_test_id("stSidebar").wait_for()
        row = go(ada, f"{house.url}/organization").locator(".st-key-people-more-zoe button")
        choose(row, "Sign-ins")
        ada.get_by_role("button", name="Sign out everywhere").click()
        ada.get_by_test_id("stToast").get_by_text("Zoe is signed out everywhere.").wait_for()
        zoe.get_by_test_id("stSidebar").get_by_role("link", name="All flows").click()
        zoe.get_by_text("You were signed out.").wait_for()
        zoe.get_by_test_id("stSidebar").wait_for(state="hidden")
        assert go(zoe, house.url).get_by_text("You were signed out.").count() == 0


def test_who_approves_is_told_how_many_ask_and_what_it_shares(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    with visitor(browser) as bob:
        enter_as(bob, house, "bob")
        go(bob, f"{house.url}/public_flow/hidden").get_by_text("Then you need access").wait_for()
        fill(bob, Why_do_you_need_it="To read it")
        bob.get_by_role("button", name="Request access").click()
        bob.get_by_text("your request is on its way").wait_for()
        side = go(ada, f"{house.url}/playground?flow=echo").get_by_test_id("stSidebar")
        side.get_by_role("link", name="All flows · 1 request").click()
        ada.get_by_text("Hidden is not shared now: approving shares it, with Bob only.").wait_for()
        width = ada.get_by_test_id("stMainBlockContainer").evaluate("one => one.offsetWidth")
        still(ada).get_by_role("button", name="Approve").click()
        ada.get_by_test_id("stToast").get_by_text("Bob can now open Hidden.").wait_for()
        side.get_by_role("link", name="All flows", exact=True).wait_for()
        assert still(ada).get_by_test_id("stMainBlockContainer").evaluate("one => one.offsetWidth") == width
        composer(bob).wait_for()
