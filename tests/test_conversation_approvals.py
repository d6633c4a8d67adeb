"""Calls that wait for a person, over a page's socket: who is asked sees what will be sent, and alone decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ASKING_FIRST, SUM
from tests.browser import Browser
from tests.chat_socket import ChatSocket, Told, open_chat
from tests.house import PUBLIC, House
from tests.servers import AppServer
from tests.store_databases import DATABASES
from tests.tickets import open_browser

HOUSE = House(config={"sharing": {"allow_public": True}}, flows={"careful": ASKING_FIRST}, shared={"careful": PUBLIC})


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


def wait_for_question(chat: ChatSocket) -> Told:
    """The call that waits, with the run that it is of."""
    while True:
        told = chat.read_until("actions")
        for action in told["actions"]:
            if action["state"] == "waiting":
                return {**action, "run": told["run"]}


def decide(chat: ChatSocket, asked: Told, decision: str, **changed: object) -> None:
    said = {"run": asked["run"], "call": asked["number"], "digest": asked["digest"], "decision": decision}
    chat.send("decide", **said | changed)


def end(chat: ChatSocket) -> Told:
    (answer,) = chat.read_until("ended")["messages"]
    told: Told = answer
    return told


@pytest.mark.parametrize("who", ["olga", "bob", "a guest"])
@pytest.mark.parametrize(("decision", "state"), [("once", "done"), ("refuse", "refused")])
def test_who_is_asked_sees_what_will_be_sent_and_decides(house: AppServer, who: str, decision: str, state: str) -> None:
    browser = Browser(house.url) if who == "a guest" else open_browser(house, who)
    with open_chat(browser, "careful", is_public=who == "a guest") as chat:
        chat.show()
        chat.say(SUM)
        asked = wait_for_question(chat)
        assert (asked["name"], asked["takes"]) == ("Do sums", '{"expression":"6*7"}')
        decide(chat, asked, decision)
        answer = end(chat)
        assert [action["state"] for action in answer["actions"]] == [state]
        assert (b"The tools said: 42" in chat.spell()) is (decision == "once")
        again = chat.show(chat.session)["messages"][-1]
        assert [action["state"] for action in again["actions"]] == [state]


def test_allowed_in_this_chat_it_is_not_asked_about_there_again(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "careful") as chat:
        chat.show()
        chat.say(SUM)
        decide(chat, wait_for_question(chat), "chat")
        end(chat)
        assert [action["state"] for action in chat.answer(SUM)["actions"]] == ["done"]
        chat.show()
        chat.say(SUM)
        decide(chat, wait_for_question(chat), "refuse")
        end(chat)


def test_a_word_about_anything_else_and_by_anybody_else_changes_nothing(house: AppServer) -> None:
    with (
        open_chat(open_browser(house, "bob"), "careful") as chat,
        open_chat(open_browser(house, "olga"), "careful") as other,
    ):
        chat.show()
        other.show()
        chat.say(SUM)
        asked = wait_for_question(chat)
        decide(other, asked, "once")
        decide(chat, asked, "once", digest="0" * 64)
        decide(chat, asked, "once", call=7)
        assert other.ask("Hello") == "You said: Hello"
        decide(chat, asked, "refuse")
        assert [action["state"] for action in end(chat)["actions"]] == ["refused"]


def test_stop_ends_a_wait_and_nothing_was_called(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "careful") as chat:
        chat.show()
        chat.say(SUM)
        asked = wait_for_question(chat)
        chat.send("stop")
        assert [action["state"] for action in end(chat)["actions"]] == ["stopped"]
        decide(chat, asked, "once")
        assert chat.ask("Hello") == "You said: Hello"


def test_with_its_process_a_run_that_waits_is_interrupted_and_nothing_was_called(tmp_path: Path) -> None:
    with HOUSE.open(tmp_path) as house:
        browser = open_browser(house, "olga")
        with open_chat(browser, "careful") as chat:
            chat.show()
            chat.say(SUM)
            asked = wait_for_question(chat)
            session = chat.session
            house.kill()
        house.start()
        with open_chat(open_browser(house, "olga"), "careful") as chat:
            shown = chat.show(session)["messages"]
            assert (shown[-1]["state"], shown[-1]["text"]) == ("interrupted", "")
            decide(chat, asked, "once")
            assert chat.ask("Hello") == "You said: Hello"
