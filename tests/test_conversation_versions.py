"""Versions of a question over the conversation's socket: asked again, edited, chosen; from outside."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from tests.chat_socket import LASTING, ChatSocket, Told, open_chat
from tests.house import PUBLIC, SHARED, House
from tests.page_socket import Browser
from tests.running import chat_flow
from tests.servers import AppServer
from tests.store_databases import DATABASES
from tests.tickets import open_browser

FLOWS = {name: chat_flow(f"scripted:{name}", name.title()) for name in ("echo", "slow", "fail")}
FLOWS["unkept"] = FLOWS["echo"].replace("type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n")
GONE = ("This message is not part of the conversation any more.", "Reload the page.")
HOUSE = House(config={"sharing": {"allow_public": True}}, flows=FLOWS, shared={"echo": PUBLIC, "slow": SHARED})


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture
def olga(house: AppServer) -> Browser:
    return open_browser(house, "olga")


@pytest.fixture
def chat(olga: Browser) -> Iterator[ChatSocket]:
    with open_chat(olga, "echo") as opened:
        opened.show()
        yield opened


def send(chat: ChatSocket, kind: str, message: str, **more: Any) -> Told:
    """What comes of it."""
    name = str(uuid4())
    chat.send(kind, id=name, session=chat.session, message=message, **more)
    started = chat.read_until("started", "refused")
    assert started["id"] == name
    if started["type"] == "started":
        chat.read_until("ended")
    return started


def choose(chat: ChatSocket, message: str) -> Told:
    chat.send("choose", session=chat.session, message=message)
    return chat.read_until("conversation", "refused")


def ask(chat: ChatSocket, text: str) -> str:
    """The question's id."""
    chat.ask(text)
    started = next(told for told in reversed(chat.told) if told["type"] == "started")
    return str(started["question"]["id"])


def list_texts(told: Told) -> list[str]:
    return [message["text"] for message in told["messages"]]


def test_asked_again_it_is_another_version_of_the_same_text(chat: ChatSocket) -> None:
    first = ask(chat, "Hello")
    assert "versions" not in str(chat.show(chat.session))
    answer = chat.show(chat.session)["messages"][-1]["id"]
    again = send(chat, "again", answer)["question"]
    assert again["versions"] == [[first, again["id"]]]
    third = send(chat, "again", again["id"])["question"]
    shown = chat.show(chat.session)["messages"]
    assert [message["id"] for message in shown if message["role"] == "user"] == [third["id"]]
    assert shown[0]["versions"] == [[first, again["id"], third["id"]]]


def test_an_edited_question_stands_in_the_place_of_the_first(chat: ChatSocket) -> None:
    first = ask(chat, "One")
    ask(chat, "Two")
    edited = send(chat, "edit", first, text="One!")["question"]
    assert edited["versions"] == [[first], [edited["id"]]]
    assert list_texts(chat.show(chat.session)) == ["One!", "You said: One!"]
    assert list_texts(choose(chat, first)) == ["One", "You said: One", "Two", "You said: Two"]
    assert list_texts(choose(chat, edited["id"])) == ["One!", "You said: One!"]


def test_every_page_that_shows_it_is_told_what_was_chosen(olga: Browser, chat: ChatSocket) -> None:
    with ExitStack() as stack:
        second, elsewhere = (stack.enter_context(open_chat(olga, "echo")) for _ in range(2))
        second.show(chat.session)
        elsewhere.show()
        first = ask(chat, "One")
        edited = send(chat, "edit", first, text="Other")["question"]
        for _ in range(2):
            second.read_until("ended")
        assert next(told for told in reversed(second.told) if told["type"] == "started")["question"] == edited
        for place in (chat, second):
            other = second if place is chat else chat
            wanted = first if place is chat else edited["id"]
            assert list_texts(choose(place, wanted)) == list_texts(other.read_until("conversation"))
        assert elsewhere.read_rest() == []


def test_what_is_not_there_is_refused_whatever_it_is(house: AppServer, olga: Browser, chat: ChatSocket) -> None:
    mine = ask(chat, "Mine")
    hidden = mine
    shown = send(chat, "edit", mine, text="Shown")["question"]["id"]
    with open_chat(olga, "echo") as another:
        another.show()
        others = ask(another, "In another chat")
    with open_chat(Browser(house.url), "echo", is_public=True) as visitor:
        visitor.show()
        theirs = ask(visitor, "A visitor's")
        for message in (mine, shown):
            for told in (send(visitor, "edit", message, text="x"), send(visitor, "again", message)):
                assert (told["text"], told["hint"]) == GONE
            told = choose(visitor, message)
            assert (told["type"], told["text"], told["hint"]) == ("refused", *GONE)
    for message in (others, theirs, "nothing", hidden):
        for told in (send(chat, "edit", message, text="x"), send(chat, "again", message)):
            assert (told["type"], told["text"], told["hint"]) == ("refused", *GONE)
    for message in (others, theirs, "nothing"):
        told = choose(chat, message)
        assert (told["type"], told["text"], told["hint"]) == ("refused", *GONE)
    assert list_texts(chat.show(chat.session)) == ["Shown", "You said: Shown"]


