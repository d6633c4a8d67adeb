"""What an open page may say, and how much of it stays: seen from raw sockets of a running server."""

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected
from websockets.frames import Frame, Opcode

from flowground.settings import Settings
from flowground.shims.page_messages import SMALLEST
from flowground.store import Store
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.turns import begin_turn, finish_turn
from flowground.web.open_pages.sockets import OpenPage
from tests.chat_socket import open_chat
from tests.house import House
from tests.page_socket import Browser, open_page, say_bytes
from tests.people import CREDENTIALS
from tests.servers import AppServer
from tests.tickets import open_browser
from tests.waiting import eventually

SHORT = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "2"}
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
    with open_page(open_browser(house, "augusta")) as page:
        page.visit("playground", "flow=echo")
        assert "🦜" * 100 in page.say("🦜" * 100_000).decode("utf-8", "replace")


def test_the_largest_conversation_gets_through_and_so_does_a_page_of_code(house: AppServer) -> None:
    """Fifty of the longest messages, a few at a time: the last question with its answer always.

    What Streamlit finds too large it replaces by an error.
    """
    remember(house, messages=50, text=LONG)
    browser = open_browser(house, "augusta")
    with open_chat(browser, "echo") as chat:
        page = chat.show("long")
        found = page["messages"]
        assert len(found) >= 2
        while page["has_earlier"]:
            chat.send("earlier", session="long", before=found[0]["id"])
            page = chat.read_until("messages")
            assert 2 <= len(page["messages"]) <= 4
            found = page["messages"] + found
        assert [message["text"] == LONG for message in found] == [True] * 50
    with open_page(browser) as opened:
        code = opened.visit("api_access", "flow=echo")
        assert b"/api/v1/run/echo" in code
        assert b"exceeds the message size limit" not in code


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
        browser = open_browser(server, "augusta")
        with ExitStack() as stack:
            pages = [stack.enter_context(open_page(browser)) for _ in range(40)]
            for page in pages:
                page.visit()
            before = server.memory
            for page in pages[:36] * 2:
                page.run(say_bytes(2_900_000))
            eventually(lambda: server.memory <= before + 40_000_000, within=60)
        # Messages on their way, and uvicorn's closed connections, give theirs back some seconds later.
        eventually(lambda: server.descriptors <= 60)
        eventually(lambda: server.memory <= before + 8_000_000, within=60)


def test_uvicorn_alone_holds_the_same_bounds(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=CREDENTIALS, flows=["echo"], by="uvicorn") as server:
        with open_page(Browser(server.url)) as page:
            page.visit()
            page.begin(say_bytes(SMALLEST + 1_000))
            code, reason = page.closed()
            assert (code, "exceeds limit" in reason) == (1009, True)  # by its length, before it came
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


def test_endless_pieces_of_a_message_are_hung_up_on(house: AppServer) -> None:
    piece = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    with open_page(Browser(house.url)) as page:
        page.visit()
        page.send_bytes(Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True) + piece * 10_000)
        assert page.closed() == (1009, "too many pieces")


def test_words_instead_of_bytes_are_refused_without_a_trace_in_the_log(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page.visit()
        page.send_text("hello")
        assert page.closed() == (1003, "only binary messages are understood")
    assert "TypeError" not in house.log


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
