"""*Who can open it* with many people, in Debian's chromium: found by a word, chosen, counted, saved."""

from typing import TYPE_CHECKING

import pytest

from flowground.settings import Settings
from flowground.store.database.connections import Database
from flowground.store.people import members
from tests.acme import switch
from tests.house import House
from tests.open_page import flow_text, go, open_menu, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOUSE = House(flows={"talk": flow_text("scripted:echo", "Talk")})


@pytest.fixture(scope="module", autouse=True)
def _crowd(house: AppServer) -> None:
    engine = Database.make(Settings.load(house.config_file).database).writer
    with engine.begin() as connection:
        for number in range(120):
            name = f"Person {number:03}"
            members.add(connection, name=f"p{number:03}", display_name=name, role="member", by="tests")
    engine.dispose()


def test_somebody_among_many_is_found_chosen_and_let_in(house: AppServer, ada: "Page") -> None:
    switch(ada, house, "talk", on=True)
    pane = ada.get_by_role("dialog")

    def open_pane() -> None:
        go(ada, f"{house.url}/playground?flow=talk")
        open_menu(ada.get_by_role("button", name="Publish")).get_by_role("button", name="Who can open it").click()
        pane.get_by_role("button", name="Save").wait_for()
        still(ada)

    open_pane()
    pane.get_by_text("124 people can open it (authors and admins included)", exact=True).wait_for()
    assert "Person" not in pane.inner_text()
    pane.get_by_text("People and groups").click()
    pane.get_by_text("2 people can open it, once saved").wait_for()
    still(ada)
    pane.get_by_role("searchbox", name="Find people").fill("person 11")
    pane.get_by_text("and 5 more").wait_for()
    still(ada)
    pane.get_by_role("button", name="Person 111").click()
    pane.get_by_text("3 people can open it, once saved").wait_for()
    still(ada)
    pane.get_by_role("button", name="Save").click()
    pane.wait_for(state="detached")
    ada.get_by_test_id("stToast").get_by_text("Shared with 1 person").wait_for()
    open_pane()
    pane.get_by_text("3 people can open it (").click()
    pane.get_by_text("Person 111 (p111) chosen").wait_for()
    pane.get_by_text("admin, always").wait_for()


def test_somebody_among_many_is_found_to_look_as_them(house: AppServer, ada: "Page") -> None:
    go(ada, f"{house.url}/public_flow/talk?as=member")
    banner = ada.locator(".st-key-preview")
    search = banner.get_by_role("searchbox", name="Find a member")
    search.fill("nobody here")
    banner.get_by_text("Nobody by that name.").wait_for()
    search.fill("person 117")
    banner.get_by_text("Nobody by that name.").wait_for(state="detached")
    still(ada)
    banner.get_by_role("combobox").click()
    ada.get_by_role("option", name="Person 117 (p117)").click()
    ada.wait_for_url("**as=member%3Ap117*")
    banner.get_by_text("as p117").wait_for()
    assert ada.get_by_role("option").count() == 0
    banner.get_by_role("button", name="End preview").click()
    banner.wait_for(state="detached")
