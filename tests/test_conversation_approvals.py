"""Calls that wait for a person, over a page's socket: who is asked sees what will be sent, and alone decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ASKING_FIRST, SUM
from tests.chat_socket import ChatSocket, Told
from tests.chats import OpenChat, open_chats
from tests.house import PUBLIC, House
from tests.servers import AppServer
from tests.store_databases import DATABASES

HOUSE = House(config={"sharing": {"allow_public": True}}, flows={"careful": ASKING_FIRST}, shared={"careful": PUBLIC})


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture
def opened(house: AppServer) -> Iterator[OpenChat]:
    with open_chats(house) as opened:
        yield opened


def begin(chat: ChatSocket) -> Told:
    """Asks for a call; it, as it waits, with the run that it is of."""
    chat.say(SUM)
    while True:
        told = chat.read_until("actions")
        for action in told["actions"]:
            if action["state"] == "waiting":
                return {**action, "run": told["run"]}


def decide(chat: ChatSocket, asked: Told, decision: str, **changed: object) -> None:
    said = {"run": asked["run"], "call": asked["number"], "digest": asked["digest"], "decision": decision}
    chat.send("decide", **said | changed)


def end(chat: ChatSocket) -> list[str]:
    """What became of the answer's calls."""
    (answer,) = chat.read_until("ended")["messages"]
    return [action["state"] for action in answer["actions"]]


@pytest.mark.parametrize("who", ["olga", "bob", "a guest"])
@pytest.mark.parametrize(("decision", "state"), [("once", "done"), ("refuse", "refused")])
def test_who_is_asked_sees_what_will_be_sent_and_decides(opened: OpenChat, who: str, decision: str, state: str) -> None:
    chat = opened("careful", who)
    asked = begin(chat)
    assert (asked["name"], asked["takes"]) == ("Do sums", '{"expression":"6*7"}')
    decide(chat, asked, decision)
    assert end(chat) == [state]
    assert (b"The tools said: 42" in chat.spell()) is (decision == "once")
    assert [action["state"] for action in chat.show(chat.session)["messages"][-1]["actions"]] == [state]


def test_allowed_in_this_chat_it_is_not_asked_about_there_again(opened: OpenChat) -> None:
    chat = opened("careful")
    decide(chat, begin(chat), "chat")
    end(chat)
    assert [action["state"] for action in chat.answer(SUM)["actions"]] == ["done"]
    chat.show()
    decide(chat, begin(chat), "refuse")
    assert end(chat) == ["refused"]


def test_a_word_about_anything_else_by_anybody_else_or_too_late_changes_nothing(opened: OpenChat) -> None:
    chat, other = opened("careful", "bob"), opened("careful")
    asked = begin(chat)
    decide(other, asked, "once")
    decide(chat, asked, "once", digest="0" * 64)
    decide(chat, asked, "once", call=7)
    assert other.ask("Hello") == "You said: Hello"
    decide(chat, asked, "refuse")
    assert end(chat) == ["refused"]
    asked = begin(chat)
    chat.send("stop")
    assert end(chat) == ["stopped"]
    decide(chat, asked, "once")
    assert chat.ask("Hello") == "You said: Hello"


def test_with_its_process_a_run_that_waits_is_interrupted_and_nothing_was_called(tmp_path: Path) -> None:
    with HOUSE.open(tmp_path) as house:
        with open_chats(house) as opened:
            chat = opened("careful")
            asked = begin(chat)
            house.kill()
        house.start()
        with open_chats(house) as opened:
            again = opened("careful", session=chat.session)
            shown = again.told[-1]["messages"][-1]
            assert (shown["state"], shown["text"]) == ("interrupted", "")
            decide(again, asked, "once")
            assert again.ask("Hello") == "You said: Hello"
