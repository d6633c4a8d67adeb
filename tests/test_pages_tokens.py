"""Application tokens in the API access pane, without a browser: made, shown once, revoked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app_page import find_by_key, find_by_label, only, open_script, press, read
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.servers import write_folder


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[AppTest]:
    """The pane as the owner has it who gave the code."""
    flows = {"talk": flow_text("scripted:echo", "Talk")}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)):
        yield open_script("api_access", flow="talk")


def make(at: AppTest, name: str) -> None:
    at.text_input(key="tokens:name:talk").input(name)
    find_by_label(at.button, "Make a token").click().run()
    assert not at.exception


def secrets(at: AppTest) -> list[str]:
    """Those that the line to run first holds."""
    return re.findall(r"export FLOWGROUND_API_KEY=(fg_\S+)", read(at))


def test_a_token_is_made_shown_once_and_revoked(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    assert "Your new token stands at the top of this pane" in read(pane)
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
