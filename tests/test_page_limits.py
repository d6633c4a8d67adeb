"""Who may chat has limits: what raw websockets get when they send more than a person would."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from flowground.store.flows.publications import Sharing
from tests.house import share
from tests.page_socket import Browser, PageSocket, open_page
from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow
from tests.test_access_websocket import beside
from tests.tickets import open_browser
from tests.waiting import eventually

OPEN = Sharing(is_shared=True, audience="public", shares_api=True)
WAIT = re.compile(rb"You can send the next message in (\d+) s\.")
FLOWS = {"echo": shipped_flow("echo"), "silent": chat_flow("scripted:silent", "Silent")}


def serve(folder: Path, *, public: Mapping[str, int] | None = None, **limits: int) -> AppServer:
    """To be entered: with accounts, and Echo open to everybody."""
    sharing: dict[str, Any] = {"allow_public": True} | ({"public": dict(public)} if public else {})
    config: dict[str, Any] = {"sharing": sharing, "limits": limits}
    return AppServer(folder, config=config | {"trusted_proxies": ["127.0.0.1"]}, flows=FLOWS)


def open_house(server: AppServer) -> None:
    beside(server, lambda _, sign_in: sign_in.roster.add("mia", role="author", by="tests"))
    for flow in FLOWS:
        share(server, flow, OPEN)


def open_flow(
    server: AppServer, pages: ExitStack, *, browser: Browser | None = None, address: str = "", flow: str = "echo"
) -> PageSocket:
    """The flow's open page, come from an address of its own where one is given."""
    headers = {"X-Forwarded-For": address} if address else None
    opened = open_page(browser or Browser(server.url), base=f"/public_flow/{flow}", headers=headers)
    page = pages.enter_context(opened)
    page.visit()
    return page


def stored(server: AppServer, what: str = "runs", where: str = "1") -> int:
    with sqlite3.connect(server.folder / "data" / "flowground.db") as database:
        return int(database.execute(f"SELECT count(*) FROM {what} WHERE {where}").fetchone()[0])


def test_a_visitor_has_a_minute_over_all_their_tabs(tmp_path: Path) -> None:
    with serve(tmp_path, public={"runs_per_minute": 3}) as server, ExitStack() as pages:
        open_house(server)
        browser = Browser(server.url)
        tabs = [open_flow(server, pages, browser=browser) for _ in range(2)]
        for number, tab in enumerate((*tabs, tabs[0])):
            assert f"word {number}".encode() in tab.say(f"word {number}")
        for tab in tabs:
            refused = tab.say("what I typed")
            wait = WAIT.search(refused)
            assert wait, refused
            assert 0 < int(wait[1]) <= 60
        assert (stored(server), stored(server, "messages")) == (3, 6)
        assert b"of another" in open_flow(server, pages).say("of another")


def test_a_crude_client_that_does_not_wait_gets_no_more(tmp_path: Path) -> None:
    with serve(tmp_path, runs_per_minute=2) as server, ExitStack() as pages:
        open_house(server)
        page = open_flow(server, pages)
        page.say("the first")
        for number in range(10):
            page.chat.say(f"word {number}")
        told = [page.chat.read_until("ended", "refused") for _ in range(10)]
        assert [frame["type"] for frame in told].count("ended") <= 1
        assert [frame for frame in told if WAIT.search(str(frame.get("text")).encode())]
        page.chat.read_rest(within=2)  # whatever else it gets
        assert stored(server) == 2


def test_new_browsers_of_one_address_are_no_new_people(tmp_path: Path) -> None:
    """A browser costs a request without a cookie; an address costs more."""
    with serve(tmp_path, public={"address_runs_per_minute": 4}) as server, ExitStack() as pages:
        open_house(server)
        said = [open_flow(server, pages, address=f"2001:db8:1:2::{n:x}").say(f"word {n}") for n in range(15)]
        assert [bool(WAIT.search(sent)) for sent in said] == [False] * 4 + [True] * 11
        assert b"Many messages are coming from your network" in said[-1]
        assert b"elsewhere" in open_flow(server, pages, address="203.0.113.9").say("elsewhere")
        assert stored(server) == 5


def test_a_flows_day_is_told_and_survives_a_restart(tmp_path: Path) -> None:
    server = serve(tmp_path, public={"runs_per_day": 2})
    with server:
        open_house(server)
        with ExitStack() as pages:
            for address in ("203.0.113.1", "203.0.113.2"):
                assert b"hello there" in open_flow(server, pages, address=address).say("hello there")
    with server, ExitStack() as pages:
        refused = open_flow(server, pages, address="203.0.113.3").say("what I typed")
        assert b"This flow has reached its daily limit; it answers again at 00:00 UTC" in refused
        assert stored(server) == 2
        # The visitors' day is theirs alone.
        mia = open_browser(server, "mia")
        assert b"from a member" in open_flow(server, pages, browser=mia).say("from a member")
        key = {"x-api-key": server.token("t")}
        assert requests.post(f"{server.url}/api/v1/run/echo", json={}, headers=key, timeout=10).status_code == 200


def test_a_visitor_waits_for_their_own_answer_everywhere(tmp_path: Path) -> None:
    with serve(tmp_path) as server, ExitStack() as pages:
        open_house(server)
        browser = Browser(server.url)
        waiting = open_flow(server, pages, browser=browser, flow="silent")
        waiting.chat.say("never answered")
        eventually(lambda: stored(server, "messages"))
        for flow in ("silent", "echo"):
            refused = open_flow(server, pages, browser=browser, flow=flow).say("what I typed")
            assert b"Your last message is still being answered" in refused
            assert stored(server, "messages") == 1
        assert b"of another" in open_flow(server, pages).say("of another")


def test_members_pages_obey_the_limit_of_runs(tmp_path: Path) -> None:
    with serve(tmp_path, runs_per_minute=2) as server, ExitStack() as pages:
        open_house(server)
        browser = open_browser(server, "mia")
        said = [open_flow(server, pages, browser=browser).say(f"what {number} typed") for number in range(3)]
        assert [bool(WAIT.search(sent)) for sent in said] == [False, False, True]
        refused = said[-1]
        assert WAIT.search(refused)
        assert b"The limit is 2 a minute." in refused
        assert stored(server) == 2


def test_a_flows_visitors_push_out_their_oldest_conversations_only(tmp_path: Path) -> None:
    with serve(tmp_path, public={"conversations": 2}) as server, ExitStack() as pages:
        open_house(server)
        open_flow(server, pages, browser=open_browser(server, "mia")).say("from a member")
        for number in range(4):
            open_flow(server, pages).say(f"word {number}")
    with server, ExitStack() as pages:
        open_flow(server, pages).say("the next one")
        eventually(lambda: stored(server, "sessions", "owner LIKE 'visitor:%'") == 2)
        assert stored(server, "sessions", "title = 'the next one'") == 1
        assert stored(server, "sessions", "owner = 'member:mia'") == 1
