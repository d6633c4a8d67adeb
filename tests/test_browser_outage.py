"""The database is locked while somebody shares a flow: the page shows what is stored, and says why beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acme import FLOWS, switch
from tests.open_page import Locator, Page, go, open_menu, still
from tests.servers import AppServer, House

BUSY = "The database is busy."
HOUSE = House(config={"sharing": {"allow_public": True}, "limits": {"store_seconds": 4}}, flows=FLOWS)


@contextmanager
def locked(house: AppServer) -> Iterator[None]:
    """Another process holds the database."""
    other = sqlite3.connect(house.folder / "data" / "flowground.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def close(pane: Locator) -> None:
    pane.get_by_role("button", name="Close").click()
    pane.wait_for(state="detached")
    still(pane.page)


def wait_for_toggle(page: Page, *, is_on: bool) -> None:
    page.get_by_test_id("stPopoverBody").get_by_role("switch", checked=is_on).wait_for()


@pytest.mark.parametrize("shared", [True, False])
def test_the_publish_switch_shows_what_is_stored(house: AppServer, ada: Page, *, shared: bool) -> None:
    switch(ada, house, "talk", on=shared)
    menu = ada.get_by_test_id("stPopoverBody")
    with locked(house):
        menu.get_by_text("Shareable Playground").click()
        ada.get_by_text(BUSY).wait_for()
        still(ada)
        wait_for_toggle(ada, is_on=shared)
        assert menu.get_by_text(BUSY).count() == ada.get_by_text(BUSY).count() == 1
    menu.get_by_text("Shareable Playground").click()  # the wish, uttered again
    menu.get_by_text("Off: only authors" if shared else "Shared with your organization. They").wait_for()
    wait_for_toggle(ada, is_on=not shared)
    ada.get_by_text(BUSY).wait_for(state="detached")
    open_menu(go(ada, ada.url).get_by_role("button", name="Publish"))
    wait_for_toggle(ada, is_on=not shared)


def test_who_can_open_it_shows_what_is_stored_when_it_is_opened_again(house: AppServer, ada: Page) -> None:
    switch(ada, house, "talk", on=True)
    pane = ada.get_by_role("dialog")

    def open_pane() -> None:
        open_menu(ada.get_by_role("button", name="Publish")).get_by_role("button", name="Who can open it").click()
        pane.get_by_role("button", name="Save").wait_for()
        still(ada)

    open_pane()
    pane.get_by_text("4 people can open it").wait_for()
    pane.get_by_text("Anybody with the link").click()
    pane.get_by_text("Anybody can open it").wait_for()
    with locked(house):
        pane.get_by_text("People and groups").click()
        for ticked in ("Share the API too", "Stop sharing on a date"):
            pane.get_by_text(ticked).click()
        pane.get_by_role("button", name="Save").click()
        pane.get_by_text(BUSY).wait_for()
        still(ada)
    close(pane)
    open_pane()
    pane.get_by_role("radio", name="Everyone in your organization", checked=True).wait_for()
    assert [box.is_checked() for box in pane.get_by_role("checkbox").all()] == [False, False]
    assert pane.get_by_text(BUSY).count() == 0
