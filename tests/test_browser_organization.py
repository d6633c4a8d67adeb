"""An organization in Debian's chromium: from the invitation to the chat, asking and approving, one's account."""

from typing import TYPE_CHECKING

import pytest
import requests

from tests.acme import ACME, await_composer, enter_as, switch
from tests.open_page import answers, fill, go, open_menu, revoke, say, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


HOUSE = ACME


def test_asking_reaches_the_owners_and_approving_lets_that_person_in(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    with visitor(browser) as bob, visitor(browser) as olga:
        go(enter_as(olga, house, "olga"), f"{house.url}/playground?flow=hidden")
        enter_as(bob, house, "bob")
        go(bob, house.url).get_by_text("Nothing is shared with you at the moment").wait_for()
        for address in ("unknown", "hidden"):
            go(bob, f"{house.url}/public_flow/{address}").get_by_text("Nothing here for you").wait_for()
            fill(bob, Why_do_you_need_it="For the report")
            bob.get_by_role("button", name="Request access").click()
            if address == "hidden":  # its owner, who did nothing, reads for ten seconds:
                olga.get_by_test_id("stToast").get_by_text("Somebody asks to open Hidden.").wait_for()
            for _ in range(2):  # also after the page is loaded anew
                bob.get_by_role("heading", name="You are waiting for access").wait_for()
                bob.get_by_text("your request is on its way").wait_for()
                assert bob.get_by_text("Nothing here for you").count() == 0
                still(bob).reload()
        go(olga, house.url).get_by_text("For the report").wait_for()
        olga.get_by_role("button", name="Deny").wait_for()
        olga.get_by_role("button", name="Approve").wait_for()
        menu = open_menu(go(ada, f"{house.url}/playground?flow=hidden").get_by_role("button", name="Publish · 1"))
        menu.get_by_role("button", name="Approve").click()
        ada.get_by_test_id("stToast").get_by_text("Bob can now open Hidden.").wait_for()
        ada.get_by_role("button", name="Approve").wait_for(state="detached")
        await_composer(bob)  # who did nothing meanwhile
        olga.get_by_role("button", name="Deny").click()
        olga.get_by_text("no longer exists").wait_for()


def test_who_waits_reads_that_the_owners_declined(house: AppServer, ada: "Page", browser: "Browser") -> None:
    go(ada, house.url)
    with visitor(browser) as zoe:
        enter_as(zoe, house, "zoe")
        go(zoe, f"{house.url}/public_flow/talk").get_by_text("Nothing here for you").wait_for()
        fill(zoe, Why_do_you_need_it="To have a look")
        zoe.get_by_role("button", name="Request access").click()
        zoe.get_by_text("your request is on its way").wait_for()
        ada.get_by_text("To have a look").wait_for()
        ada.get_by_role("button", name="Deny").click()
        ada.get_by_test_id("stToast").get_by_text("Declined. Zoe reads so").wait_for()
        for _ in range(2):
            zoe.get_by_role("heading", name="Your request was declined").wait_for()  # who did nothing meanwhile
            zoe.get_by_text("an admin of Acme; you can ask again from").wait_for()
            assert zoe.get_by_role("button", name="Request access").count() == 0
            still(zoe).reload()
        zoe.get_by_role("link", name="Your flows").click()
        zoe.get_by_text("Nothing is shared with you at the moment").wait_for()


def test_from_the_invitation_to_the_chat_on_every_device_until_signed_out(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    switch(ada, house, "echo", on=True)
    go(ada, f"{house.url}/organization").get_by_role("button", name="Invite somebody").click()
    fill(ada, User_name="mia")
    ada.get_by_role("textbox", name="Name", exact=True).fill("Mia Example")
    ada.get_by_role("button", name="Make the invitation").click()
    link = ada.get_by_role("dialog").get_by_test_id("stCode").inner_text().strip()
    assert link.startswith(f"{house.url}/join?invitation=")
    still(ada)
    ada.get_by_role("button", name="Invite another").click()
    ada.get_by_role("button", name="Make the invitation").wait_for()
    assert still(ada).get_by_role("textbox", name="User name").input_value() == ""
    fill(ada, User_name="max")
    ada.get_by_role("button", name="Make the invitation").click()
    ada.get_by_role("button", name="Done").click()
    ada.get_by_role("dialog").wait_for(state="detached")
    for name in ("mia · Member", "max"):
        row = ada.locator("[class*=st-key-people-row-]").filter(has_text=name)
        row.get_by_text("invited, link valid until").wait_for()
    with visitor(browser) as mia, visitor(browser) as phone, visitor(browser) as thief:
        go(mia, link).get_by_text("Welcome to Acme").wait_for()
        mia.get_by_text("Ada invites you to Acme.").wait_for()
        mia.get_by_text("At least 8 characters.").wait_for()
        fill(mia, Password="password")
        mia.get_by_role("button", name="Set the password").click()
        mia.get_by_text("too common").wait_for()
        fill(mia, Password="three quiet rivers")
        mia.get_by_role("button", name="Set the password").click()
        mia.wait_for_url(f"{house.url}/")
        go(thief, link).get_by_text("This link does not work").wait_for()
        go(mia, f"{house.url}/public_flow/echo").get_by_role("heading", name="The echo of Acme").wait_for()
        mia.get_by_text("Answers may be wrong.").wait_for()
        say(mia, "from my desk")
        answers(mia).get_by_text("You said: from my desk").wait_for()
        go(phone, f"{house.url}/public_flow/echo")
        sign_in(phone, "mia", "three quiet rivers")
        phone.get_by_role("button", name="from my desk").click()
        phone.get_by_text("You said: from my desk").wait_for()
        kept = mia.context.cookies()
        mia.locator(".st-key-sign_out button:visible").click()
        mia.get_by_role("textbox", name="Password").wait_for()
        thief.context.add_cookies(kept)  # type: ignore[arg-type]  # Playwright gives other types of cookies than it takes
        go(thief, f"{house.url}/public_flow/echo").get_by_role("textbox", name="Password").wait_for()
        assert "The echo" not in thief.content()
    log = house.log
    assert (link.partition("=")[2] in log, "three quiet" in log) == (False, False)


def test_an_account_is_ones_own(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as zoe, visitor(browser) as other:
        enter_as(other, house, "zoe")
        enter_as(zoe, house, "zoe")
        go(zoe, house.url).get_by_role("link", name="Account").click()
        zoe.get_by_role("button", name="Sign out", exact=True).first.wait_for()
        with zoe.expect_download() as fetched:
            zoe.get_by_role("link", name="Download my data").click()
        assert fetched.value.suggested_filename == "flowground-my-data.json"
        assert '"zoe"' in fetched.value.path().read_text("utf-8")
        cookies = {cookie["name"]: cookie["value"] for cookie in zoe.context.cookies()}
        mine = requests.get(f"{house.url}/session/my-data", cookies=cookies, timeout=10)
        assert (mine.status_code, mine.json()["name"], mine.headers["cache-control"]) == (200, "zoe", "no-store")
        fill(zoe, Current_password=PASSWORD, New_password="another good phrase")
        with zoe.expect_response("**/session/start") as begun:
            zoe.get_by_role("button", name="Change the password").click()
        assert begun.value.status == 200
        go(other, f"{house.url}/account").get_by_role("textbox", name="Password").wait_for()
        assert "zoe · Member" in go(zoe, f"{house.url}/account").get_by_test_id("stMain").inner_text()
        old = requests.get(f"{house.url}/session/my-data", cookies=cookies, timeout=10)
        assert old.status_code == 403


def test_admins_find_and_revoke_the_organizations_tokens(house: AppServer, ada: "Page") -> None:
    secret = house.token("nightly build")
    others = [house.token(f"number {number:02}") for number in range(26)]
    headers = {"x-api-key": secret}
    assert requests.get(f"{house.url}/api/v1/flows", headers=headers, timeout=10).status_code == 200
    go(ada, f"{house.url}/organization").get_by_role("tab", name="Tokens").click()
    ada.get_by_text("1 to 25 of 27").wait_for()
    still(ada)
    assert ada.get_by_text("nightly build").count() == 0
    assert not any(token in ada.content() for token in (secret, *others))
    ada.get_by_role("searchbox", name="Search tokens").fill("nightly organization")
    ada.get_by_text("nightly build").wait_for()
    ada.get_by_text("1 to 25 of 27").wait_for(state="detached")
    still(ada)
    revoke(ada.get_by_role("button", name="Revoke"))
    ada.get_by_text("Nothing has these words.").wait_for()
    assert requests.get(f"{house.url}/api/v1/flows", headers=headers, timeout=10).status_code == 403
