"""How much a page's message may unfold to: lists of numbers, empty parts, and what cannot be read."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from flowground.shims.page_messages import Outline
from tests.heartbeat import MOST
from tests.house import PUBLIC, House
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.tickets import open_browser
from tests.waiting import eventually

NAME = f"$$ID-{'a' * 32}-None"
LARGE = 860_000
"""Bytes that a visitor of a public flow may send."""


HOUSE = House(config={"sharing": {"allow_public": True}}, flows=["echo"], shared={"echo": PUBLIC})


@pytest.fixture(scope="module")
def member(house: AppServer) -> Browser:
    return open_browser(house, "augusta")


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def widget(number: int, content: bytes) -> bytes:
    """A message with one widget, whose value is field `number`."""
    return part(11, part(2, part(1, part(1, NAME.encode()) + part(number, content))))


MADE: dict[str, Callable[[int], bytes]] = {
    "numbers": lambda size: widget(8, part(1, b"\x01" * size)),
    "halves of numbers": lambda size: widget(8, b"\x08\x01" * (size // 2)),
    "decimals": lambda size: widget(7, part(1, b"\0" * size)),
    "words": lambda size: widget(9, b"\x0a\0" * (size // 2)),
    "files": lambda size: widget(13, b"\x12\0" * (size // 2)),
    "files beside a message": lambda size: widget(15, part(2, b"\x12\0" * (size // 2))),
    "a table": lambda size: widget(11, b"\x2a\0" * (size // 2)),
    "widgets": lambda size: part(11, part(2, b"\x0a\0" * (size // 2))),
    "messages": lambda size: part(11, b"\x3a\0" * (size // 2)),
    "states": lambda size: b"\x5a\0" * (size // 2),
    "file addresses": lambda size: part(16, b"\x12\0" * (size // 2)),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_what_unfolds_to_much_more_than_it_has_bytes_is_refused(
    house: AppServer, member: Browser, made: Callable[[int], bytes]
) -> None:
    """Said first thing, before the page has drawn anything, and by a member's largest message."""
    for browser, base, size in ((Browser(house.url), "/public_flow/echo", LARGE), (member, "", 2_900_000)):
        with open_page(browser, base=base) as page:
            page._connection.send(made(size))
            assert page.closed() == (1009, "the message has too many parts")


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_nobody_waits_while_it_is_counted(made: Callable[[int], bytes]) -> None:
    data = made(2_900_000)

    def measure() -> float:
        begin = time.thread_time()
        assert Outline(data).is_too_much
        return time.thread_time() - begin

    assert min(measure() for _ in range(3)) < MOST


def test_pages_that_begin_with_their_largest_message_hold_little(house: AppServer) -> None:
    """Each kept ten times its message, for as long as it stayed open; and whoever chats notices nothing."""
    with ExitStack() as stack:
        browser = Browser(house.url)
        pages = [stack.enter_context(open_page(browser, base="/public_flow/echo")) for _ in range(24)]
        pages[0].visit()
        before = house.memory
        for page in pages[1:12]:
            page._connection.send(widget(8, part(1, b"\x01" * LARGE)))
        for page in pages[12:]:
            message = BackMsg()
            message.ParseFromString(widget(6, b"x" * LARGE))
            page.run(message)
        assert house.memory - before < 25_000_000
        assert b"hello" in pages[0].say("hello")


def test_what_people_choose_and_write_is_far_below() -> None:
    """Five hundred members chosen of a list, a slider's ends, a long text, and as many hashes as a browser names."""
    message = BackMsg()
    state = message.rerun_script
    state.cached_message_hashes.extend(["0123456789abcdef" * 2] * 10_000)
    state.context_info.url = "https://flows.example.com/?" + "a" * 6_000
    state.widget_states.widgets.extend(WidgetState(id=f"{NAME}-{n}", string_value="é" * 300) for n in range(900))
    chosen = state.widget_states.widgets.add(id=NAME)
    chosen.string_array_value.data.extend([f"Somebody {n} (somebody-{n})" for n in range(500)])
    slider = state.widget_states.widgets.add(id=NAME)
    slider.double_array_value.data.extend([0.1, 0.9])
    typed = state.widget_states.widgets.add(id=NAME)
    typed.chat_input_value.data = "🦜" * 200_000
    outline = Outline(message.SerializeToString())
    assert (outline.is_too_much, outline.widgets) == (False, 903)


@pytest.mark.parametrize("data", [b"\x5a\x05", b"\xff" * 20, b"\x5b\x5c", b"\x5a\x02\x12\x05", b"\x80"])
def test_what_is_no_message_is_refused(house: AppServer, data: bytes) -> None:
    with open_page(Browser(house.url)) as page:
        page._connection.send(data)
        assert page.closed() == (1007, "the message cannot be read")


def test_letters_that_are_none_are_one_line_of_the_log(house: AppServer) -> None:
    with open_page(Browser(house.url)) as page:
        page._connection.send(part(11, part(1, b"\xff")))
        assert page.closed()[0] == 1002
    eventually(lambda: house.log.count("Error deserializing back message") == 1)
    assert "Traceback" not in house.log
    assert "DecodeError" not in house.log


def test_the_fields_are_those_of_streamlit() -> None:
    """Every list of the protocol is one that is counted: a later version's new one shall be noticed."""
    state = BackMsg.DESCRIPTOR.fields_by_name["rerun_script"].message_type
    lists = {f"{kind.name}.{field.name}" for kind in kinds(state) for field in kind.fields if field.is_repeated}
    known = {"ClientState.cached_message_hashes", "WidgetStates.widgets", "FileUploaderState.uploaded_file_info"}
    assert lists == known | {f"{kind}Array.data" for kind in ("Double", "SInt64", "String")}


def kinds(kind: Any, known: frozenset[Any] = frozenset()) -> frozenset[Any]:
    """A message's kind, and those inside it."""
    known |= {kind}
    for field in kind.fields:
        if field.message_type and field.message_type not in known:
            known |= kinds(field.message_type, known)
    return known
