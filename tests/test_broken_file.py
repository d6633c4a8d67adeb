"""Who reads the mistakes of a file that never was a flow: authors and admins, and nobody else, on the wire."""

import pytest

from tests.house import SHARED, House
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.tickets import open_browser

BROKEN = "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n"
MISTAKES = (b"broken.yaml", b"ChatInptu", b"needs a correction", b"line 3")


HOUSE = House(config={"sharing": {"allow_public": True}}, flows={"broken": BROKEN}, shared={"broken": SHARED})


@pytest.mark.parametrize("who", ["augusta", "olga"])
@pytest.mark.parametrize("page", ["playground", "api_access"])
def test_authors_and_admins_read_the_mistakes(house: AppServer, who: str, page: str) -> None:
    with open_page(open_browser(house, who)) as socket:
        sent = socket.visit(page, "flow=broken")
        assert [word for word in (*MISTAKES, b"Did you mean") if word not in sent] == []
        assert b"Nothing here for you" not in sent
        assert b"Nothing here for you" in socket.visit(page, "flow=unknown")


def test_a_member_meets_the_page_of_unknown_flows(house: AppServer) -> None:
    with open_page(open_browser(house, "bob")) as socket:
        for address in ("broken", "unknown"):
            sent = socket.visit("playground", f"flow={address}")
            assert b"Nothing here for you" in sent
            assert [word for word in MISTAKES if word in sent] == []


@pytest.mark.parametrize("who", ["", "bob", "olga", "augusta"])
def test_the_shareable_playground_tells_nobody(house: AppServer, who: str) -> None:
    browser = open_browser(house, who) if who else Browser(house.url)
    with open_page(browser, base="/public_flow/broken") as socket:
        sent = socket.visit()
        assert (b"Nothing here for you" if who else b"Sign in") in sent
        assert [word for word in MISTAKES if word in sent] == []
