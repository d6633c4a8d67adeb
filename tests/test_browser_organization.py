"""An organization in Debian's chromium: from the invitation to the chat, asking and approving, one's account, names."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import requests

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import members
from tests.acme import ACME, await_composer, enter_as, switch
from tests.open_page import Browser, Locator, Page, ask, choose, fill, go, open_menu, revoke, sign_in, still, visitor
from tests.people import HASHED, PASSWORD
from tests.servers import AppServer

HOUSE = ACME


def test_asking_reaches_the_owners_and_approving_lets_that_person_in(
    house: AppServer, ada: Page, browser: Browser
) -> None:
    with visitor(browser) as bob, visitor(browser) as olga:
        go(enter_as(olga, house, "olga"), f"{house.url}/playground?flow=hidden")
        go(enter_as(bob, house, "bob"), house.url).get_by_text("Nothing is shared with you at the moment").wait_for()
        for address in ("unknown", "hidden"):
            go(bob, f"{house.url}/public_flow/{address}").get_by_text("You don't have access to this page").wait_for()
            fill(bob, Why_do_you_need_it="For the report")
            bob.get_by_role("button", name="Request access").click()
            if address == "hidden":  # its owner, who did nothing, reads for ten seconds:
                olga.get_by_test_id("stToast").get_by_text("Somebody asks to open Hidden.").wait_for()
            for _ in range(2):  # also after the page is loaded anew
                bob.get_by_role("heading", name="You are waiting for access").wait_for()
                bob.get_by_text("your request is on its way").wait_for()
                assert bob.get_by_text("You don't have access to this page").count() == 0
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


def test_who_waits_reads_that_the_owners_declined(house: AppServer, ada: Page, page: Page) -> None:
    go(ada, house.url)
    enter_as(page, house, "zoe")
    go(page, f"{house.url}/public_flow/talk").get_by_text("You don't have access to this page").wait_for()
    fill(page, Why_do_you_need_it="To have a look")
    page.get_by_role("button", name="Request access").click()
    page.get_by_text("your request is on its way").wait_for()
    ada.get_by_text("To have a look").wait_for()
    ada.get_by_role("button", name="Deny").click()
    ada.get_by_test_id("stToast").get_by_text("Declined. Zoe sees this").wait_for()
    for _ in range(2):
        page.get_by_role("heading", name="Your request was declined").wait_for()  # who did nothing meanwhile
        page.get_by_text("an admin of Acme, or ask again.").wait_for()
        page.get_by_role("button", name="Request access").wait_for()
        still(page).reload()
    page.get_by_role("link", name="Your flows").click()
    page.get_by_text("Nothing is shared with you at the moment").wait_for()


def test_from_the_invitation_to_the_chat_on_every_device(house: AppServer, ada: Page, browser: Browser) -> None:
    switch(ada, house, "echo", on=True)
    go(ada, f"{house.url}/organization").get_by_role("button", name="Invite somebody").click()
    fill(ada, User_name="nora")
    ada.get_by_role("textbox", name="Name", exact=True).fill("Nora Example")
    ada.get_by_role("button", name="Make the invitation").click()
    link = ada.get_by_role("dialog").get_by_test_id("stCode").inner_text().strip()
    assert link.startswith(f"{house.url}/join?invitation=")
    still(ada).get_by_role("button", name="Invite another").click()
    ada.get_by_role("button", name="Make the invitation").wait_for()
    assert still(ada).get_by_role("textbox", name="User name").input_value() == ""
    fill(ada, User_name="max")
    ada.get_by_role("button", name="Make the invitation").click()
    ada.get_by_role("button", name="Done").click()
    ada.get_by_role("dialog").wait_for(state="detached")
    for name in ("nora · Member", "max"):
        row = ada.locator("[class*=st-key-people-row-]").filter(has_text=name)
        row.get_by_text("invited, link valid until").wait_for()
    with visitor(browser) as nora, visitor(browser) as phone, visitor(browser) as thief:
        go(nora, link).get_by_text("Welcome to Acme").wait_for()
        nora.get_by_text("Ada invites you to Acme.").wait_for()
        for password, says in (("password", "too common"), ("three quiet rivers", None)):
            fill(nora, Password=password)
            nora.get_by_role("button", name="Set the password").click()
            if says:
                nora.get_by_text(says).wait_for()
        nora.wait_for_url(f"{house.url}/")
        go(thief, link).get_by_text("This link does not work").wait_for()
        go(nora, f"{house.url}/public_flow/echo").get_by_role("heading", name="The echo of Acme").wait_for()
        nora.get_by_text("Answers may be wrong.").wait_for()
        ask(nora, "from my desk")
        sign_in(go(phone, f"{house.url}/public_flow/echo"), "nora", "three quiet rivers")
        phone.get_by_role("link", name="from my desk").click()
        phone.get_by_text("You said: from my desk").wait_for()
    log = house.log
    assert (link.partition("=")[2] in log, "three quiet" in log) == (False, False)


def test_an_account_is_ones_own(house: AppServer, browser: Browser) -> None:
    with visitor(browser) as zoe, visitor(browser) as other:
        enter_as(other, house, "zoe")
        go(enter_as(zoe, house, "zoe"), house.url).get_by_role("link", name="Account").click()
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


def test_admins_find_and_revoke_the_organizations_tokens(house: AppServer, ada: Page) -> None:
    secret = house.token("nightly build")
    others = [house.token(f"number {number:02}") for number in range(26)]
    headers = {"x-api-key": secret}
    assert requests.get(f"{house.url}/api/v1/flows", headers=headers, timeout=10).status_code == 200
    go(ada, f"{house.url}/organization").get_by_role("tab", name="Tokens").click()
    ada.get_by_text("1 to 25 of 27").wait_for()
    assert still(ada).get_by_text("nightly build").count() == 0
    assert not any(token in ada.content() for token in (secret, *others))
    ada.get_by_role("searchbox", name="Search tokens").fill("nightly organization")
    ada.get_by_text("nightly build").wait_for()
    ada.get_by_text("1 to 25 of 27").wait_for(state="detached")
    still(ada)
    revoke(ada.get_by_role("button", name="Revoke"))
    ada.get_by_text("No results.").wait_for()
    assert requests.get(f"{house.url}/api/v1/flows", headers=headers, timeout=10).status_code == 403


def add(house: AppServer, name: str) -> None:
    """A member of the database."""

    def add_them() -> None:
        store = Store.open(Settings.load(house.config_file).database)
        try:
            options = {"display_name": name.title(), "password": HASHED, "by": "tests"}
            asyncio.run(store.write(members.add, name=name, role="member", **options))
        finally:
            store.close()

    with ThreadPoolExecutor(1) as elsewhere:  # Playwright holds this thread's event loop
        elsewhere.submit(add_them).result()


def find_row(page: Page, member: str) -> Locator:
    return page.locator(f'[class*="st-key-people-row-{member}"]')


def open_names(page: Page, member: str) -> Locator:
    choose(find_row(page, member).get_by_role("button", name="More"), "Edit name")
    page.get_by_role("dialog").wait_for()
    return still(page).get_by_role("dialog")


def test_who_is_renamed_stays_on_their_page_and_signs_in_anew_by_the_new_name(
    house: AppServer, ada: Page, browser: Browser
) -> None:
    add(house, "mia")
    switch(ada, house, "echo", on=True)
    with visitor(browser) as mia, visitor(browser) as anew:
        ask(go(enter_as(mia, house, "mia"), f"{house.url}/playground?flow=echo"), "before")

        go(ada, f"{house.url}/organization")
        dialog = open_names(ada, "mia")
        fill(ada, User_name="bob")
        dialog.get_by_role("button", name="Save").click()
        dialog.get_by_text("There is already a member bob").wait_for()
        fill(ada, User_name="maria")
        dialog.get_by_role("textbox", name="Name", exact=True).fill("Maria Example")
        dialog.get_by_role("button", name="Save").click()
        find_row(ada, "mia").get_by_text("Maria Example").wait_for()
        assert "maria" in find_row(ada, "mia").inner_text()

        ask(mia, "after").reload()
        mia.get_by_text("Maria Example").wait_for()

        sign_in(go(anew, house.url), "mia")
        anew.get_by_text("User name or password is wrong").wait_for()
        sign_in(anew, "maria")
        anew.get_by_text("Maria Example").wait_for()
        go(anew, f"{house.url}/playground?flow=echo").get_by_role("button", name="before").wait_for()


def test_everybody_changes_how_they_are_seen_and_who_stands_in_the_file_is_renamed_there(
    house: AppServer, ada: Page, page: Page
) -> None:
    add(house, "carl")
    go(enter_as(page, house, "carl"), f"{house.url}/account")
    fill(page, Your_name="Carl Friedrich")
    page.get_by_role("button", name="Change the name").click()
    page.get_by_role("heading", name="Carl Friedrich").wait_for()
    go(ada, f"{house.url}/organization")
    assert "Carl Friedrich" in find_row(ada, "carl").inner_text()
    dialog = open_names(ada, "bob")
    dialog.get_by_text("id: bob").wait_for()
    assert dialog.get_by_role("textbox").count() == 0
    go(ada, f"{house.url}/account").get_by_role("heading", name="Ada").wait_for()
    assert ada.get_by_role("textbox", name="Your name").count() == 0
