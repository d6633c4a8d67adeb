"""What models do on the way to an answer, over a page's socket: a line each, live and kept, for whom how much; and
calls that wait for a person, who sees what will be sent and alone decides."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.acting import ACTING, ASKING_FIRST, HANG, NESTED, SUM, WRONG
from tests.chat_socket import ChatSocket, Told
from tests.chats import OpenChat, open_chats
from tests.open_page import flow_text
from tests.servers import PUBLIC, House
from tests.test_conversation import house as house
from tests.test_conversation import opened as opened

MIRROR = """
name: Mirror
components:
  ChatInput: {type: ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}
"""
FLOWS = ACTING | {"mirror": MIRROR, "thinks": flow_text("scripted:thinking", "Thinks"), "careful": ASKING_FIRST}
SPEAKS = 'I will add.\ncall Sums {"expression": "6*7"}\nAnd again.\ncall Sums {"expression": "1+1"}\nIt is 42 and 2.'
JOINED = """
components:
  ChatInput: {type: ChatInput}
  First: {type: LanguageModel, model: slow:echo, input_value: "${ChatInput}"}
  Short: {type: LanguageModel, model: short:echo, input_value: "${ChatInput}"}
  Second: {type: LanguageModel, model: "scripted:thinking", input_value: "${BESIDE}"}
  ChatOutput: {type: ChatOutput, input_value: "${First?}${Second?}"}
