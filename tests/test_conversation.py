"""A conversation over its socket, as a page has it: opened, asked, read, stopped; from outside, on both databases."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.chat_socket import LASTING, join_texts, open_chat
from tests.house import PUBLIC, SHARED, House
from tests.page_socket import Browser
from tests.running import chat_flow
from tests.servers import AppServer
from tests.store_databases import DATABASES
from tests.tickets import open_browser

NAMES = ("echo", "slow", "fail", "long")
FLOWS = {name: chat_flow(f"scripted:{name}", name.title()) for name in NAMES}
FLOWS["unkept"] = FLOWS["echo"].replace("type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n")
CONFIG: dict[str, Any] = {"sharing": {"allow_public": True}}
HOUSE = House(config=CONFIG, flows=FLOWS, shared={"echo": PUBLIC, "slow": SHARED})


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture
def olga(house: AppServer) -> Browser:
    return open_browser(house, "olga")


def test_a_message_is_answered_and_stands_there_when_the_page_comes_back(house: AppServer, olga: Browser) -> None:
    with open_chat(olga, "echo") as chat:
        empty = chat.show()
        assert (empty["messages"], empty["has_earlier"], empty["running"], empty["off"]) == ([], False, None, None)
        name = chat.say("Hello there")
        started = chat.read()
        assert started["type"] == "started"
        assert (started["id"], started["question"]["text"]) == (name, "Hello there")
        ended = chat.read_until("ended")
        (answer,) = ended["messages"]
        assert (ended["run"], answer["state"]) == (started["run"], "complete")
        assert join_texts(chat.told) == {started["answers"][0]["id"]: "You said: Hello there"}
        assert answer["facts"]["steps"] == 3
    with open_chat(olga, "echo") as again:
        found = again.show(chat.session)
        assert [(message["role"], message["text"]) for message in found["messages"]] == [
            ("user", "Hello there"),
            ("assistant", "You said: Hello there"),
        ]
        assert [message["run"] for message in found["messages"]] == [started["run"]] * 2


def test_another_tab_sees_the_answer_grow_and_either_stops_it(house: AppServer, olga: Browser) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_chat(olga, "slow")) for _ in range(2))
        one.show()
        two.show(one.session)
        one.say(LASTING)
        started = two.read_until("started")
        assert "id" not in started
        assert started["question"]["text"] == LASTING
        assert two.read_until("text")["at"] == 0
        two.send("stop", run=started["run"])
        for page in (one, two):
            ended = page.read_until("ended")
            assert [message["state"] for message in ended["messages"]] == ["stopped"]
        assert join_texts(one.told) == join_texts(two.told)


def test_a_second_message_while_an_answer_is_written_is_refused(house: AppServer, olga: Browser) -> None:
    with open_chat(olga, "slow") as chat:
        chat.show()
        chat.say(LASTING)
        chat.read_until("text")
        name = chat.say("Two")
        refused = chat.read_until("refused")
        assert (refused["id"], refused["hint"]) == (name, "Stop it first.")
        chat.send("stop")
        chat.read_until("ended")


def test_a_message_that_is_too_long_is_refused_with_its_length(house: AppServer, olga: Browser) -> None:
    with open_chat(olga, "echo") as chat:
        chat.show()
        name = chat.say("x" * 200_010)
        refused = chat.read_until("refused", "ended")
        assert refused["id"] == name
        assert refused["text"] == "The message has 200,010 characters; 200,000 is the limit."
        assert chat.ask("y" * 200_000) == f"You said: {'y' * 200_000}"


def test_what_came_before_a_failure_stays_with_the_reason(house: AppServer, olga: Browser) -> None:
    with open_chat(olga, "fail") as chat:
        chat.show()
        chat.say("Hello")
        (answer,) = chat.read_until("ended")["messages"]
        assert answer["state"] == "failed"
        assert answer["error"]["text"]
        stored = chat.show(chat.session)["messages"]
        assert [message["state"] for message in stored] == ["complete", "failed"]
        assert stored[-1]["error"]["text"] == answer["error"]["text"]


def test_of_a_flow_that_keeps_nothing_the_socket_does_while_it_is_open(house: AppServer, olga: Browser) -> None:
    with open_chat(olga, "unkept") as chat:
        assert chat.show()["note"] == "This flow keeps no messages: a reload clears them."
        assert chat.ask("Between us") == "You said: Between us"
        assert [message["text"] for message in chat.show(chat.session)["messages"]] == [
            "Between us",
            "You said: Between us",
        ]
    with open_chat(olga, "unkept") as again:
        assert again.show(chat.session)["messages"] == []


def test_who_sees_the_inside_is_told_what_became_of_each_step(house: AppServer, olga: Browser) -> None:
    """On every socket that shows the conversation."""
    with open_chat(olga, "echo") as chat, open_chat(olga, "echo") as beside:
        chat.show()
        beside.show(chat.session)
        chat.ask("Hello")
        beside.read_until("ended")
        for told in (chat.told, beside.told):
            steps = [frame for frame in told if frame["type"] == "step"]
            assert steps[-1]["name"] == "Chat Output"
            states: dict[str, str] = {}
            for frame in steps:
                states |= frame["states"]
            assert states == dict.fromkeys(("ChatInput", "Model", "ChatOutput"), "done")
        beside.send("steps", session=chat.session, message=chat.show(chat.session)["messages"][-1]["id"])
        steps = beside.read_until("steps")["steps"]
        assert {step["id"]: step["name"] for step in steps} == {
            "ChatInput": "Chat Input",
            "Model": "Language Model",
            "ChatOutput": "Chat Output",
        }


def test_a_visitor_talks_where_the_flow_is_public_and_sees_no_inside(house: AppServer) -> None:
    browser = Browser(house.url)
    with open_chat(browser, "echo", is_public=True) as chat:
        chat.show()
        assert chat.ask("Hello") == "You said: Hello"
        assert "step" not in {frame["type"] for frame in chat.told}
        assert "facts" not in str(chat.told)
        chat.say("Hello", tweaks={"Model": {"temperature": 1}})
        assert chat.read_until("refused", "started")["type"] == "refused"
    with open_chat(browser, "echo", is_public=True) as again:
        assert len(again.show(chat.session)["messages"]) == 2
    with open_chat(Browser(house.url), "echo", is_public=True) as other:
        assert other.show(chat.session)["messages"] == []
