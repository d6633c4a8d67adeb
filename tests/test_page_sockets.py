"""What strangers' pages may send, and how many they may open: seen from raw sockets of a running server."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.proto.BackMsg_pb2 import BackMsg
from uvicorn.protocols.utils import ClientDisconnected
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from flowground.settings import Limits, Settings
from flowground.shims.page_messages import SMALLEST
from flowground.store import Store
from flowground.store.runs.conversations import begin_turn, finish_turn
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.web.open_pages.pace import GuestQueue, Pace
from flowground.web.open_pages.sockets import OpenPage, PageSockets
from tests.house import CREDENTIALS, PUBLIC, House
from tests.page_socket import Browser, PageSocket, open_page
from tests.servers import AppServer
from tests.tickets import signed_in
from tests.waiting import eventually

CONFIG = {
    "sharing": {"allow_public": True},
    "limits": {"guest_pages": 6, "guest_pages_per_address": 4},
    "trusted_proxies": ["127.0.0.1"],
}
SHORT = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "2"}
LONG = "é" * 200_000


HOUSE = House(config=CONFIG, flows=["echo"], shared={"echo": PUBLIC})


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """Three seconds of silence are long here."""
    config = CONFIG | {"limits": {"guest_pages": 6, "guest_pages_per_address": 4, "request_seconds": 3}}
    with House(config=config, flows=["echo"]).open(tmp_path_factory.mktemp("hasty")) as server:
        yield server


def said(size: int, *, name: str = f"$$ID-{'a' * 32}-None") -> BackMsg:
    """A message of a page with one widget's text of so many bytes."""
    message = BackMsg()
    widget = message.rerun_script.widget_states.widgets.add()
    widget.id, widget.string_value = name, "é" * (size // 2)
    return message


def begin(page: PageSocket, message: BackMsg) -> None:
    """Its first bytes, which say its length. What is hung up on with bytes still to read may never see why."""
    page.send_bytes(Frame(Opcode.BINARY, message.SerializeToString()).serialize(mask=True)[:1_000])


def closed(page: PageSocket, *, within: float = 20) -> tuple[int, str]:
    """Code and reason with which the server closes the page."""
    with pytest.raises(ConnectionClosed) as told:
        page.received(within=within)
    assert told.value.rcvd is not None
    return told.value.rcvd.code, told.value.rcvd.reason


def memory(server: AppServer) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(server: AppServer) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_a_stranger_says_no_more_than_a_form(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page.visit()
        assert b"Sign in" in page.run(said(SMALLEST - 1_000))
        begin(page, said(SMALLEST + 1_000))
        assert closed(page)[0] == 1009


def test_a_member_says_the_longest_message_in_the_largest_letters(house: AppServer) -> None:
    """200,000 characters of four bytes each, and beside them overrides of two megabytes."""
    with open_page(signed_in(house, "augusta")) as page:
        page.visit("playground", "flow=echo")
        assert page.run(said(2_900_000))
        begin(page, said(3_000_000))
        assert closed(page)[0] == 1009
    with open_page(signed_in(house, "augusta")) as page:
        page.visit("playground", "flow=echo")
        assert "🦜" * 100 in page.say("🦜" * 100_000).decode("utf-8", "replace")


def test_the_largest_pages_we_draw_get_through(house: AppServer) -> None:
    """Fifty of the longest messages, as many at once as a page shows, and a page of code.

    What Streamlit finds too large it replaces by an error.
    """
    remember(house, messages=50, text=LONG)
    browser = signed_in(house, "augusta")
    with open_page(browser) as page:
        sent = page.visit("playground", "flow=echo&session=long")
        assert sent.count(LONG.encode()) >= 2  # the last question with its answer always
        for _ in range(60):
            (earlier, *_) = [widget for widget in page.widgets["button"][::-1] if "earlier" in widget]
            sent = page.press(earlier)
            if sent.count(LONG.encode()) == 50:
                break
        assert sent.count(LONG.encode()) == 50
        code = page.visit("api_access", "flow=echo")
        assert b"/api/v1/run/echo" in code
    assert b"exceeds the message size limit" not in sent + code


def remember(server: AppServer, *, messages: int, text: str) -> None:
    """A conversation of augusta's, put straight into the store."""
    place: dict[str, Any] = {"flow_id": "echo", "owner": "member:augusta", "session_id": "long"}

    async def write() -> None:
        store = Store.open(Settings.load(server.config_file).database)
        try:
            for turn in range(messages // 2):
                at, run = datetime.now(UTC) - timedelta(hours=1, seconds=-turn), f"run-{turn}"
                said = StoredMessage(f"question-{turn}", "user", text, "complete", at, run_id=run)
                record = RunRecord(run, "echo", "test", place["owner"], "long", "complete", at, 0.1)
                await store.write(begin_turn, message=said, **place)
                answer = replace(said, id=f"answer-{turn}", role="assistant")
                await store.write(finish_turn, answers=[answer], run=record, **place)
        finally:
            store.close()

    asyncio.run(write())


def test_nothing_stays_of_large_messages(tmp_path: Path) -> None:
    """36 pages say 2.9 MB each, twice, and stay open; then all forty leave for good.

    Were only each page's last text kept, it would be 52 MB; free memory that is not given back is 18 MB.
    """
    with AppServer(tmp_path, config=CREDENTIALS, flows=["echo"], environment=SHORT) as server:
        browser = signed_in(server, "augusta")
        with ExitStack() as stack:
            pages = [stack.enter_context(open_page(browser)) for _ in range(40)]
            for page in pages:
                page.visit()
            before = memory(server)
            for page in pages[:36] * 2:
                page.run(said(2_900_000))
            wait_for_memory(server, at_most=before + 40_000_000)
        wait_for_descriptors(server, at_most=60)
        wait_for_memory(server, at_most=before + 8_000_000)


def test_uvicorn_alone_holds_the_same_bounds(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=CREDENTIALS, flows=["echo"], by="uvicorn") as server:
        with open_page(Browser(server.url)) as page:
            page.visit()
            begin(page, said(SMALLEST + 1_000))
            code, reason = closed(page)
            assert (code, "exceeds limit" in reason) == (1009, True)  # by its length, before it came
        browser = signed_in(server, "augusta")
        with open_page(browser) as page:
            page.visit()
            assert page.run(said(2_900_000))
        with open_page(browser, session=page.session_id) as again:
            again.visit()
            assert again.session_id == page.session_id


def test_frames_that_are_never_finished_hold_no_memory(house: AppServer) -> None:
    """A frame says its length first: what is too long is refused before it comes."""
    before = memory(house)
    begun = Frame(Opcode.BINARY, b"x" * 24_000_000).serialize(mask=True)[:-1]
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url))) for _ in range(4)]
        for page in pages:
            page.visit()
            with suppress(OSError):  # it is hung up on in the middle
                page.send_bytes(begun)
            assert closed(page)[0] == 1009
        assert memory(house) - before < 24_000_000


