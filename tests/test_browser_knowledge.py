"""The page *Knowledge*: files are added, indexed, found and removed; what is refused or broken says why."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.axe import fetch_axe, find_ours
from tests.house import House
from tests.open_page import expect_count, go, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FLOW = """\
name: Travel desk
owners: [olga]
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""
HOUSE = House(flows={"travel": FLOW})


def test_files_are_added_found_and_removed(house: AppServer, browser: "Browser", tmp_path: "Path") -> None:
    given = {"hotels.md": b"Hotels in Lyon cost 120 euros.", "old.pdf": b"%PDF-1.7 broken", "photo.zip": b"PK\x03\x04"}
    for name, data in given.items():
        (tmp_path / name).write_bytes(data)
    with visitor(browser) as page:
        enter_as(page, house, "olga")
        main = page.get_by_test_id("stMain")
        go(page, f"{house.url}/inside?flow=travel")
        main.get_by_role("link", name="Knowledge").click()
        main.get_by_text("None yet. Add some above").wait_for()
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Add files").click()
        chosen.value.set_files([tmp_path / name for name in given])
        refused = page.get_by_role("list", name="Files of your knowledge").get_by_role("listitem")
        refused.get_by_text("photo.zip is no kind of file that is read").wait_for()
        main.get_by_text("old.pdf is a damaged PDF").wait_for()
        main.get_by_text("1 passage of 1 file").wait_for()
        expect_count(refused, 1)
        assert find_ours(page, fetch_axe(tmp_path)) == set()
        page.get_by_label("What would somebody ask?").fill("What does a hotel in Lyon cost?")
        page.get_by_role("button", name="Find passages").click()
        main.get_by_text("Hotels in Lyon cost 120 euros.").wait_for()
        row = main.locator('[class*="st-key-knowledge-file-uploads-hotels-md"]')
        row.get_by_role("button", name="Remove hotels.md", exact=True).click()
        page.get_by_role("dialog").get_by_text("hotels.md").wait_for()
        page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
        main.get_by_text("0 passages of 0 files").wait_for()
        main.get_by_text("Nothing was found.").wait_for()


def test_a_member_reads_what_stands_at_an_unknown_address(house: AppServer, browser: "Browser") -> None:
    with visitor(browser) as page:
        enter_as(page, house, "bob")
        go(page, f"{house.url}/knowledge?flow=travel")
        page.get_by_text("Nothing here for you").wait_for()
