"""What an open page may say, how often, and how much of it stays: seen from raw sockets of a running server."""

import asyncio
import re
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from websockets.frames import Frame, Opcode

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.publications import Sharing
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.turns import begin_turn
from flowground.ui.shims.page_messages import SMALLEST
from tests.page_socket import Browser, PageSocket, open_browser, open_page, say_bytes
from tests.people import CREDENTIALS
from tests.running import chat_flow
from tests.servers import AppServer, House, shipped_flow
from tests.waiting import eventually

LONG = "é" * 200_000


HOUSE = House(flows=["echo"])


def test_a_stranger_says_no_more_than_a_form(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page.visit()
        assert b"Sign in" in page.run(say_bytes(SMALLEST - 1_000))
        page.begin(say_bytes(SMALLEST + 1_000))
        assert page.closed()[0] == 1009


def test_a_member_says_the_longest_message_in_the_largest_letters(house: AppServer) -> None:
    """200,000 characters of four bytes each, and beside them overrides of two megabytes."""
    with open_page(open_browser(house, "augusta")) as page:
        page.visit("playground", "flow=echo")
        assert page.run(say_bytes(2_900_000))
        page.begin(say_bytes(3_000_000))
        assert page.closed()[0] == 1009


def remember(server: AppServer, *, messages: int, text: str) -> None:
    """A conversation of augusta's, put straight into the store."""
    place: dict[str, Any] = {"flow_id": "echo", "owner": "member:augusta", "session_id": "long"}

    async def write() -> None:
        store = Store.open(Settings.load(server.config_file).database)
        try:
            for number in range(messages):
                at, run = datetime.now(UTC) - timedelta(hours=1, seconds=-number), f"run-{number // 2}"
                role: Any = ("user", "assistant")[number % 2]
                said = StoredMessage(f"message-{number}", role, text, "complete", at, run_id=run)
                await store.write(begin_turn, message=said, **place)
        finally:
            store.close()

    asyncio.run(write())


def test_uvicorn_alone_holds_the_same_bounds(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=CREDENTIALS, flows=["echo"], by="uvicorn") as server:
        with open_page(Browser(server.url)) as page:
            page.visit()
            page.begin(say_bytes(SMALLEST + 1_000))
            assert page.closed()[0] == 1009
        browser = open_browser(server, "augusta")
        with open_page(browser) as page:
            page.visit()
            assert page.run(say_bytes(2_900_000))
        with open_page(browser, session=page.session_id) as again:
            again.visit()
            assert again.session_id == page.session_id


def test_frames_that_are_never_finished_hold_no_memory(house: AppServer) -> None:
    """A frame says its length first: what is too long is refused before it comes."""
    before = house.memory
    begun = Frame(Opcode.BINARY, b"x" * 24_000_000).serialize(mask=True)[:-1]
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url))) for _ in range(4)]
        for page in pages:
            page.visit()
            with suppress(OSError):  # it is hung up on in the middle
                page.send_bytes(begun)
            assert page.closed()[0] == 1009
        assert house.memory - before < 24_000_000


def test_strangers_pages_that_begin_with_their_largest_message_hold_little(house: AppServer) -> None:
    message = say_bytes(10_000)
    message.rerun_script.widget_states.widgets.add(id=f"$$ID-{'b' * 32}-None").int_array_value.data.extend([1] * 50_000)
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url))) for _ in range(24)]
        pages[0].visit()
        before = house.memory
        for page in pages[1:]:
            page.run(message)
        assert house.memory - before < 25_000_000
        assert b"Sign in" in pages[0].visit()


def test_endless_pieces_and_words_are_hung_up_on_without_a_trace_in_the_log(house: AppServer) -> None:
    piece = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    pieces = Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True) + piece * 10_000
    words = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
    told = {(1009, "too many pieces"): pieces, (1003, "that kind of message is not understood"): words}
    for closed, sent in told.items():
        with open_page(Browser(house.url)) as page:
            page.visit()
            page.send_bytes(sent)
            assert page.closed() == closed
    assert [words for words in ("TypeError", "owner code") if words in house.log] == []  # nor where there are accounts


OPEN = Sharing(is_shared=True, audience="public", shares_api=True)
WAIT = re.compile(rb"You can send the next message in (\d+) s\.")
FLOWS = {"echo": shipped_flow("echo"), "silent": chat_flow("scripted:silent", "Silent")}


