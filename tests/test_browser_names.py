"""Names that change, in Debian's chromium: what an admin does, what open pages show, who signs in by what."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import members
from tests.acme import ACME, enter_as, switch
from tests.open_page import answers, choose, fill, go, say, sign_in, still, visitor
from tests.people import HASHED
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
HOUSE = ACME


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


def find_row(page: "Page", member: str) -> "Locator":
    return page.locator(f'[class*="st-key-people-row-{member}"]')


def open_names(page: "Page", member: str) -> "Locator":
    choose(find_row(page, member).get_by_role("button", name="More"), "Names")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    still(page)
    return dialog


def test_who_is_renamed_stays_on_their_page_and_signs_in_anew_by_the_new_name(
    house: AppServer, ada: "Page", browser: "Browser"
) -> None:
    add(house, "mia")
    switch(ada, house, "echo", on=True)
    with visitor(browser) as mia, visitor(browser) as anew, visitor(browser) as newcomer:
        enter_as(mia, house, "mia")
        go(mia, f"{house.url}/playground?flow=echo")
        say(mia, "before")
        answers(mia).get_by_text("You said: before").wait_for()

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

        say(mia, "after")
        answers(mia).get_by_text("You said: after").wait_for()
        still(mia).reload()
        mia.get_by_text("Maria Example").wait_for()

        go(anew, house.url)
        sign_in(anew, "mia")
        anew.get_by_text("User name or password is wrong").wait_for()
        sign_in(anew, "maria")
        anew.get_by_text("Maria Example").wait_for()
        go(anew, f"{house.url}/playground?flow=echo").get_by_role("button", name="before").wait_for()

        add(house, "mia")
        go(newcomer, house.url)
        sign_in(newcomer, "mia")
        newcomer.get_by_role("link", name="Account").wait_for()
        main = go(newcomer, f"{house.url}/account").get_by_test_id("stMain")
        main.get_by_text("mia · Member").wait_for()
        assert "~" not in main.inner_text()
        go(newcomer, f"{house.url}/playground?flow=echo")
        assert newcomer.get_by_role("button", name="before").count() == 0
        newcomer.locator(".st-key-sign_out button:visible").click()
        newcomer.get_by_role("textbox", name="Password").wait_for()
        assert "~" not in go(ada, f"{house.url}/organization").get_by_test_id("stMain").inner_text()


def test_everybody_changes_how_they_are_seen(house: AppServer, ada: "Page", browser: "Browser") -> None:
    add(house, "carl")
    with visitor(browser) as carl:
        enter_as(carl, house, "carl")
        go(carl, f"{house.url}/account")
        fill(carl, Your_name="Carl Friedrich")
        carl.get_by_role("button", name="Change the name").click()
        carl.get_by_role("heading", name="Carl Friedrich").wait_for()
    go(ada, f"{house.url}/organization")
    assert "Carl Friedrich" in find_row(ada, "carl").inner_text()


def test_who_stands_in_the_file_is_renamed_there(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/organization")
    dialog = open_names(ada, "bob")
    dialog.get_by_text("id: bob").wait_for()
    assert dialog.get_by_role("textbox").count() == 0
    go(ada, f"{house.url}/account").get_by_role("heading", name="Ada").wait_for()
    assert ada.get_by_role("textbox", name="Your name").count() == 0
