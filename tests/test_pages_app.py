"""Every page without a browser: app.py and the router, as the local owner sees them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app_page import find_by_key, only, open_script, press, read, say
from tests.in_process import runtime_of
from tests.open_page import flow_text
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


def test_the_gallery_shows_flows_and_mistakes(script: str) -> None:
    at = open_script(script=script)
    assert [heading.value for heading in at.header] == ["Acme"]
    assert [heading.value for heading in at.subheader] == [
        "Fail",
        "Small",
        "Summarizer",
        "Talk",
        "Files that need a correction",
    ]
    assert "echo · 1 starter" in read(at)
    assert "line 3, column 14" in read(at)
    assert "Did you mean **ChatInput**?" in read(at)


def test_the_organizations_name_stands_above_the_gallery_as_it_is_written(tmp_path: Path) -> None:
    with runtime_of(write_folder(tmp_path, config={"organization": {"name": "A *b* :red[c]"}}, flows={})):
        [heading] = open_script(script="app.py").header
        assert heading.value == r"A \*b\* \:red\[c\]"


def test_chatting_keeps_the_conversation_in_the_address(script: str) -> None:
    at = open_script("playground", script=script, flow="talk")
    assert "Say something." in read(at)
    assert "session" not in at.query_params
    say(at, "Hello *you*")
    assert [text.value for text in at.text] == ["Hello *you*"]
    assert "You said: Hello *you*" in read(at)
    assert "Say something." not in read(at)
    session = at.query_params["session"]
    again = open_script("playground", script=script, flow="talk", session=session)
    assert "You said: Hello *you*" in read(again)
    assert "You said:" not in read(open_script("playground", script=script, flow="talk", session="somebody-elses"))


def test_a_starter_is_a_message(script: str) -> None:
    at = open_script("playground", script=script, flow="talk")
    find_by_key(at.button_group, "starter:talk:").set_value("Good morning").run()
    assert "You said: Good morning" in read(at)


def test_a_failure_stands_in_the_answers_place(script: str) -> None:
    at = open_script("playground", script=script, flow="fail")
    say(at, "Hello")
    assert "Component 'Model' failed: The scripted model fails" in only(at.error).value.replace("\\", "")
    press(at, "retry:")
    assert len(at.error) == 2


def test_a_message_that_is_too_long_is_refused_in_words(script: str, folder: Path) -> None:
    assert folder.exists()
    at = open_script("playground", script=script, flow="talk")
    say(at, "x" * 200_001)
    assert "200001 characters" in read(at)
    assert "Say something." in read(at)


def test_the_built_in_model_is_announced_before_it_is_fetched(script: str) -> None:
    at = open_script("playground", script=script, flow="small")
    notice = "The first message fetches the built-in model, Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0."
    assert notice in read(at)
    assert "a small built-in model" in read(at)
    assert "built-in model" not in read(open_script("playground", script=script, flow="talk"))


def test_a_flow_without_chat_input_is_a_form(script: str) -> None:
    at = open_script("playground", script=script, flow="gist")
    area = at.text_area(key="form:text:gist")
    assert "Flowground turns a folder" in str(area.value)
    area.set_value("A text of mine.")
    press(at, "form:run:gist")
    assert "A text of mine." in read(at)


def test_a_broken_file_leaves_the_last_good_version_with_a_banner(script: str, folder: Path) -> None:
    open_script("playground", script=script, flow="talk")
    file = folder / "flows" / "talk.yaml"
    file.write_text(file.read_text("utf-8").replace("input_value", "input_valeu", 1), "utf-8")
    eventually(lambda: open_script("playground", script=script, flow="talk").warning)
    at = open_script("playground", script=script, flow="talk")
    assert "the last good version answers" in only(at.warning).value
    say(at, "Hello")
    assert "You said: Hello" in read(at)


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
    at.selectbox(key="api:flow").set_value("talk").run()
    assert at.query_params["flow"] == "talk"


def test_a_link_that_is_none_says_so(script: str) -> None:
    said = read(open_script("join", script=script, invitation="nothing"))
    assert "This link does not work" in said
    assert "not good" in said


def test_no_flows_yet_shows_the_smallest_one(script: str, folder: Path) -> None:
    for file in (folder / "flows").iterdir():
        file.unlink()
    eventually(lambda: "No flows yet" in read(open_script(script=script)))  # a file is gone once two looks missed it
    [smallest] = [code.value for code in open_script(script=script).code if "components:" in code.value]
    (folder / "flows" / "first.yaml").write_text(smallest, "utf-8")
    eventually(lambda: "My first flow" in read(open_script(script=script)))