def serve(folder: Path, *, public: Mapping[str, int] | None = None, **limits: int) -> AbstractContextManager[AppServer]:
    """With accounts, and both flows open to everybody."""
    sharing = {"allow_public": True, "public": dict(public or {})}
    config = {"sharing": sharing, "limits": limits, "trusted_proxies": ["127.0.0.1"]}
    return House(config=config, flows=FLOWS, shared=dict.fromkeys(FLOWS, OPEN)).open(folder)


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
    with closing(sqlite3.connect(server.folder / "data" / "flowground.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {what} WHERE {where}").fetchone()[0])


def test_a_visitor_has_a_minute_over_all_their_tabs(tmp_path: Path) -> None:
    with serve(tmp_path, public={"runs_per_minute": 3}) as server, ExitStack() as pages:
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
        waiting = Browser(server.url)  # for their own answer, everywhere
        open_flow(server, pages, browser=waiting, flow="silent").chat.say("never answered")
        eventually(lambda: stored(server, "messages") == 9)
        for flow in ("silent", "echo"):
            refused = open_flow(server, pages, browser=waiting, flow=flow).say("what I typed")
            assert b"Your last message is still being answered" in refused
        assert stored(server, "messages") == 9
        assert b"of a third" in open_flow(server, pages).say("of a third")


def test_new_browsers_of_one_address_are_no_new_people(tmp_path: Path) -> None:
    """A browser costs a request without a cookie; an address costs more."""
    with serve(tmp_path, public={"address_runs_per_minute": 4}) as server, ExitStack() as pages:
        said = [open_flow(server, pages, address=f"2001:db8:1:2::{n:x}").say(f"word {n}") for n in range(15)]
        assert [bool(WAIT.search(sent)) for sent in said] == [False] * 4 + [True] * 11
        assert b"Many messages are coming from your network" in said[-1]
        assert b"elsewhere" in open_flow(server, pages, address="203.0.113.9").say("elsewhere")
        assert stored(server) == 5


def test_a_flows_day_is_told_and_survives_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path, public={"runs_per_day": 2}) as server, ExitStack() as pages:
        for address in ("203.0.113.1", "203.0.113.2"):
            assert b"hello there" in open_flow(server, pages, address=address).say("hello there")
        server.stop()
        server.start()
        refused = open_flow(server, pages, address="203.0.113.3").say("what I typed")
        assert b"This flow has reached its daily limit; it answers again at 00:00 UTC" in refused
        assert stored(server) == 2
        # The visitors' day is theirs alone.
        olga = open_browser(server, "olga")
        assert b"from a member" in open_flow(server, pages, browser=olga).say("from a member")
        key = {"x-api-key": server.token("t")}
        assert requests.post(f"{server.url}/api/v1/run/echo", json={}, headers=key, timeout=10).status_code == 200


def test_members_pages_obey_the_limit_of_runs(tmp_path: Path) -> None:
    with serve(tmp_path, runs_per_minute=2) as server, ExitStack() as pages:
        browser = open_browser(server, "olga")
        said = [open_flow(server, pages, browser=browser).say(f"what {number} typed") for number in range(3)]
        assert [bool(WAIT.search(sent)) for sent in said] == [False, False, True]
        assert b"The limit is 2 a minute." in said[-1]
        assert stored(server) == 2
        page = open_flow(server, pages)  # a crude client that does not wait gets no more
        page.say("the first")
        for number in range(10):
            page.chat.say(f"word {number}")
        told = [page.chat.read_until("ended", "refused") for _ in range(10)]
        assert [frame["type"] for frame in told].count("ended") <= 1
        assert [frame for frame in told if WAIT.search(str(frame.get("text")).encode())]
        page.chat.read_rest(within=2)  # whatever else it gets
        assert stored(server) == 4


def test_a_flows_visitors_push_out_their_oldest_conversations_only(tmp_path: Path) -> None:
    with serve(tmp_path, public={"conversations": 2}) as server, ExitStack() as pages:
        open_flow(server, pages, browser=open_browser(server, "olga")).say("from a member")
        for number in range(4):
            open_flow(server, pages).say(f"word {number}")
        server.stop()
        server.start()
        open_flow(server, pages).say("the next one")
        eventually(lambda: stored(server, "sessions", "owner LIKE 'visitor:%'") == 2)
        assert stored(server, "sessions", "title = 'the next one'") == 1
        assert stored(server, "sessions", "owner = 'member:olga'") == 1
