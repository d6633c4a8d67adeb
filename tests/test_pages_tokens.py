"""Application tokens in the API access pane, without a browser: made, shown once, revoked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from flowground.store.people import tokens
from flowground.ui.page import bridge
from tests.app_page import find_by_key, find_by_label, only, open_script, press, read
from tests.in_process import runtime_of
from tests.servers import write_folder

TALK = """\
name: Talk
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}", temperature: 0.5}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[AppTest]:
    """The pane as the owner has it who gave the code."""
    flows = {"talk": TALK}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)):
        yield open_script("api_access", flow="talk")


def make(at: AppTest, name: str) -> None:
    at.text_input(key="tokens:name:talk").input(name)
    find_by_label(at.button, "Make a token").click().run()
    assert not at.exception


def secrets(at: AppTest) -> list[str]:
    """Those that the line to run first holds, each once: its Copy button holds it too."""
    return sorted(set(re.findall(r"export FLOWGROUND_API_KEY=(fg_[\w-]+)", read(at))))


def test_a_token_is_made_shown_once_and_revoked(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    assert "Your new token, shown this once." in read(pane)
    another_visit = open_script("api_access", flow="talk")
    assert (secrets(another_visit), secret in read(another_visit)) == ([], False)
    press(pane, "tokens:revoke:")
    assert [button.label for button in pane.button if button.label == "Revoke"] == []


def test_a_token_without_a_name_is_refused_in_words_and_changes_nothing(pane: AppTest) -> None:
    make(pane, "")
    assert "name" in only(pane.warning).value
    assert secrets(pane) == []
    make(pane, "my script")
    assert len(pane.warning) == 0
    assert find_by_key(pane.button, "tokens:revoke:").label == "Revoke"


def test_a_new_token_sees_answers_and_more_where_it_is_ticked(pane: AppTest) -> None:
    make(pane, "plain")
    assert "sees answers ·" in read(pane)
    pane.checkbox(key="tokens:sees:talk").check()
    pane.checkbox(key="tokens:sets:talk:free").check()
    make(pane, "more")
    assert "sees the inside, sets fields ·" in read(pane)
    stored = bridge.read(tokens.list_tokens)
    assert [(token.name, token.sees, token.sets) for token in stored] == [
        ("more", "inside", "unprotected"),
        ("plain", "answers", "opened"),
    ]


def override(at: AppTest) -> None:
    """A field that the author did not open to members."""
    find_by_label(at.slider, "Temperature").set_value(1.25).run()
    assert not at.exception


def test_with_overrides_in_force_the_token_that_the_code_needs_is_ticked_already(pane: AppTest) -> None:
    assert not pane.checkbox(key="tokens:sets:talk:free").value
    label = pane.checkbox(key="tokens:sets:talk:free").label
    assert label == "Set fields that members may not. Such a token can make the flow recite its prompt."
    make(pane, "early")
    override(pane)
    assert "need a token that may set fields, and “early” may not. One that you make above may." in read(pane)
    assert pane.checkbox(key="tokens:sets:talk:asked").value
    make(pane, "fitting")
    assert "and “early” may not" in read(pane)
    press(pane, "try:talk:run")
    assert "200 OK" in read(pane)
    pane.checkbox(key="tokens:sets:talk:asked").uncheck().run()
    assert "One that you make above may." not in read(pane)
    assert "200 OK" not in read(pane)
    press(pane, "try:talk:run")
    assert "422 Unprocessable" in read(pane)
    assert "Make one that may set fields under API access" in only(pane.error).value
    stored = bridge.read(tokens.list_tokens)
    assert [(token.name, token.sees, token.sets) for token in stored] == [
        ("fitting", "answers", "unprotected"),
        ("early", "answers", "opened"),
    ]


def test_overrides_of_opened_fields_need_no_other_token(tmp_path: Path) -> None:
    opened = TALK + "api: {overridable: [Model.temperature]}\n"
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={"talk": opened})):
        at = open_script("api_access", flow="talk")
        make(at, "plain")
        override(at)
        assert "need a token that may set fields" not in read(at)
        assert not at.checkbox(key="tokens:sets:talk:free").value
        press(at, "try:talk:run")
        assert "200 OK" in read(at)