def test_endless_pieces_of_a_message_are_hung_up_on(house: AppServer) -> None:
    piece = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    with open_page(Browser(house.url)) as page:
        page.visit()
        page.send_bytes(Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True) + piece * 10_000)
        assert closed(page) == (1009, "too many pieces")


def test_words_instead_of_bytes_are_refused_without_a_trace_in_the_log(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page.visit()
        page.send_text("hello")
        assert closed(page) == (1003, "only binary messages are understood")
    assert "TypeError" not in house.log


def test_one_page_too_many_is_refused_while_none_was_silent_for_long(house: AppServer) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url))) for _ in range(4)]
        for page in pages:
            assert b"Sign in" in page.visit()
        code, reason = closed(stack.enter_context(open_page(Browser(house.url))))
        assert (code, "try again later" in reason) == (1013, True)
        for page in pages:
            assert b"Sign in" in page.visit()


def test_one_page_too_many_takes_the_place_of_the_one_that_was_silent_longest(hasty: AppServer) -> None:
    with ExitStack() as stack:
        pages = []
        for _ in range(4):
            pages.append(stack.enter_context(open_page(Browser(hasty.url))))
            assert b"Sign in" in pages[-1].visit()
        for page in (pages[1], pages[2], pages[3], pages[0]):
            assert b"Sign in" in page.visit()
        time.sleep(3.5)
        for page in (pages[0], pages[2], pages[3]):
            assert b"Sign in" in page.visit()
        late = stack.enter_context(open_page(Browser(hasty.url)))
        assert b"Sign in" in late.visit()
        assert closed(pages[1])[0] == 1013
        for page in (pages[0], pages[2], pages[3], late):
            assert b"Sign in" in page.visit()


def test_who_has_few_pages_takes_the_place_of_who_has_many(house: AppServer) -> None:
    with ExitStack() as stack:

        def opened(address: str) -> PageSocket:
            headers = {"X-Forwarded-For": address}
            return stack.enter_context(open_page(Browser(house.url), headers=headers))

        many = [opened("203.0.113.1") for _ in range(4)]
        some = [opened("203.0.113.2") for _ in range(2)]
        for page in (*many, *some):
            assert b"Sign in" in page.visit()
        assert b"Sign in" in opened("203.0.113.3").visit()
        assert closed(many[0])[0] == 1013
        assert closed(opened("203.0.113.1"))[0] == 1013  # it still has most pages, and none is idle
        for page in (*many[1:], *some):
            assert b"Sign in" in page.visit()


