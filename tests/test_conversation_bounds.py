"""What a conversation's socket takes, how many there may be, and how long one stays: from raw sockets."""

import json
import socket
import time
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from flowground.store.publications import Sharing
from flowground.ui.shims.page_messages import SMALLEST
from tests.chat_socket import ChatSocket, open_chat
from tests.chats import OpenChat
from tests.page_socket import Browser, open_browser
from tests.servers import PUBLIC, SHARED, AppServer, House, share
from tests.test_conversation import opened as opened
from tests.test_page_sockets import LONG, remember
from tests.waiting import eventually

CONFIG = {
    "sharing": {"allow_public": True},
    "limits": {"guest_pages": 6, "guest_pages_per_address": 4, "request_seconds": 3},
    "trusted_proxies": ["127.0.0.1"],
}
HOUSE = House(config=CONFIG, flows=["echo", "memory-chatbot"], shared={"echo": PUBLIC, "memory-chatbot": SHARED})
HANDSHAKE = (
    "GET /chat?flow=echo HTTP/1.1\r\nHost: 127.0.0.1:{0}\r\nOrigin: http://127.0.0.1:{0}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
AT_ONCE, A_SECOND = 120, 10
SAY = {"type": "say", "id": "1", "session": "s", "text": "hi"}
DEEP = "[" * 2_000 + "]" * 2_000
MANY = {str(number): 0 for number in range(10_000)}
NO_OBJECT, TOO_MANY = "That was no JSON object.", "That had too many parts."
UNREADABLE: dict[str, tuple[Any, str]] = {
    "nothing": ("", NO_OBJECT),
    "half": ('{"type":"say"', NO_OBJECT),
    "deep": ('{"a":' + DEEP + "}", NO_OBJECT),
    "brackets": ("[" * 100_000, TOO_MANY),
    "keys": (json.dumps(SAY | {"text": 'a \\" b \\', "tweaks": MANY}), TOO_MANY),
    "values": (json.dumps({"type": "tweaks", "tweaks": {"Model": {"model": ["x"] * 500_000}}}), TOO_MANY),
}


@pytest.fixture
def chat(opened: OpenChat) -> ChatSocket:
    return opened("echo", "augusta")


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_ends_the_socket(chat: ChatSocket, name: str) -> None:
    frame, says = UNREADABLE[name]
    chat.send_raw(frame)
    closed = chat.read_until("closed")
    assert (closed["reason"], closed["text"]) == ("unreadable", says)
    assert chat.closed() == (1007, "unreadable")


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        ({}, "type"),
        (SAY | {"as": "olga"}, "as"),
        (SAY | {"tweaks": {"Model": 1}}, "tweaks.Model"),
        ({"type": "open", "session": "s", "after": {"run": "r", "number": -1}}, "after.number"),
        ({"type": "stop", "run": "x" * 1_000_000}, "run"),
    ],
)
def test_what_no_page_sends_is_refused_in_a_sentence(chat: ChatSocket, frame: dict[str, object], place: str) -> None:
    chat.send_raw(json.dumps(frame))
    refused = chat.read_until("refused")
    assert refused["text"].endswith(f"does not know: {place}.")
    assert len(json.dumps(refused)) < 400
    assert chat.show(chat.session)["messages"] == []  # and the page goes on


def test_the_largest_messages_that_are_taken(house: AppServer, opened: OpenChat, chat: ChatSocket) -> None:
    """Who sends more reads why the socket is closed, also while bytes of it are still on their way."""
    chat.send_raw(json.dumps(SAY | {"text": "x" * 2_900_000}))
    assert chat.read_until("refused")["hint"] == "Send it again."  # of another conversation, so nothing was asked
    chat.send_raw(json.dumps(SAY | {"text": "x" * 3_000_000}))
    assert chat.closed()[0] == 1009
    visitor = opened("echo", "a guest")
    assert visitor.ask("🦜" * 200_000) == "🦜" * 200_000
    visitor.send_raw(json.dumps(SAY | {"text": "x" * (4 * 200_000 + 64_000)}))
    assert visitor.closed()[0] == 1009
    with open_chat(Browser(house.url), "echo") as stranger:
        assert stranger.read()["reason"] == "signed_out"
        with suppress(ConnectionClosed):  # it was told to leave
            stranger.send_raw("x" * (SMALLEST + 1_000))
        assert stranger.closed()[0] in (1009, 4401)


def test_one_person_has_two_hundred_open(house: AppServer, opened: OpenChat) -> None:
    browser = open_browser(house, "olga")
    with ExitStack() as stack:
        chats = [stack.enter_context(open_chat(browser, "echo")) for _ in range(200)]
        chats[-1].show()
        late = stack.enter_context(open_chat(browser, "echo"))
        assert late.read()["reason"] == "too_many"
        assert late.closed() == (1013, "too_many")
        assert opened("echo", "augusta").told[-1]["messages"] == []
        chats[0].show()
        assert chats[0].ask("Hello") == "Hello"
    with open_chat(browser, "echo") as again:
        assert again.show()["messages"] == []


