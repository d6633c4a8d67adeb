"""Lists that are longer than a page, in Debian's chromium: who asks for access, one's own tokens and sign-ins."""

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from flowground.settings import Settings
from flowground.store import tables
from flowground.store.database.connections import Database
from flowground.store.people import access_requests, members, tokens
from tests.acme import enter_as
from tests.axe import fetch_axe, find_ours
from tests.house import House
from tests.open_page import choose, expect_count, flow_text, go, open_menu, revoke, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOUSE = House(flows={"talk": flow_text("scripted:echo", "Talk"), "other": flow_text("scripted:echo", "Other")})
ASKING = 12
SIGNED_IN = 30


@pytest.fixture(scope="module", autouse=True)
def _filled(house: AppServer) -> None:
    """Twelve people ask for "talk", one of them for "other" too; bob has 30 tokens, and is signed in 30 times."""
    engine = Database.make(Settings.load(house.config_file).database).writer
    now = time.time()
    with engine.begin() as connection:
        for number in range(ASKING):
            key, name = f"p{number:02}", f"Person {number:02}"
            members.add(connection, name=key, display_name=name, role="member", by="tests")
            assert access_requests.ask(connection, flow_id="talk", member=key, note=f"For report {number:02}")
        assert access_requests.ask(connection, flow_id="other", member="p07", note="")
        for number in range(SIGNED_IN):
            name = f"script {number:02}"
            tokens.create(connection, name=name, owner="bob", flows=None, expires_at=None, by="tests")
        rows = [
            {
                "id": f"s{number}",
                "member": "bob",
                "created_at": now - number,
                "expires_at": now + 86_400,
                "agent": f"Robot/{number:02}",
            }
            for number in range(SIGNED_IN)
        ]
        connection.execute(insert(tables.sign_ins), rows)
    engine.dispose()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_axe(tmp_path_factory.mktemp("axe"))


def check_looks(page: "Page", axe: str) -> None:
    """Nothing of ours is hard to read or to reach, in light and dark, wide and on a phone."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert find_ours(still(page), axe) == set(), width
    page.set_viewport_size({"width": 1280, "height": 844})


def test_requests_are_searched_turned_and_decided(house: AppServer, ada: "Page", axe: str) -> None:
    go(ada, house.url).get_by_text("1 to 5 of 13").wait_for()
    ada.get_by_role("heading", name="Access requests").wait_for()
    check_looks(ada, axe)
    approve = still(ada).get_by_role("button", name="Approve")
    expect_count(approve, 5)
    ada.get_by_role("button", name="Page 3").click()
    ada.get_by_text("11 to 13 of 13").wait_for()
    still(ada)
    expect_count(approve, 3)
    search = ada.get_by_role("searchbox", name="Search requests")
    search.fill("person 07 other")
    ada.get_by_text("asks for Other").wait_for()
    ada.get_by_text("11 to 13 of 13").wait_for(state="detached")
    still(ada)
    expect_count(approve, 1)
    approve.click()
    ada.get_by_text("Nothing has these words.").wait_for()
    search.fill("")
    ada.get_by_text("of 12", exact=False).first.wait_for()
    menu = open_menu(go(ada, f"{house.url}/playground?flow=talk").get_by_role("button", name="Publish · 12"))
    menu.get_by_text("1 to 5 of 12").wait_for()
    check_looks(ada, axe)
    menu.get_by_role("searchbox", name="Search requests").fill("report 11")
    menu.get_by_text("Person 11", exact=True).wait_for()
    menu.get_by_text("1 to 5 of 12").wait_for(state="detached")
    still(ada)
    menu.get_by_role("button", name="Deny").click()
    ada.get_by_role("button", name="Publish · 11").wait_for()


def test_ones_own_lists_are_searched_and_turned(house: AppServer, browser: "Browser", axe: str) -> None:
    with visitor(browser) as bob:
        enter_as(bob, house, "bob")
        go(bob, f"{house.url}/account").get_by_text("1 to 25 of 31").wait_for()
        bob.get_by_text("1 to 25 of 30").wait_for()
        check_looks(bob, axe)
        bob.get_by_role("searchbox", name="Search tokens").fill("script 04")
        bob.get_by_text("1 to 25 of 30").wait_for(state="detached")
        bob.get_by_role("searchbox", name="Search sign-ins").fill("robot/29")
        bob.get_by_text("1 to 25 of 31").wait_for(state="detached")
        still(bob)
        revoke(bob.get_by_role("button", name="Revoke"))
        bob.get_by_text("Nothing has these words.").wait_for()
        bob.get_by_test_id("stMain").get_by_role("button", name="Sign out", exact=True).first.wait_for()


def test_a_persons_sign_ins_are_turned_in_the_dialog(house: AppServer, ada: "Page", axe: str) -> None:
    go(ada, f"{house.url}/organization").get_by_role("searchbox", name="Search people").fill("bob")
    row = ada.locator(".st-key-people-row-bob")
    ada.locator(".st-key-people-row-p00").wait_for(state="detached")
    still(ada)
    choose(row.get_by_role("button", name="More"), "Sign-ins")
    dialog = ada.get_by_role("dialog")
    dialog.get_by_text("1 to 10 of").wait_for()
    check_looks(ada, axe)
    dialog.get_by_role("searchbox", name="Search sign-ins").fill("robot/28")
    dialog.get_by_text("1 to 10 of").wait_for(state="detached")
    still(ada)
    expect_count(dialog.get_by_text("Robot/28"), 1)
    expect_count(dialog.get_by_text("Robot/27"), 0)
    dialog.get_by_role("button", name="Sign out everywhere").wait_for()
