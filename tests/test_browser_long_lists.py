"""Lists that are longer than a page, in Debian's chromium: groups and people."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from flowground.settings import Settings
from flowground.store.connections import Database
from flowground.store.people import groups, members
from tests.acme import switch
from tests.open_page import Locator, Page, flow_text, go, open_menu, still
from tests.servers import AppServer, House

HOUSE = House(flows={"third": flow_text("scripted:echo", "Third")})


@contextmanager
def database(house: AppServer) -> Iterator[Connection]:
    engine = Database.open(Settings.load(house.config_file).database).writer
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module", autouse=True)
def choir(house: AppServer) -> str:
    """Of 30 groups one has 40 of 120 people, the others nobody; its id."""
    with database(house) as connection:
        for number in range(120):
            key, name = f"p{number:03}", f"Person {number:03}"
            members.add(connection, name=key, display_name=name, role="member", by="tests")
        for number in range(29):
            groups.add(connection, name=f"Team {number:02}", by="tests")
        group = groups.add(connection, name="Choir", by="tests")
        singing = [f"p{number:03}" for number in range(40)]
        groups.change_members(connection, group_id=group.id, added=singing, by="tests")
    return group.id


def search(place: Locator | Page, name: str, words: str, *, gone: str) -> None:
    """Until this text is gone, which stood there before."""
    field = place.get_by_role("searchbox", name=name)
    field.fill(words)
    place.get_by_text(gone).first.wait_for(state="detached")
    still(field.page)


def test_a_large_group_is_edited_without_its_people_on_the_page(house: AppServer, ada: Page, choir: str) -> None:
    go(ada, f"{house.url}/organization").get_by_role("tab", name="Groups").click()
    ada.get_by_text("1 to 25 of 30").wait_for()
    still(ada).get_by_text("and 32 more").wait_for()
    assert ada.get_by_text("Person 030").count() == 0
    ada.get_by_role("button", name="Page 2").click()
    ada.get_by_text("26 to 30 of 30").wait_for()
    search(still(ada), "Search groups", "cho", gone="Team 28")
    ada.locator(f".st-key-groups-row-{choir}").get_by_role("button", name="Edit").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_text("1 to 8 of 40").wait_for()
    still(ada)
    assert [dialog.get_by_text(name).count() for name in ("Person 000 (", "Person 008 (")] == [1, 0]
    with database(house) as connection:  # as another admin does meanwhile
        groups.change_members(connection, group_id=choir, added=["p041"], removed=["p001"], by="tests")
    people = dialog.get_by_role("searchbox", name="Search people")
    people.fill("person 051")
    dialog.get_by_text("No results").wait_for()
    still(ada)
    dialog.get_by_role("button", name="Person 051").click()
    dialog.get_by_role("button", name="Remove").wait_for()
    still(ada)
    search(dialog, "Search people", "person 007", gone="Person 051")
    dialog.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Person 007").wait_for()
    people.fill("")
    dialog.get_by_text("1 to 8 of 40").wait_for()
    still(ada)
    dialog.get_by_role("textbox", name="Name").fill("A choir")
    dialog.get_by_role("button", name="Rename").click()
    dialog.wait_for(state="detached")
    ada.get_by_text("A choir").wait_for()
    with database(house) as connection:
        first = groups.list_first_members(connection, ids=[choir], most=99)[choir]
    assert [name in first for name in ("p001", "p007", "p041", "p051")] == [False, False, True, True]


def test_somebody_among_many_is_found_chosen_let_in_and_looked_as(house: AppServer, ada: Page) -> None:
    switch(ada, house, "third", on=True)
    pane = ada.get_by_role("dialog")

    def open_pane() -> None:
        menu = open_menu(go(ada, f"{house.url}/playground?flow=third").get_by_role("button", name="Publish"))
        menu.get_by_role("button", name="Who can open it").click()
        pane.get_by_role("button", name="Save").wait_for()
        still(ada)

    open_pane()
    pane.get_by_text("124 people can open it (authors and admins included)", exact=True).wait_for()
    assert "Person" not in pane.inner_text()
    pane.get_by_text("People and groups").click()
    pane.get_by_text("2 people can open it, once saved").wait_for()
    still(ada)
    pane.get_by_role("searchbox", name="Find people by name or address").fill("person 11")
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