def test_guests_share_their_places_as_their_pages_do(house: AppServer) -> None:
    with ExitStack() as stack:

        def open_from(address: str) -> ChatSocket:
            headers = {"X-Forwarded-For": address}
            return stack.enter_context(open_chat(Browser(house.url), "echo", is_public=True, headers=headers))

        many = [open_from("203.0.113.1") for _ in range(4)]
        for chat in many:
            chat.show()
        assert open_from("203.0.113.1").closed()[0] == 1013
        some = [open_from("203.0.113.2") for _ in range(2)]
        for chat in some:
            chat.show()
        open_from("203.0.113.3").show()  # all places were taken: who had most gives one
        gone = eventually(lambda: [chat for chat in many if is_cut(chat)])
        assert len(gone) == 1
        assert some[0].ask("Hello") == "Hello"


def test_a_visitor_who_asks_for_nothing_is_ended(house: AppServer) -> None:
    with open_chat(Browser(house.url), "echo", is_public=True) as chat:
        assert chat.closed() == (1008, "nothing was asked")


def test_who_does_not_read_costs_little_and_is_cut_off(house: AppServer, chat: ChatSocket) -> None:
    """Two hundred times half a megabyte are asked for, and nothing of it is read."""
    remember(house, messages=10, text=LONG)
    assert len(chat.show("long")["messages"]) >= 2
    before = house.memory
    with suppress(ConnectionClosed, TimeoutError):
        for _ in range(200):
            chat.send("open", session="long")
    assert house.memory < before + 20_000_000
    eventually(lambda: is_cut(chat))


def is_cut(chat: ChatSocket) -> bool:
    try:
        chat.connection.send("{}")
    except ConnectionClosed:
        return True
    return False


def test_signing_out_ends_what_this_browser_has_open(house: AppServer) -> None:
    browser, other = (open_browser(house, "augusta") for _ in range(2))
    with open_chat(browser, "echo") as chat, open_chat(other, "echo") as elsewhere:
        chat.show()
        elsewhere.show()
        assert browser.post("/session/end").status_code == 200
        assert chat.read_until("closed")["reason"] == "signed_out"
        assert chat.closed() == (4401, "signed_out")
        assert elsewhere.ask("Hello") == "Hello"


def test_what_another_process_takes_away_ends_within_seconds(house: AppServer, opened: OpenChat) -> None:
    """Flows are unshared, a file is deleted: nobody says anything, and it is told."""
    visitor = opened("echo", "a guest")
    member, admin = (opened("memory-chatbot", who) for who in ("bob", "augusta"))
    for flow in ("echo", "memory-chatbot"):
        share(house, flow, Sharing(is_shared=False))
    assert [chat.read_until("closed")["reason"] for chat in (visitor, member)] == ["not_found"] * 2
    (house.folder / "flows" / "memory-chatbot.yaml").unlink()
    assert admin.read_until("closed")["reason"] == "not_found"
    with open_chat(open_browser(house, "zoe"), "echo") as last:
        assert last.read()["reason"] == "not_found"


def test_a_removed_member_is_signed_out_of_what_is_open(house: AppServer, opened: OpenChat) -> None:
    house.member("carl", "correct horse battery")
    share(house, "echo", PUBLIC)
    chat = opened("echo", "carl")
    assert house.run_command("members", "remove", "carl").returncode == 0
    assert chat.read_until("closed")["reason"] == "signed_out"


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "earlier", "before": "m"},
        {"type": "steps", "message": "m"},
        {"type": "open"},
        {"type": "say", "id": "1", "text": " "},
        {"type": "long", "x": "x" * 70_000},
    ],
    ids=lambda frame: str(frame["type"]),
)
def test_all_sockets_of_a_person_share_one_pace(house: AppServer, opened: OpenChat, frame: dict[str, str]) -> None:
    """Eight sockets ask twenty things each, none of them too quickly for itself; everything is answered in the end."""
    who = f"hasty-{frame['type']}"
    house.member(who, "correct horse battery", role="author")
    chats, other = [opened("echo", who, session=f"s{number}") for number in range(8)], opened("echo", "augusta")
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
        assert {kind["type"] for kind in frames} <= {"messages", "steps", "conversation", "refused"}


def test_nobody_holds_sockets_that_were_refused(house: AppServer) -> None:
    """Three hundred that hear why and stay: they are cut a second later."""
    with ExitStack() as stack:
        before = house.descriptors
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=20))
            connection.sendall(HANDSHAKE.format(house.port).encode())
            assert connection.recv(12) == b"HTTP/1.1 101"
        eventually(lambda: house.descriptors <= before + 3)


def test_long_overrides_are_held_by_no_socket_and_short_ones_are(house: AppServer, opened: OpenChat) -> None:
    """Thirty sockets choose an override of 2.9 MB each: it goes along with each message, and is not kept between."""
    kept = {"ChatInput": {"should_store_message": False}, "ChatOutput": {"should_store_message": False}}

    def choose() -> ChatSocket:
        chat = opened("echo")
        chat.send("tweaks", tweaks=kept | {"Prompt": {"template": "x" * 2_900_000}})
        assert chat.read_until("note", "refused")["note"] == "This flow keeps no messages: a reload clears them."
        return chat

    some = [choose() for _ in range(2)]
    before = house.memory
    some += [choose() for _ in range(28)]
    assert house.memory < before + 30_000_000
    assert some[-1].ask("Hello") == "Hello"
