"""Who reads the mistakes of a file that never was a flow: authors and admins, and nobody else, on the wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.opened_sign_in import HASHED
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.tickets import share, signed_in

BROKEN = "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n"
PEOPLE = {role: {"password": HASHED, "roles": [role]} for role in ("admin", "author", "member")}
MISTAKES = (b"broken.yaml", b"ChatInptu", b"needs a correction", b"line 3")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder: Path = tmp_path_factory.mktemp("house")
    config = {"credentials": {"usernames": PEOPLE}, "sharing": {"allow_public": True}}
    with AppServer(folder, config=config, flows={"broken": BROKEN}) as server:
        share(server, "broken")
        yield server


@pytest.mark.parametrize("role", ["admin", "author"])
@pytest.mark.parametrize("page", ["playground", "api_access"])
def test_authors_and_admins_read_the_mistakes(house: AppServer, role: str, page: str) -> None:
    with open_page(signed_in(house, role)) as socket:
        sent = socket.visit(page, "flow=broken")
        assert [word for word in (*MISTAKES, b"Did you mean") if word not in sent] == []
        assert b"Nothing here for you" not in sent
        assert b"Nothing here for you" in socket.visit(page, "flow=unknown")


def test_a_member_meets_the_page_of_unknown_flows(house: AppServer) -> None:
    with open_page(signed_in(house, "member")) as socket:
        for address in ("broken", "unknown"):
            sent = socket.visit("playground", f"flow={address}")
            assert b"Nothing here for you" in sent
            assert [word for word in MISTAKES if word in sent] == []


@pytest.mark.parametrize("who", ["", "member", "author", "admin"])
def test_the_shareable_playground_tells_nobody(house: AppServer, who: str) -> None:
    browser = signed_in(house, who) if who else Browser(house.url)
    with open_page(browser, base="/public_flow/broken") as socket:
        sent = socket.visit()
        assert (b"Nothing here for you" if who else b"Sign in") in sent
        assert [word for word in MISTAKES if word in sent] == []
