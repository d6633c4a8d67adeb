"""Groups among many, in Debian's chromium: found, filled one by one, from a group and from a person."""

from typing import TYPE_CHECKING

import pytest

from flowground.settings import Settings
from flowground.store.database.connections import Database
from flowground.store.people import groups, members
from tests.house import House
from tests.open_page import choose, flow_text, go, still
from tests.servers import AppServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

HOUSE = House(flows={"talk": flow_text("scripted:echo", "Talk")})
IN_CHOIR = 40


@pytest.fixture(scope="module")
def choir(house: AppServer) -> str:
    """Of 30 groups the one of 40 people; the others have nobody. Its id."""
    engine = Database.make(Settings.load(house.config_file).database).writer
    with engine.begin() as connection:
        for number in range(60):
            name = f"Person {number:03}"
            members.add(connection, name=f"p{number:03}", display_name=name, role="member", by="tests")
        made = [groups.add(connection, name=f"Team {number:02}", by="tests") for number in range(29)]
        assert made
        group = groups.add(connection, name="Choir", by="tests")
        singing = [f"p{number:03}" for number in range(IN_CHOIR)]
        groups.change_members(connection, group_id=group.id, added=singing, by="tests")
    engine.dispose()
    return group.id


def open_groups(page: "Page", house: AppServer) -> None:
    go(page, f"{house.url}/organization").get_by_role("tab", name="Groups").click()
    page.get_by_text("1 to 25 of 30").wait_for()
    still(page)


def open_choir(page: "Page", house: AppServer, choir: str) -> "Locator":
    open_groups(page, house)
    page.locator(f".st-key-groups-row-{choir}").get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("In the group").wait_for()
    still(page)
    return dialog


def test_a_large_group_is_edited_without_its_people_on_the_page(house: AppServer, ada: "Page", choir: str) -> None:
    open_groups(ada, house)
    ada.get_by_text("and 32 more").wait_for()
    assert ada.get_by_text("Person 008").count() == 0
    ada.get_by_role("searchbox", name="Search groups").fill("cho")
    ada.get_by_text("Team 00").wait_for(state="detached")
    dialog = open_choir(ada, house, choir)
    dialog.get_by_text("1 to 8 of 40").wait_for()
    assert [dialog.get_by_text(name).count() for name in ("Person 000 (", "Person 008 (")] == [1, 0]
    search = dialog.get_by_role("searchbox", name="Search people")
    search.fill("person 051")
    dialog.get_by_text("None with these words").wait_for()
    still(ada)
    dialog.get_by_role("button", name="Person 051").click()
    dialog.get_by_text("None with these words").wait_for(state="detached")
    dialog.get_by_role("button", name="Remove").wait_for()
    search.fill("person 05")
    dialog.get_by_role("button", name="Person 052").wait_for()
    still(ada)

    def find_places() -> list[object]:
        return [dialog.get_by_role("button", name=name).bounding_box() for name in ("Person 053", "Person 054")]

    places = find_places()
    dialog.get_by_role("button", name="Person 053").click()
    dialog.get_by_text("In the group 3").wait_for()
    still(ada)
    eventually(lambda: find_places() == places)
    dialog.get_by_role("button", name="Person 053").click()  # takes it back
    dialog.get_by_text("In the group 2").wait_for()
    still(ada)
    search.fill("person 007")
    dialog.get_by_text("Person 051").first.wait_for(state="detached")
    still(ada)
    dialog.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Person 007").wait_for()
    search.fill("")
    dialog.get_by_text("1 to 8 of 40").wait_for()
    still(ada)
    dialog.get_by_role("textbox", name="Name").fill("A choir")
    dialog.get_by_role("button", name="Rename").click()
    dialog.wait_for(state="detached")
    ada.get_by_text("A choir").wait_for()


def test_what_another_admin_changes_meanwhile_stays(house: AppServer, ada: "Page", choir: str) -> None:
    dialog = open_choir(ada, house, choir)
    engine = Database.make(Settings.load(house.config_file).database).writer
    with engine.begin() as connection:
        groups.change_members(connection, group_id=choir, added=["p055"], removed=["p001"], by="tests")
    dialog.get_by_role("searchbox", name="Search people").fill("person 056")
    still(ada)
    dialog.get_by_role("button", name="Person 056").click()
    dialog.get_by_role("button", name="Remove").wait_for()
    with engine.connect() as connection:
        first = groups.list_first_members(connection, ids=[choir], most=99)[choir]
    engine.dispose()
    assert ("p055" in first, "p056" in first, "p001" in first) == (True, True, False)


def test_a_persons_groups_are_found_among_many(house: AppServer, ada: "Page", choir: str) -> None:
    assert choir
    go(ada, f"{house.url}/organization").get_by_role("searchbox", name="Search people").fill("p059")
    row = ada.locator(".st-key-people-row-p059")
    row.wait_for()
    ada.locator(".st-key-people-row-bob").wait_for(state="detached")
    still(ada)
    choose(row.get_by_role("button", name="More"), "Groups")
    dialog = ada.get_by_role("dialog")
    dialog.get_by_text("None yet").wait_for()
    dialog.get_by_text("and 24 more").wait_for()
    still(ada)
    dialog.get_by_role("searchbox", name="Search groups").fill("27")
    dialog.get_by_text("and 24 more").wait_for(state="detached")
    still(ada)
    dialog.get_by_role("button", name="Team 27").click()
    dialog.get_by_role("button", name="Remove").wait_for()
    still(ada)
    ada.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    row.get_by_text("Team 27").wait_for()
