"""Good or bad, said over a conversation's socket: by raw sockets of members and visitors."""

from typing import Any

import pytest

from tests.chat_socket import LASTING, ChatSocket, open_chat
from tests.house import PUBLIC, House
from tests.page_socket import Browser
from tests.running import chat_flow
from tests.servers import AppServer
from tests.tickets import open_browser

FLOWS = {name: chat_flow(f"scripted:{name}", name.title()) for name in ("echo", "slow", "fail")}
FLOWS["unkept"] = FLOWS["echo"].replace("type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n")
HOUSE = House(flows=FLOWS, shared=dict.fromkeys(FLOWS, PUBLIC), config={"sharing": {"allow_public": True}})
REFUSED = {"text": "This answer cannot be rated.", "hint": None, "seconds": None}


def rate(chat: ChatSocket, message: str, value: Any) -> dict[str, Any]:
    chat.send("rate", session=chat.session, message=message, value=value)
    return chat.read_until("rated")


@pytest.mark.parametrize("who", ["bob", None])
def test_an_answer_is_rated_and_it_stands_there_when_the_page_comes_back(house: AppServer, who: str | None) -> None:
    browser = open_browser(house, who) if who else Browser(house.url)
    with open_chat(browser, "echo", is_public=True) as chat:
        assert chat.show()["ratings"] == {}
        answer = chat.answer("Hello")["id"]
        assert rate(chat, answer, "bad") == {
            "type": "rated",
            "session": chat.session,
            "message": answer,
            "value": "bad",
        }
        with open_chat(browser, "echo", is_public=True) as again:
            assert again.show(chat.session)["ratings"] == {answer: "bad"}
            assert rate(again, answer, None)["value"] is None
        assert chat.show(chat.session)["ratings"] == {}


def test_earlier_messages_come_with_their_ratings(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "echo") as chat:
        chat.show()
        first = chat.answer("first")["id"]
        rate(chat, first, "good")
        for number in range(26):
            chat.ask(str(number))
        shown = chat.show(chat.session)
        assert (shown["has_earlier"], shown["ratings"]) == (True, {})
        chat.send("earlier", session=chat.session, before=shown["messages"][0]["id"])
        assert chat.read_until("messages")["ratings"] == {first: "good"}


def test_somebody_elses_answer_is_refused_as_one_that_never_was(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "echo") as chat, open_chat(open_browser(house, "olga"), "echo") as other:
        chat.show()
        started = chat.answer("Mine")
        question = chat.show(chat.session)["messages"][0]["id"]
        other.show(chat.session)
        refused = [rate(other, message, "bad")["error"] for message in (started["id"], question, "never")]
        assert refused == [REFUSED] * 3
        assert rate(chat, question, "bad")["error"] == REFUSED
        assert chat.show(chat.session)["ratings"] == {}
        chat.send("rate", session="another", message=started["id"], value="bad")
        assert chat.read_until("refused")["text"] == "This page shows another conversation by now."


def test_what_is_not_stored_or_has_failed_cannot_be_rated(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "unkept") as chat:
        chat.show()
        assert rate(chat, chat.answer("Hello")["id"], "good")["error"] == REFUSED
    with open_chat(open_browser(house, "bob"), "fail") as chat:
        chat.show()
        assert rate(chat, chat.answer("Hello")["id"], "bad")["error"] == REFUSED


def test_one_that_is_still_written_cannot_and_one_that_was_stopped_can(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "slow") as chat:
        chat.show()
        chat.say(LASTING)
        answer = chat.read_until("started")["answers"][0]["id"]
        chat.read_until("text")
        assert rate(chat, answer, "bad")["error"] == REFUSED
        chat.send("stop")
        chat.read_until("ended")
        assert "error" not in rate(chat, answer, "bad")


@pytest.mark.parametrize(
    "sent",
    [
        {"value": "perfect"},
        {"value": True},
        {},
        {"value": "good", "message": "x" * 65},
        {"value": "good", "reason": "more than is taken"},
    ],
)
def test_what_no_page_sends_is_refused_in_a_sentence(house: AppServer, sent: dict[str, Any]) -> None:
    with open_chat(open_browser(house, "bob"), "echo") as chat:
        chat.show()
        chat.send("rate", **{"session": chat.session, "message": "m"} | sent)
        assert chat.read_until("refused")["text"].startswith("This page sent something that the server does not know")
        assert chat.ask("Still there?") == "You said: Still there?"
