"""Good or bad, said over a conversation's socket: by raw sockets of members and visitors."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chat_socket import LASTING, ChatSocket
from tests.chats import OpenChat, open_chats
from tests.house import PUBLIC, House
from tests.running import chat_flow
from tests.servers import AppServer

FLOWS = {name: chat_flow(f"scripted:{name}", name.title()) for name in ("echo", "slow", "fail")}
FLOWS["unkept"] = FLOWS["echo"].replace("type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n")
HOUSE = House(flows=FLOWS, shared=dict.fromkeys(FLOWS, PUBLIC), config={"sharing": {"allow_public": True}})
REFUSED = {"text": "This answer cannot be rated.", "hint": None, "seconds": None}


@pytest.fixture
def opened(house: AppServer) -> Iterator[OpenChat]:
    with open_chats(house) as opened:
        yield opened


def rate(chat: ChatSocket, message: str, value: Any) -> dict[str, Any]:
    chat.send("rate", session=chat.session, message=message, value=value)
    return chat.read_until("rated")


@pytest.mark.parametrize("who", ["bob", "a guest"])
def test_an_answer_is_rated_and_it_stands_there_when_the_page_comes_back(opened: OpenChat, who: str) -> None:
    chat = opened("echo", who, is_public=True)
    assert chat.told[-1]["ratings"] == {}
    answer = chat.answer("Hello")["id"]
    told = {"type": "rated", "session": chat.session, "message": answer, "value": "bad"}
    assert rate(chat, answer, "bad") == told
    again = opened("echo", who, session=chat.session, is_public=True)
    assert again.told[-1]["ratings"] == {answer: "bad"}
    assert rate(again, answer, None)["value"] is None
    assert chat.show(chat.session)["ratings"] == {}


def test_earlier_messages_come_with_their_ratings(opened: OpenChat) -> None:
    chat = opened("echo", "bob")
    first = chat.answer("first")["id"]
    rate(chat, first, "good")
    for number in range(26):
        chat.ask(str(number))
    shown = chat.show(chat.session)
    assert (shown["has_earlier"], shown["ratings"]) == (True, {})
    chat.send("earlier", session=chat.session, before=shown["messages"][0]["id"])
    assert chat.read_until("messages")["ratings"] == {first: "good"}


def test_somebody_elses_answer_is_refused_as_one_that_never_was(opened: OpenChat) -> None:
    chat = opened("echo", "bob")
    answer = chat.answer("Mine")["id"]
    question = chat.show(chat.session)["messages"][0]["id"]
    other = opened("echo", session=chat.session)
    refused = [rate(other, message, "bad")["error"] for message in (answer, question, "never")]
    refused.append(rate(chat, question, "bad")["error"])
    assert refused == [REFUSED] * 4
    assert chat.show(chat.session)["ratings"] == {}
    chat.send("rate", session="another", message=answer, value="bad")
    assert chat.read_until("refused")["text"] == "This page shows another conversation by now."


def test_what_is_not_stored_failed_or_is_still_written_cannot_be_rated_what_was_stopped_can(opened: OpenChat) -> None:
    for flow in ("unkept", "fail"):
        chat = opened(flow, "bob")
        assert rate(chat, chat.answer("Hello")["id"], "good")["error"] == REFUSED
    chat = opened("slow", "bob")
    chat.say(LASTING)
    answer = chat.read_until("started")["answers"][0]["id"]
    chat.read_until("text")
    assert rate(chat, answer, "bad")["error"] == REFUSED
    chat.send("stop")
    chat.read_until("ended")
    assert "error" not in rate(chat, answer, "bad")