def test_while_an_answer_is_written_nothing_is_edited_or_chosen(olga: Browser) -> None:
    with open_chat(olga, "slow") as chat:
        chat.show()
        chat.say(LASTING)
        first = chat.read_until("started")["question"]["id"]
        chat.read_until("text")
        chat.send("stop")
        chat.read_until("ended")
        name = str(uuid4())
        chat.send("again", id=name, session=chat.session, message=first)
        second = chat.read_until("started")["question"]["id"]
        for kind, more in (("again", {}), ("edit", {"text": "x"})):
            refused = send(chat, kind, second, **more)
            assert (refused["type"], refused["hint"]) == ("refused", "Stop it first.")
        chat.send("choose", session=chat.session, message=first)
        refused = chat.read_until("refused", "conversation")
        assert refused["text"] == "An answer is still being written in this conversation."
        chat.send("stop")
        chat.read_until("ended")
        assert choose(chat, first)["messages"][-1]["state"] == "stopped"


def test_blanks_are_no_edit_and_change_nothing(chat: ChatSocket) -> None:
    first = ask(chat, "One")
    assert send(chat, "edit", first, text=" \n ")["text"] == "There is nothing to send."
    assert send(chat, "edit", first, text="x" * 200_001)["type"] == "refused"
    shown = chat.show(chat.session)
    assert list_texts(shown) == ["One", "You said: One"]
    assert "versions" not in shown["messages"][0]


def test_what_failed_is_asked_again_and_stays_as_a_version(olga: Browser) -> None:
    with open_chat(olga, "fail") as chat:
        chat.show()
        chat.say("Hello")
        first = chat.read_until("started")["question"]["id"]
        chat.read_until("ended")
        again = send(chat, "again", first)["question"]
        assert again["versions"] == [[first, again["id"]]]
        assert [message["state"] for message in choose(chat, first)["messages"]] == ["complete", "failed"]


def test_steps_of_a_version_are_told_also_where_it_waits(chat: ChatSocket) -> None:
    first = ask(chat, "One")
    answer = chat.show(chat.session)["messages"][-1]["id"]
    send(chat, "again", first)
    for message in (answer, chat.show(chat.session)["messages"][-1]["id"]):
        chat.send("steps", session=chat.session, message=message)
        assert len(chat.read_until("steps")["steps"]) == 3


def test_of_a_flow_that_keeps_nothing_what_is_asked_again_is_added(olga: Browser) -> None:
    with open_chat(olga, "unkept") as chat:
        chat.show()
        first = ask(chat, "One")
        assert "versions" not in send(chat, "again", first)["question"]
        assert "versions" not in send(chat, "edit", first, text="Two")["question"]
        shown = chat.show(chat.session)
        assert [m["text"] for m in shown["messages"] if m["role"] == "user"] == ["One", "One", "Two"]
        assert choose(chat, first)["type"] == "refused"


def test_earlier_messages_are_those_of_the_version_that_is_shown(chat: ChatSocket) -> None:
    first = ask(chat, "first")
    for number in range(3):
        ask(chat, str(number))
    edited = send(chat, "edit", first, text="second")["question"]["id"]
    last = ""
    for number in range(30):
        last = ask(chat, f"n{number}")
    page = chat.show(chat.session)
    assert page["has_earlier"]
    chat.send("earlier", session=chat.session, before=page["messages"][0]["id"])
    earlier = chat.read_until("messages")
    texts = [m["text"] for m in (*earlier["messages"], *page["messages"]) if m["role"] == "user"]
    assert texts == ["second", *(f"n{number}" for number in range(30))]
    assert earlier["messages"][0]["versions"] == [[first], [edited]]
    assert list_texts(choose(chat, first))[::2] == ["first", "0", "1", "2"]
    back = choose(chat, edited)  # with all that followed, back to what was chosen
    assert (back["messages"][0]["id"], back["has_earlier"]) == (edited, False)
    assert last in [message["id"] for message in back["messages"]]
