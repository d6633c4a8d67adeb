"""A server that has accounts and no admin who can sign in: the start says so, and with which command there is one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.page_socket import open_browser, open_page
from tests.people import HASHED, PASSWORD
from tests.servers import AppServer

SAID = re.compile(r"^No admin can sign in: python -m (flowground members add NAME --role admin)$", re.MULTILINE)
MEMBER = {"password": HASHED, "roles": ["member"]}
ADMIN = {"password": HASHED, "roles": ["admin"]}


def members(**usernames: Mapping[str, Any]) -> dict[str, Any]:
    return {"credentials": {"usernames": usernames}}


def test_a_start_without_an_admin_says_so(tmp_path: Path, server: AppServer) -> None:
    """Of accounts that are there: an admin without a password cannot sign in."""
    with AppServer(tmp_path, config=members(grace=MEMBER, root={"roles": ["admin"]})) as without:
        assert SAID.search(without.log)
    assert SAID.search(server.log) is None  # nobody is there yet


def test_the_printed_command_makes_an_admin_of_a_server_that_nobody_owned_any_more(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=members(root=ADMIN)) as server:
        assert SAID.search(server.log) is None
    with AppServer(tmp_path, config={}) as server:
        said = SAID.search(server.log)
        assert said is not None
        words = said[1].replace("NAME", "ada").split()[1:]
        done = server.run_command(*words, told=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
        with open_page(open_browser(server, "ada")) as page:
            assert b"Organization" in page.visit()
    with server:
        assert server.log.count("No admin can sign in") == 1  # the start before
