"""Names with lines side by side, which Streamlit takes for the end of a component's key: every page draws them."""

import pytest

from tests.open_page import flow_text
from tests.page_socket import Browser, open_page
from tests.servers import AppServer, House

KNOWLEDGE = "knowledge: {hand__book: {uploads: true}}\n"
HOUSE = House(
    people={},
    flows={
        "two__lines": flow_text("scripted:echo", "Two lines") + KNOWLEDGE,
        "at_end_": flow_text("scripted:echo", "At the end"),
        "bro__ken": "components: {",
    },
)
WRONG = b"Something went wrong"


@pytest.mark.parametrize("flow", ["two__lines", "at_end_"])
def test_every_page_of_a_flow_is_drawn(house: AppServer, flow: str) -> None:
    with open_page(Browser(house.url)) as page:
        for name in ("playground", "api_access", "inside", "knowledge"):
            sent = page.visit(name, f"flow={flow}")
            assert WRONG not in sent, name
        page.visit("playground", f"flow={flow}")
        assert b"You said: Hello" in page.say("Hello")


def test_a_file_that_cannot_be_read_is_shown(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        sent = page.visit("inside", "file=bro__ken.yaml")
    assert (WRONG in sent, b"bro__ken.yaml" in sent) == (False, True)
