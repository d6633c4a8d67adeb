"""What all sockets of one person may do and hold together, and what a socket may before it is known whose it is."""

import json
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from flowground.shims.page_messages import SMALLEST
from tests.chat_socket import ChatSocket, open_chat
from tests.house import House
from tests.page_socket import Browser
from tests.servers import AppServer
from tests.tickets import open_browser
from tests.waiting import eventually

HOUSE = House(flows=["echo"])
HANDSHAKE = (
    "GET /chat?flow=echo HTTP/1.1\r\nHost: 127.0.0.1:{0}\r\nOrigin: http://127.0.0.1:{0}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
AT_ONCE, A_SECOND = 120, 10


@pytest.mark.parametrize(
    "frame", [{"type": "earlier", "before": "m"}, {"type": "steps", "message": "m"}, {"type": "open"}], ids=str
)
def test_all_sockets_of_a_person_share_one_pace(house: AppServer, frame: dict[str, str]) -> None:
    """Eight sockets ask twenty things each, none of them too quickly for itself; everything is answered in the end."""
    house.member(f"hasty-{frame['type']}", "correct horse battery", role="author")
    browser = open_browser(house, f"hasty-{frame['type']}")
    with ExitStack() as stack:
        chats = [stack.enter_context(open_chat(browser, "echo")) for _ in range(8)]
        for number, chat in enumerate(chats):
            chat.show(f"s{number}")
        other = stack.enter_context(open_chat(open_browser(house, "augusta"), "echo"))
        began = time.monotonic()
        for chat in chats:
            for _ in range(20):
                chat.send_raw(json.dumps(frame | {"session": chat.session}))
        assert other.show()["messages"] == []
        assert other.ask("Hello") == "Hello"
        told = [len(chat.read_rest(within=0.02)) for chat in chats]
        assert sum(told) <= AT_ONCE + 1 + A_SECOND * (time.monotonic() - began)
        for chat, count in zip(chats, told, strict=True):
            frames = [chat.read() for _ in range(20 - count)]
            assert {kind["type"] for kind in frames} <= {"messages", "steps", "conversation"}


def test_ten_tabs_come_back_without_waiting(house: AppServer) -> None:
    house.member("tabs", "correct horse battery", role="author")
    browser = open_browser(house, "tabs")
    for _ in range(2):
        with ExitStack() as stack:
            chats = [stack.enter_context(open_chat(browser, "echo")) for _ in range(10)]
            for number, chat in enumerate(chats):
                assert chat.show(f"s{number}")["messages"] == []


def test_nobody_holds_sockets_that_were_refused(house: AppServer) -> None:
    """Three hundred that hear why and stay: half of them at most stand until they are cut."""
    with ExitStack() as stack:
        before = house.descriptors
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=20))
            connection.sendall(HANDSHAKE.format(house.port).encode())
            assert connection.recv(12) == b"HTTP/1.1 101"
        assert house.descriptors <= before + 128 + 3
        eventually(lambda: house.descriptors <= before + 3)


def test_who_is_not_signed_in_sends_next_to_nothing(house: AppServer) -> None:
    with open_chat(Browser(house.url), "echo") as chat:
        assert chat.read()["reason"] == "signed_out"
        with suppress(ConnectionClosed):
            chat.send_raw("x" * (SMALLEST + 1_000))
        assert chat.closed()[0] in (1009, 4401)


def test_long_overrides_are_held_by_no_socket(house: AppServer) -> None:
    """Thirty sockets choose an override of 2.9 MB each: it goes along with each message, and is not kept between."""
    browser = open_browser(house, "olga")
    long = json.dumps({"type": "tweaks", "tweaks": {"Prompt": {"template": "x" * 2_900_000}}})
    with ExitStack() as stack:

        def choose() -> ChatSocket:
            chat = stack.enter_context(open_chat(browser, "echo"))
            chat.show()
            chat.send_raw(long)
            assert chat.read_until("note", "refused")["type"] == "note"
            return chat

        some = [choose() for _ in range(2)]
        before = house.memory
        some += [choose() for _ in range(28)]
        assert house.memory < before + 30_000_000
        assert some[-1].ask("Hello") == "Hello"


def test_a_short_override_still_tells_what_is_kept(house: AppServer) -> None:
    """Beside a text of a million characters."""
    with open_chat(open_browser(house, "olga"), "echo") as chat:
        chat.show()
        kept = {"ChatInput": {"should_store_message": False}, "ChatOutput": {"should_store_message": False}}
        chat.send("tweaks", tweaks=kept | {"Prompt": {"template": "x" * 1_000_000}})
        assert chat.read_until("note")["note"] == "This flow keeps no messages: a reload clears them."
