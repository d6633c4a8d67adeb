"""What a conversation's socket takes, how many there may be, and how long one stays: from raw sockets."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from flowground.store.flows.publications import Sharing
from tests.chat_socket import ChatSocket, open_chat
from tests.house import PUBLIC, SHARED, House, share
from tests.page_socket import Browser
from tests.servers import AppServer
from tests.test_page_sockets import LONG, remember
from tests.tickets import open_browser
from tests.waiting import eventually

CONFIG = {
    "sharing": {"allow_public": True},
    "limits": {"guest_pages": 6, "guest_pages_per_address": 4, "request_seconds": 3},
    "trusted_proxies": ["127.0.0.1"],
}
HOUSE = House(config=CONFIG, flows=["echo", "memory-chatbot"], shared={"echo": PUBLIC, "memory-chatbot": SHARED})


@pytest.fixture
def chat(house: AppServer) -> Iterator[ChatSocket]:
    """Augusta's, with a conversation open."""
    with open_chat(open_browser(house, "augusta"), "echo") as opened:
        opened.show()
        yield opened


DEEP = "[" * 2_000 + "]" * 2_000
SAY = {"type": "say", "id": "1", "session": "s", "text": "hi"}


@pytest.mark.parametrize("frame", ["", "x", "[]", "null", '"text"', "{", '{"type":"say"', DEEP, '{"a":' + DEEP + "}"])
def test_what_is_no_json_object_ends_the_socket(chat: ChatSocket, frame: str) -> None:
    chat.send_raw(frame)
    closed = chat.read_until("closed")
    assert (closed["reason"], closed["text"]) == ("unreadable", "That was no JSON object.")
    assert chat.closed() == (1007, "unreadable")


MANY = {str(number): 0 for number in range(10_000)}
COUNTLESS = (
    SAY | MANY,
    SAY | {"text": 'a \\" b \\', "tweaks": MANY},
    {"type": "tweaks", "tweaks": {"Model": {"model": [[]] * 10_000}}},
    {"type": "tweaks", "tweaks": {"Model": {"model": ["x"] * 500_000}}},
)


@pytest.mark.parametrize("frame", ["[" * 100_000, *map(json.dumps, COUNTLESS)], ids=range(5))
def test_a_frame_of_countless_parts_is_not_read(chat: ChatSocket, frame: str) -> None:
    chat.send_raw(frame)
    closed = chat.read_until("closed")
    assert (closed["reason"], closed["text"]) == ("unreadable", "That had too many parts.")
    assert chat.closed() == (1007, "unreadable")


@pytest.mark.parametrize("text", ["[{,", '\\",[', "\\\\,", '",{\\'])
def test_signs_in_a_text_are_no_parts(chat: ChatSocket, text: str) -> None:
    """What stands in a string may look like JSON, a program's code for one."""
    assert chat.ask(text * 4_000) == text * 4_000


def test_bytes_are_not_understood(chat: ChatSocket) -> None:
    chat.send_raw(b"{}")
    assert chat.closed() == (1003, "only text is understood")


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        ({}, "type"),
        ({"type": "shout"}, "type"),
        ({"type": ["say"]}, "type"),
        (SAY | {"as": "olga"}, "as"),
        (SAY | {"id": "x" * 65}, "id"),
        (SAY | {"id": 7}, "id"),
        (SAY | {"session": "x" * 201}, "session"),
        (SAY | {"session": ""}, "session"),
        (SAY | {"tweaks": []}, "tweaks"),
        (SAY | {"tweaks": {"Model": 1}}, "tweaks.Model"),
        (SAY | {"id": "a b"}, "id"),
        ({"type": "earlier", "session": "s", "before": "a\x00b"}, "before"),
        ({"type": "steps", "session": "s", "message": "\x00"}, "message"),
        ({"type": "again", "id": "1", "session": "s", "message": "é"}, "message"),
        ({"type": "open", "session": "s", "after": {"run": "r", "number": -1}}, "after.number"),
        ({"type": "open", "session": "s", "after": {"run": "r", "number": 2**63}}, "after.number"),
        ({"type": "stop", "run": "x" * 1_000_000}, "run"),
    ],
)
def test_what_no_page_sends_is_refused_in_a_sentence(chat: ChatSocket, frame: dict[str, object], place: str) -> None:
    chat.send_raw(json.dumps(frame))
    refused = chat.read_until("refused")
    assert refused["text"] == f"This page sent something that the server does not know: {place}."
    assert refused["hint"] == "Reload the page."
    assert len(json.dumps(refused)) < 400
    assert chat.show(chat.session)["messages"] == []  # and the page goes on