def test_members_and_the_pages_they_have_do_not_count(house: AppServer) -> None:
    with ExitStack() as stack:
        members = [stack.enter_context(open_page(signed_in(house, "augusta"))) for _ in range(8)]
        strangers = [stack.enter_context(open_page(Browser(house.url))) for _ in range(12)]
        late = stack.enter_context(open_page(signed_in(house, "augusta")))
        for page in (*members, late):
            assert b"Echo" in page.visit()
        assert b"Sign in" in strangers[0].visit()
        assert closed(strangers[-1])[0] == 1013


def test_visitors_are_guests_too(house: AppServer) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url), base="/public_flow/echo")) for _ in range(4)]
        assert b"hello" in pages[0].visit() + pages[0].say("hello")
        assert closed(stack.enter_context(open_page(Browser(house.url))))[0] == 1013
        begin(pages[0], said(4 * 200_000 + 66_000))
        assert closed(pages[0])[0] == 1009


def test_what_strangers_left_is_given_back_at_once(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page.visit()
    before = wait_for_descriptors(house, at_most=10_000)
    for _ in range(10):
        with open_page(Browser(house.url)) as page:
            page.visit()
    some = 3  # of the process's own, a connection to the database among them
    assert wait_for_descriptors(house, at_most=before + some) <= before + some


def wait_for_memory(server: AppServer, *, at_most: int) -> None:
    """Messages on their way, and uvicorn's closed connections, give theirs back some seconds later."""
    eventually(lambda: memory(server) <= at_most, within=60)


def wait_for_descriptors(server: AppServer, *, at_most: int) -> int:
    end = time.monotonic() + 20
    while descriptors(server) > at_most and time.monotonic() < end:
        time.sleep(0.1)
    return descriptors(server)


def test_a_page_that_asks_for_nothing_is_ended(hasty: AppServer) -> None:
    with open_page(Browser(hasty.url)) as page:
        assert closed(page) == (1008, "nothing was asked")


def test_the_process_may_open_as_many_files_as_it_can_give_itself(house: AppServer) -> None:
    lines = Path(f"/proc/{house.pid}/limits").read_text().splitlines()
    (soft, hard) = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    assert int(soft) == min(int(hard), 65_536)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [ClientDisconnected(), RuntimeError("after sending 'websocket.close'")])
async def test_a_client_that_is_gone_while_something_is_sent_is_an_end_like_any_other(fault: Exception) -> None:
    """Starlette would be told of the fault, and find the page's next question to be a mistake of the app."""

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1006} if sent else {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "websocket.send":
            raise fault

    sent: list[str] = []
    scope = {"type": "websocket", "headers": [], "extensions": {}}
    page = OpenPage(scope, receive, send, largest=SMALLEST)
    socket = WebSocket(scope, page.receive, page.send)
    await socket.accept()
    for _ in range(2):
        await socket.send_bytes(b"drawn")
    with pytest.raises(WebSocketDisconnect):
        await socket.receive_bytes()
    assert sent == ["websocket.accept", "websocket.send"]


def test_few_descriptors_are_few_guests() -> None:
    limits = Limits()
    assert PageSockets(limits, descriptors=1_024).most == 64
    assert PageSockets(limits, descriptors=65_536).most == limits.guest_pages
    assert PageSockets(Limits(guest_pages=5), descriptors=65_536).most_an_address == 5


def test_a_pace_lets_a_burst_through_and_then_one_at_a_time() -> None:
    pace, waits = Pace(0.5, 3), []
    for _ in range(5):
        waits.append(pace.wait(100.0))
        pace.take(100.0)
    assert waits == [0, 0, 0, 0.5, 1.0]
    assert pace.wait(102.0) == 0


@pytest.mark.anyio
async def test_turns_go_round_the_addresses_and_who_leaves_gives_its_place_up() -> None:
    queue, given = GuestQueue(), []

    async def ask(address: str) -> None:
        await queue.take(address)
        given.append(address)

    flood = [asyncio.create_task(ask("many")) for _ in range(300)]
    await asyncio.sleep(0.05)
    assert given == ["many"] * 40  # at once; then six a second
    gone = flood[40:290]
    for task in gone:
        task.cancel()
    await asyncio.wait_for(ask("few"), 1)
    await asyncio.wait_for(asyncio.gather(*flood[290:292]), 5)
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
