"""What models do on the way to an answer, over a page's socket: a line each, live and kept, and for whom how much."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acting import ACTING, HANG, NESTED, SUM, WRONG
from tests.browser import Browser
from tests.chat_socket import ChatSocket, Told, open_chat
from tests.house import PUBLIC, House
from tests.open_page import flow_text
from tests.servers import AppServer
from tests.store_databases import DATABASES
from tests.tickets import open_browser

FLOWS = ACTING | {"thinks": flow_text("scripted:thinking", "Thinks")}
HOUSE = House(
    config={"sharing": {"allow_public": True}}, flows=FLOWS, shared={name: PUBLIC for name in FLOWS if name != "silent"}
)


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


def join_actions(chat: ChatSocket) -> list[Told]:
    """What the page was told live, each as it stood at the end."""
    found: dict[int, Told] = {}
    for frame in chat.told:
        for action in frame["actions"] if frame["type"] == "actions" else ():
            found[action["number"]] = action
    return [*found.values()]


def say(chat: ChatSocket, *lines: str) -> list[Told]:
    """Sends these; what the answer is told to have done, the same live, at the end and when it is opened anew."""
    answer = chat.answer("\n".join(lines))
    told: list[Told] = answer["actions"]
    assert join_actions(chat) == told
    assert chat.show(chat.session)["messages"][-1]["actions"] == told
    return told


def list_shown(told: list[Told]) -> list[tuple[Any, ...]]:
    return [(one["number"], one["within"], one["name"], one["state"], one["takes"], one["gives"]) for one in told]


def test_an_author_sees_each_call_with_what_it_took_and_gave(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "agent") as chat:
        chat.show()
        told = say(chat, SUM, WRONG)
        assert list_shown(told)[0] == (1, None, "Do sums", "done", '{"expression": "6*7"}', "42")
        assert list_shown(told)[1][:5] == (2, None, "Do sums", "failed", '{"expression": "six"}')
        assert "failed" in told[1]["gives"]
        assert all(one["seconds"] >= 0 for one in told)


def test_steps_come_with_the_tools_that_were_called_as_they_were_lit(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "agent") as chat:
        chat.show()
        for said, states in ((f"{WRONG}\n{NESTED}", {"Sums": "done", "Expert": "done"}), (WRONG, {"Sums": "failed"})):
            answer = chat.answer(said)
            lit: dict[str, str] = {}
            for frame in chat.told:
                lit |= frame["states"] if frame["type"] == "step" else {}
            assert lit.items() >= states.items()
            chat.send("steps", session=chat.session, message=answer["id"])
            told = chat.read_until("steps")
            assert {one["id"]: one["status"] for one in told["tools"]} == states
            assert {one["id"] for one in told["steps"]} == {"ChatInput", "Agent", "ChatOutput"}


def test_a_call_within_a_call_says_in_which(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "agent") as chat:
        chat.show()
        outer, inner = say(chat, NESTED)
        assert (outer["name"], outer["within"], outer["state"]) == ("Expert", None, "done")
        assert (inner["name"], inner["within"], inner["gives"]) == ("Do sums", outer["number"], "2")
        assert outer["tokens"]["output"] > 0


@pytest.mark.parametrize("where", ["a member's playground", "a member's shareable page", "a guest's shareable page"])
@pytest.mark.parametrize("flow", ["agent", "shown"])
def test_others_are_sent_names_alone_unless_the_flow_shows_more(house: AppServer, where: str, flow: str) -> None:
    browser = Browser(house.url) if where.startswith("a guest") else open_browser(house, "bob")
    with open_chat(browser, flow, is_public="shareable" in where) as chat:
        chat.show()
        told = say(chat, r'call Sums {"expression": "1234567+1"} and call Sums {"expression": "x"}')
        assert [(one["name"], one["state"]) for one in told] == [("Do sums", "done"), ("Do sums", "failed")]
        if flow == "shown":
            assert [one["takes"] for one in told] == ['{"expression": "1234567+1"}', '{"expression": "x"}']
            assert told[0]["gives"] == "1234568"
            return
        assert {frozenset(one) for one in told} == {frozenset({"number", "kind", "within", "state", "name"})}
        frames = [frame for frame in chat.told if frame["type"] == "actions"]
        assert frames
        assert not any("1234567" in str(frame) or "1234568" in str(frame) for frame in frames)


@pytest.mark.parametrize("flow", ["agent", "unkept"])
def test_stop_ends_tools_too_and_the_line_says_so(house: AppServer, flow: str) -> None:
    with open_chat(open_browser(house, "olga"), flow) as chat:
        chat.show()
        chat.say(f"{SUM}\n{HANG}")
        while not any(one["name"] == "Wait" for one in join_actions(chat)):
            chat.read_until("actions")
        assert [one["state"] for one in join_actions(chat)] == ["done", "running"]
        chat.send("stop")
        (answer,) = chat.read_until("ended")["messages"]
        assert answer["state"] == "stopped"
        assert [one["state"] for one in answer["actions"]] == ["done", "stopped"]
        again = chat.show(chat.session)["messages"][-1]["actions"]
        assert [(one["name"], one["state"]) for one in again] == [("Do sums", "done"), ("Wait", "stopped")]


def test_who_comes_in_the_middle_is_told_all_of_it(house: AppServer) -> None:
    browser = open_browser(house, "olga")
    with open_chat(browser, "agent") as chat, open_chat(browser, "agent") as second:
        chat.show()
        chat.say(f"{SUM}\n{HANG}")
        while not any(one["name"] == "Wait" for one in join_actions(chat)):
            chat.read_until("actions")
        second.show(chat.session)
        second.read_until("actions")
        assert [one["state"] for one in join_actions(second)] == ["done", "running"]
        second.send("stop")
        for each in (chat, second):
            each.read_until("ended")


def test_of_side_by_side_calls_a_step_runs_until_the_last_has_its_end(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "agent") as chat:
        chat.show()
        chat.say(f"{HANG} and {HANG}")
        while len(join_actions(chat)) < 2:
            chat.read_until("actions")
        chat.send("stop")
        chat.read_until("ended")
        states = [frame["states"].get("Wait") for frame in chat.told if frame["type"] == "step"]
        assert "running" in states
        assert "done" not in states


def test_thoughts_are_kept_apart_and_their_text_is_for_authors(house: AppServer) -> None:
    for name in ("olga", "bob"):
        with open_chat(open_browser(house, name), "thinks") as chat:
            chat.show()
            answer = chat.answer("Hello")
            assert answer["text"] == "You said: Hello"
            (thought,) = answer["actions"]
            assert (thought["kind"], thought["state"]) == ("thought", "done")
            assert thought.get("gives") == ("Somebody wrote to me." if name == "olga" else None)
            assert thought["seconds"] >= 0
            assert ("Somebody" in str(chat.told)) is (name == "olga")


def test_long_arguments_and_results_are_bounded(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "agent") as chat:
        chat.show()
        told = say(chat, 'call Expert {"input_value": "' + "x" * 30_000 + '"}')
        assert (len(told[0]["takes"]), len(told[0]["gives"])) == (2000, 2000)
        assert told[0]["takes"].endswith("…")