def test_the_largest_messages_that_are_taken(chat: ChatSocket) -> None:
    chat.send_raw(json.dumps(SAY | {"text": "x" * 2_900_000}))
    assert chat.read_until("refused")["hint"] == "Send it again."  # of another conversation, so nothing was asked
    with suppress(ConnectionClosed):
        chat.send_raw(json.dumps(SAY | {"text": "x" * 3_000_000}))
    assert chat.closed()[0] == 1009


def test_blanks_alone_are_no_message(chat: ChatSocket) -> None:
    name = chat.say(" \n\t ")
    refused = chat.read_until("refused", "started")
    assert (refused["id"], refused["text"]) == (name, "There is nothing to send.")


def test_one_person_has_two_hundred_open(house: AppServer) -> None:
    browser = open_browser(house, "olga")
    with ExitStack() as stack:
        chats = [stack.enter_context(open_chat(browser, "echo")) for _ in range(200)]
        chats[-1].show()
        late = stack.enter_context(open_chat(browser, "echo"))
        assert late.read()["reason"] == "too_many"
        assert late.closed() == (1013, "too_many")
        other = stack.enter_context(open_chat(open_browser(house, "augusta"), "echo"))
        assert other.show()["messages"] == []
        assert "Hello" in chats[0].show()["session"] + chats[0].ask("Hello")
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
        gone = eventually(lambda: [chat for chat in many if is_closed(chat)])
        assert len(gone) == 1
        assert some[0].ask("Hello") == "Hello"


def is_closed(chat: ChatSocket) -> bool:
    try:
        chat.read_rest(within=0.05)
        chat.send("stop")
    except ConnectionClosed:
        return True
    return False


def test_a_visitors_message_is_as_long_as_messages_may_be(house: AppServer) -> None:
    with open_chat(Browser(house.url), "echo", is_public=True) as chat:
        chat.show()
        assert chat.ask("🦜" * 200_000) == "🦜" * 200_000
        with suppress(ConnectionClosed):
            chat.send_raw(json.dumps(SAY | {"text": "x" * (4 * 200_000 + 64_000)}))
        assert chat.closed()[0] == 1009


def test_a_visitor_who_asks_for_nothing_is_ended(house: AppServer) -> None:
    with open_chat(Browser(house.url), "echo", is_public=True) as chat:
        assert chat.closed() == (1008, "nothing was asked")


def test_who_does_not_read_costs_little_and_is_cut_off(house: AppServer) -> None:
    """Two hundred times half a megabyte are asked for, and nothing of it is read."""
    remember(house, messages=10, text=LONG)
    with open_chat(open_browser(house, "augusta"), "echo") as chat:
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


def test_what_another_process_takes_away_ends_within_seconds(house: AppServer) -> None:
    """Flows are unshared, a file is deleted: nobody says anything, and it is told."""
    with ExitStack() as stack:
        visitor = stack.enter_context(open_chat(Browser(house.url), "echo", is_public=True))
        member = stack.enter_context(open_chat(open_browser(house, "bob"), "memory-chatbot"))
        admin = stack.enter_context(open_chat(open_browser(house, "augusta"), "memory-chatbot"))
        for chat in (visitor, member, admin):
            chat.show()
        share(house, "echo", Sharing(is_shared=False))
        share(house, "memory-chatbot", Sharing(is_shared=False))
        assert visitor.read_until("closed")["reason"] == "not_found"
        assert member.read_until("closed")["reason"] == "not_found"
        (Path(house.folder) / "flows" / "memory-chatbot.yaml").unlink()
        assert admin.read_until("closed")["reason"] == "not_found"
        last = stack.enter_context(open_chat(open_browser(house, "zoe"), "echo"))
        assert last.read()["reason"] == "not_found"


def test_a_removed_member_is_signed_out_of_what_is_open(house: AppServer) -> None:
    house.member("carl", "correct horse battery")
    share(house, "echo", PUBLIC)
    with open_chat(open_browser(house, "carl"), "echo") as chat:
        chat.show()
        assert house.run_command("members", "remove", "carl").returncode == 0
        assert chat.read_until("closed")["reason"] == "signed_out"
