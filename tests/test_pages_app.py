"""Every page without a browser: app.py and the router, as the local owner sees them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowground import runtime
from flowground.ui.page import model_notes
from tests.app_page import only, open_script, read, read_chat
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.page_talk import talk
from tests.servers import shipped_flow, write_folder
from tests.waiting import eventually

FLOWS = {
    "talk": flow_text("scripted:echo", "Talk", welcome="Say something.", starters=["Good morning"]),
    "fail": flow_text("scripted:fail", "Fail"),
    "small": flow_text("local", "Small"),
    "gist": shipped_flow("summarizer"),
    "broken": "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    config = write_folder(tmp_path, config={"default_model": "scripted", "organization": {"name": "Acme"}}, flows=FLOWS)
    with runtime_of(config):
        yield tmp_path


@pytest.fixture(params=["app.py", "pages/router.py"])
def script(request: pytest.FixtureRequest, folder: Path) -> str:
    return str(request.param)


def test_home_shows_flows_and_mistakes(script: str) -> None:
    at = open_script(script=script)
    assert [heading.value for heading in at.title] == ["Acme"]
    links = [link.proto for link in at.get("page_link") if link.proto.query_string.startswith("flow=")]
    assert [(link.label, link.query_string) for link in links] == [
        ("Fail", "flow=fail"),
        ("Small", "flow=small"),
        ("Summarizer", "flow=gist"),
        ("Talk", "flow=talk"),
    ]
    assert "4 flows. Choose one to chat with." in read(at)
    assert "line 3, column 14" not in read(at)
    at.session_state["home:mistakes"] = True
    at.run()
    assert "line 3, column 14" in read(at)
    assert "Did you mean **ChatInput**?" in read(at)


def test_the_organizations_name_stands_above_the_gallery_as_it_is_written(tmp_path: Path) -> None:
    with runtime_of(write_folder(tmp_path, config={"organization": {"name": "A *b* :red[c]"}}, flows={})):
        [heading] = open_script(script="app.py").title
        assert heading.value == r"A \*b\* \:red\[c\]"


def test_chatting_keeps_the_conversation_in_the_address(script: str) -> None:
    at = open_script("playground", script=script, flow="talk")
    assert (read_chat(at)["welcome"], read_chat(at)["is_new"]) == ("Say something.", True)
    assert "session" not in at.query_params
    chat = talk(at)
    assert chat.ask("Hello *you*") == "You said: Hello *you*"
    again = open_script("playground", script=script, flow="talk", session=chat.session)
    assert (read_chat(again)["session"], read_chat(again)["is_new"]) == (chat.session, False)
    assert [message["text"] for message in talk(again).opened["messages"]] == ["Hello *you*", "You said: Hello *you*"]
    other = open_script("playground", script=script, flow="talk", session="somebody-elses")
    assert talk(other).opened["messages"] == []


def test_starters_stand_on_the_page(script: str) -> None:
    assert read_chat(open_script("playground", script=script, flow="talk"))["starters"] == ["Good morning"]


def test_a_failure_stands_in_the_answers_place(script: str) -> None:
    chat = talk(open_script("playground", script=script, flow="fail"))
    failed = chat.answer("Hello")
    assert failed["error"]["text"] == "The scripted model fails. This happened in the component `Model`."
    chat.send("again", id="again", session=chat.session, message=failed["id"])
    (again,) = chat.read_until("ended")["messages"]
    assert again["id"] != failed["id"]
    assert again["error"] == failed["error"]


def test_a_message_that_is_too_long_is_refused_in_words(script: str, folder: Path) -> None:
    assert folder.exists()
    at = open_script("playground", script=script, flow="talk")
    chat = talk(at)
    chat.say("x" * 200_001)
    assert "200,001 characters" in chat.read_until("refused", "ended")["text"]
    assert talk(at).opened["messages"] == []


def test_the_built_in_model_is_announced_before_it_is_fetched(script: str) -> None:
    at = open_script("playground", script=script, flow="small")
    notice = "The first message fetches the built-in model, Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0."
    assert notice in read(at)
    assert "a small built-in model" in read(at)
    assert "built-in model" not in read(open_script("playground", script=script, flow="talk"))
    assert model_notes.announce_fetch(runtime.get().catalogue.list_flows()["small"], sees_inside=False) == (
        "The first answer takes a minute or more."
    )


def test_a_flow_without_chat_input_is_a_form(script: str) -> None:
    at = open_script("playground", script=script, flow="gist")
    assert read_chat(at)["mode"] == "form"
    assert "Flowground turns a folder" in read_chat(at)["example"]
    assert "A text of mine." in talk(at).ask("A text of mine.")


def test_a_broken_file_leaves_the_last_good_version_with_a_banner(script: str, folder: Path) -> None:
    open_script("playground", script=script, flow="talk")
    file = folder / "flows" / "talk.yaml"
    file.write_text(file.read_text("utf-8").replace("input_value", "input_valeu", 1), "utf-8")
    eventually(lambda: open_script("playground", script=script, flow="talk").warning)
    at = open_script("playground", script=script, flow="talk")
    assert "the last good version answers" in only(at.warning).value
    assert talk(at).ask("Hello") == "You said: Hello"


@pytest.mark.parametrize("page", ["playground", "api_access"])
def test_a_file_that_never_was_a_flow_shows_its_mistakes_at_its_address(script: str, page: str, folder: Path) -> None:
    said = read(open_script(page, script=script, flow="broken"))
    for words in (
        "This flow's file needs a correction",
        "broken.yaml",
        "line 3, column 14",
        "Did you mean **ChatInput**?",
    ):
        assert words in said
    assert "Nothing here for you" not in said
    (folder / "flows" / "broken.yaml").write_text(FLOWS["talk"], "utf-8")
    eventually(lambda: "needs a correction" not in read(open_script(page, script=script, flow="broken")))


@pytest.mark.parametrize("address", ["unknown", "", "../talk"])
def test_an_unknown_flow_is_one_calm_page(script: str, address: str) -> None:
    assert "Nothing here for you" in read(open_script("playground", script=script, flow=address))


def test_the_api_page_shows_code_and_asks_the_owner_for_the_code(script: str) -> None:
    at = open_script("api_access", script=script, flow="talk")
    assert [tab.label for tab in at.tabs] == ["Python", "JavaScript", "cURL", "Temporary overrides"]
    shown = [code.value for code in at.code]
    assert "export FLOWGROUND_API_KEY=YOUR_TOKEN" in shown
    assert sum("/api/v1/run/talk" in code for code in shown) == 3


def test_the_api_page_without_a_flow_lets_one_choose(script: str) -> None:
    at = open_script("api_access", script=script)
    assert "Choose the flow that your program is to ask." in read(at)
    assert "POST /api/v1/run/talk" in read(at)


def test_a_link_that_is_none_says_so(script: str) -> None:
    said = read(open_script("join", script=script, invitation="nothing"))
    assert "This link does not work" in said
    assert "no longer works" in said


def test_without_flows_a_template_is_offered(script: str, folder: Path) -> None:
    for file in (folder / "flows").iterdir():
        file.unlink()
    eventually(lambda: "No flows yet" in read(open_script(script=script)))  # a file is gone once two looks missed it
    assert [button.label for button in open_script(script=script).button if "flow" in button.label] == [
        "Create the first flow"
    ]
