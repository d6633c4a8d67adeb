"""*New flow* in Debian's chromium: a file from a template, written for who may, shown to other authors."""

import re
from collections.abc import Iterator

import pytest

from flowground.flows.parse import parse_flow
from tests.acme import enter_as
from tests.open_page import Page, answers, fill, flow_text, go, say, still
from tests.servers import SHARED, AppServer, House
from tests.test_local_mode import code_of
from tests.waiting import eventually

HOUSE = House(flows={"echo": flow_text("scripted:echo", "Echo")}, shared={"echo": SHARED})


@pytest.fixture(scope="module")
def alone(house: AppServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The local owner's app, without any flow; after the house, which cannot be opened beside a browser."""
    with House(people={}, flows={}).open(tmp_path_factory.mktemp("alone")) as server:
        yield server


def test_the_owner_without_flows_is_led_to_the_first_one_and_chats_with_it(alone: AppServer, page: Page) -> None:
    go(page, alone.url).get_by_role("button", name="Create the first flow").click()
    dialog = page.get_by_role("dialog")
    fill(page, Name="Zürich: trams & boats")
    dialog.get_by_placeholder("Made from the name: zurich-trams-boats").wait_for()
    dialog.get_by_text("Chat with memory", exact=True).click()
    fill(page, Owner_code=code_of(alone))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/inside\?flow=zurich-trams-boats&edit=yes"))
    written = (alone.folder / "flows" / "zurich-trams-boats.yaml").read_bytes()
    assert parse_flow(written, "zurich-trams-boats.yaml").name == "Zürich: trams & boats"
    field = page.get_by_role("textbox", name="Text of zurich-trams-boats.yaml")
    eventually(field.input_value)
    field.fill(f"{field.input_value()}# typed")
    page.get_by_role("button", name="Save").click()  # by the press that leaves the field
    page.get_by_text("Saved. It answers from now on.").wait_for()
    assert (alone.folder / "flows" / "zurich-trams-boats.yaml").read_bytes() == written + b"# typed"
    still(page).get_by_role("link", name="Zürich: trams & boats").click()
    page.get_by_role("heading", name="Zürich: trams & boats", level=1).wait_for()
    say(page, "Hello")
    answers(page).filter(has_text="Hello").wait_for()

    go(page, alone.url).get_by_role("button", name="New flow").click()
    fill(page, Name="Another one", Address="Zurich trams boats")
    dialog.get_by_text("There is already a flow at zurich-trams-boats. Choose another name or address.").wait_for()
    assert still(page).get_by_role("button", name="Create the flow").is_disabled()
    assert (alone.folder / "flows" / "zurich-trams-boats.yaml").read_bytes() == written + b"# typed"


def test_an_admin_makes_a_flow_an_author_gets_the_text_and_a_member_is_offered_none(
    house: AppServer, ada: Page, page: Page
) -> None:
    go(enter_as(page, house, "bob"), house.url).get_by_role("link", name="Echo").first.wait_for()
    assert still(page).get_by_role("button", name="New flow").count() == 0
    go(enter_as(page, house, "olga"), house.url).get_by_role("button", name="New flow").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Enter a name first.").wait_for()
    dialog.get_by_text("or ask who runs it to: it appears here at once.").wait_for()
    fill(page, Name="Order status")
    dialog.get_by_role("button", name="Copy the file").wait_for()
    dialog.get_by_text('name: "Order status"').wait_for()
    assert dialog.get_by_role("button", name="Create the flow").count() == 0
    assert [file.name for file in (house.folder / "flows").iterdir()] == ["echo.yaml"]

    go(ada, house.url).get_by_role("button", name="New flow").click()
    fill(ada, Name="Order status")
    ada.get_by_role("dialog").get_by_role("button", name="Create the flow").click()
    ada.wait_for_url(re.compile(r"/inside\?flow=order-status&edit=yes"))
    assert (house.folder / "flows" / "order-status.yaml").exists()