"""
FLOWS |= {"beside": JOINED.replace("BESIDE", "Short"), "behind": JOINED.replace("BESIDE", "First")}
FLOWS |= {"speaks": ASKING_FIRST.replace("model: scripted\n", "model: speaks:echo\n")}
SHARED = {name: PUBLIC for name in FLOWS if name != "silent"}
SLOW = "one two three four five six seven eight nine ten "
PROVIDERS = {
    "speaks": {"type": "scripted", "pieces": [SPEAKS]},
    "slow": {"type": "scripted", "pieces": SLOW.split(), "delay": 0.1},
    "short": {"type": "scripted", "pieces": ["a", "b", "c"], "delay": 0.1},
}
HOUSE = House(config={"sharing": {"allow_public": True}, "providers": PROVIDERS}, flows=FLOWS, shared=SHARED)


@pytest.fixture
def chat(opened: OpenChat) -> ChatSocket:
    return opened("agent")


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


def read_states(actions: list[Told]) -> list[tuple[str, str]]:
    return [(one["name"], one["state"]) for one in actions]


def wait_for_actions(chat: ChatSocket, *states: tuple[str, str]) -> None:
    while read_states(join_actions(chat)) != [*states]:
        chat.read_until("actions")


def test_an_author_sees_each_call_with_what_it_took_and_gave_within_which(chat: ChatSocket) -> None:
    done, failed, outer, inner = say(chat, SUM, WRONG, NESTED)
    keys = ("number", "within", "name", "state", "takes", "gives")
    assert [done[key] for key in keys] == [1, None, "Do sums", "done", '{"expression": "6*7"}', "42"]
    assert [failed[key] for key in keys[:5]] == [2, None, "Do sums", "failed", '{"expression": "six"}']
    assert "failed" in failed["gives"]
    assert [outer[key] for key in keys[1:4]] == [None, "Expert", "done"]
    assert [inner[key] for key in ("within", "name", "gives")] == [outer["number"], "Do sums", "2"]
    assert outer["tokens"]["output"] > 0
    assert min(one["seconds"] for one in (done, failed, outer, inner)) >= 0


def test_steps_come_with_the_tools_that_were_called_as_they_were_lit(chat: ChatSocket) -> None:
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


@pytest.mark.parametrize(("who", "is_public"), [("bob", False), ("bob", True), ("a guest", True)])
@pytest.mark.parametrize("flow", ["agent", "shown"])
def test_others_are_sent_names_unless_the_flow_shows(opened: OpenChat, who: str, flow: str, *, is_public: bool) -> None:
    chat = opened(flow, who, is_public=is_public)
    told = say(chat, r'call Sums {"expression": "1234567+1"} and call Sums {"expression": "x"}')
    assert read_states(told) == [("Do sums", "done"), ("Do sums", "failed")]
    if flow == "shown":
        assert [one["takes"] for one in told] == ['{"expression": "1234567+1"}', '{"expression": "x"}']
        assert told[0]["gives"] == "1234568"
        return
    assert {frozenset(one) for one in told} == {frozenset({"number", "kind", "within", "state", "name"})}
    frames = [frame for frame in chat.told if frame["type"] == "actions"]
    assert frames
    assert not any("1234567" in str(frame) or "1234568" in str(frame) for frame in frames)


@pytest.mark.parametrize("flow", ["agent", "unkept"])
def test_stop_ends_tools_too_and_the_line_says_so_also_to_who_comes_in_the_middle(opened: OpenChat, flow: str) -> None:
    chat = opened(flow)
    chat.say(f"{SUM}\n{HANG}")
    wait_for_actions(chat, ("Do sums", "done"), ("Wait", "running"))
    pages = [chat]
    if flow == "agent":
        pages.append(opened(flow, session=chat.session))
        wait_for_actions(pages[-1], ("Do sums", "done"), ("Wait", "running"))
    pages[-1].send("stop")
    for page in pages:
        (answer,) = page.read_until("ended")["messages"]
        again = page.show(chat.session)["messages"][-1]
        for told in (answer, again):
            assert told["state"] == "stopped"
            assert read_states(told["actions"]) == [("Do sums", "done"), ("Wait", "stopped")]


def test_of_side_by_side_calls_a_step_runs_until_the_last_has_its_end(chat: ChatSocket) -> None:
    chat.say(f"{HANG} and {HANG}")
    wait_for_actions(chat, *[("Wait", "running")] * 2)
    chat.stop()
    states = [frame["states"].get("Wait") for frame in chat.told if frame["type"] == "step"]
    assert ("running" in states, "done" in states) == (True, False)


@pytest.mark.parametrize(("who", "gives"), [("olga", "Somebody wrote to me."), ("bob", None)])
def test_thoughts_are_kept_apart_and_their_text_is_for_authors(opened: OpenChat, who: str, gives: Any) -> None:
    chat = opened("thinks", who)
    answer = chat.answer("Hello")
    assert answer["text"] == "You said: Hello"
    (thought,) = answer["actions"]
    assert (thought["kind"], thought["state"], thought.get("gives")) == ("thought", "done", gives)
    assert thought["seconds"] >= 0
    assert ("Somebody" in str(chat.told)) is bool(gives)


def test_long_arguments_and_results_are_bounded(chat: ChatSocket) -> None:
    told = say(chat, 'call Expert {"input_value": "' + "x" * 30_000 + '"}')
    assert (len(told[0]["takes"]), len(told[0]["gives"])) == (2000, 2000)
    assert told[0]["takes"].endswith("…")


def begin(chat: ChatSocket) -> Told:
    """Asks for a call; it, as it waits, with the run that it is of."""
    chat.say(SUM)
    return wait_for_question(chat)


def wait_for_question(chat: ChatSocket) -> Told:
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


def test_what_stands_between_marks_of_thought_is_no_answer_where_no_model_wrote_it(opened: OpenChat) -> None:
    chat = opened("mirror")
    for text, thought, answer in (
        ("<think>Hm\n</think>\n\nHi", "Hm", "Hi"),
        ("So <think>", "", "So <think>"),
        ("<think>So", "", "<think>So"),
        ("<think>So", "", "<think>So"),
    ):
        told = chat.answer(text)
        assert told["text"] == answer
        assert [(one["kind"], one["gives"]) for one in told.get("actions", ())] == [("thought", thought)] * bool(
            thought
        )
        kept = chat.show(chat.session)["messages"]
        assert kept[-1]["text"] == answer
        assert kept[-1].get("actions") == told.get("actions")
    assert "Hm" not in str([one["text"] for one in chat.told if one["type"] == "text"])


def test_what_one_component_thinks_cuts_no_word_of_another(opened: OpenChat) -> None:
    first = "".join(SLOW.split())
    for flow, begin_of_second in (("beside", 0), ("behind", len(first))):
        chat = opened(flow)
        told = chat.answer("Hello")
        assert told["text"].startswith(first)
        assert [one.get("after", 0) for one in told["actions"]] == [begin_of_second]


def test_what_an_agent_says_before_a_call_stands_before_it_and_its_time_is_the_tools(opened: OpenChat) -> None:
    chat = opened("speaks")
    decide(chat, begin(chat), "once")
    asked = wait_for_question(chat)
    time.sleep(3)  # so long a person thinks
    decide(chat, asked, "once")
    (answer,) = chat.read_until("ended")["messages"]
    said = "I will add.\n\nAnd again.\n\nIt is 42 and 2."
    kept = chat.show(chat.session)["messages"][-1]
    assert (kept["text"], kept["actions"]) == (said, answer["actions"])
    assert [said[: one["after"]] for one in kept["actions"]] == ["I will add.", "I will add.\n\nAnd again."]
    assert max(one["seconds"] for one in kept["actions"]) < 3
    assert kept["facts"]["seconds"] < 3
