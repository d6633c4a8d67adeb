"""Application tokens in the API access pane, without a browser: made, shown once, revoked."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from flowground import runtime
from flowground.store.people import tokens
from flowground.ui.page import bridge, browser
from tests.app_page import find_by_key, find_by_label, only, open_script, press, read
from tests.in_process import runtime_of
from tests.servers import write_folder
from tests.waiting import eventually

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


def test_a_token_is_made_shown_once_and_gone_from_the_whole_pane_once_it_is_revoked(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    assert "Your new token." in read(pane)
    another_visit = open_script("api_access", flow="talk")
    assert (secrets(another_visit), secret in read(another_visit)) == ([], False)
    assert "**Revoke “my script”?**" in read(pane)
    assert "Never used. Whatever uses it is refused from then on, for good." in read(pane)
    press(pane, "tokens:revoke:")
    assert [toast.value for toast in pane.toast] == ["Revoked."]
    assert [button.label for button in pane.button if button.label == "Revoke"] == []
    assert (secrets(pane), secret in read(pane), "Your new token" in read(pane)) == ([], False, False)
    assert "export FLOWGROUND_API_KEY=YOUR_TOKEN" in read(pane)


def test_the_question_says_the_month_as_it_is_written(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    bridge.call(runtime.get().sign_in.verify_token(secret))
    eventually(lambda: bridge.read(tokens.list_tokens)[0].uses == 1)  # they are written together, a little later
    pane.run()
    day = browser.spell_day(datetime.now(UTC))
    assert f"Last used {day} · 1 use. Whatever uses it" in read(pane)


def test_a_token_that_was_revoked_elsewhere_is_gone_from_the_pane_too(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    press(open_script("api_access", flow="talk"), "tokens:revoke:")
    pane.run()
    assert (secrets(pane), secret in read(pane)) == ([], False)


def test_a_token_without_a_name_is_refused_in_words_and_changes_nothing(pane: AppTest) -> None:
    make(pane, "")
    assert "name" in only(pane.warning).value
    assert secrets(pane) == []
    make(pane, "my script")
    assert len(pane.warning) == 0
    assert find_by_key(pane.button, "tokens:revoke:").label == "Revoke"


def test_a_new_token_is_narrow_more_where_it_is_ticked_and_the_form_narrow_again_then(pane: AppTest) -> None:
    make(pane, "plain")
    assert "**plain** · Talk only · sees answers · never used · expires " in read(pane)
    assert "The next token" not in read(pane)
    pane.checkbox(key="tokens:sees:talk").check()
    pane.checkbox(key="tokens:sets:talk").check()
    pane.selectbox(key="tokens:reach:talk").set_value("all")
    pane.selectbox(key="tokens:expires:talk").set_value("Never").run()
    more = "reach every flow that you may run, see prompts, traces and whole errors and set fields of the flow"
    assert f"The next token may also {more}, such as its prompt and temperature." in read(pane)
    make(pane, "more")
    assert "**more** · all flows · sees the inside, sets fields · never used · does not expire" in read(pane)
    assert "The next token" not in read(pane)
    make(pane, "narrow")
    stored = bridge.read(tokens.list_tokens)
    assert [(token.name, token.flows, token.sees, token.sets) for token in stored] == [
        ("narrow", ("talk",), "answers", "opened"),
        ("more", None, "inside", "unprotected"),
        ("plain", ("talk",), "answers", "opened"),
    ]


def override(at: AppTest) -> None:
    """A field that the author did not open to members."""
    find_by_label(at.slider, "Temperature").set_value(1.25).run()
    assert not at.exception


def test_overrides_that_need_it_let_the_next_token_set_fields_and_say_so(pane: AppTest) -> None:
    make(pane, "early")
    override(pane)
    assert "These overrides need a token that may set fields, and “early” may not." in read(pane)
    assert pane.checkbox(key="tokens:sets:talk").value
    more = "set fields of the flow, such as its prompt and temperature: your overrides do"
    assert f"The next token may also {more}." in read(pane)
    press(pane, "try:talk:run")
    assert "200 OK" in read(pane)
    make(pane, "fitting")
    assert "need a token that may set fields" not in read(pane)
    press(pane, "overrides:reset:talk")
    assert not pane.checkbox(key="tokens:sets:talk").value
    make(pane, "late")
    stored = bridge.read(tokens.list_tokens)
    assert [(token.name, token.sees, token.sets) for token in stored] == [
        ("late", "answers", "opened"),
        ("fitting", "answers", "unprotected"),
        ("early", "answers", "opened"),
    ]


def test_who_wants_a_narrow_token_for_overrides_has_it_and_the_way_to_another(pane: AppTest) -> None:
    override(pane)
    assert "These overrides need a token that may set fields." in read(pane)
    pane.checkbox(key="tokens:sets:talk").uncheck().run()
    press(pane, "try:talk:run")
    assert "422 Unprocessable" in read(pane)
    make(pane, "narrow")
    assert "and “narrow” may not." in read(pane)
    pane.checkbox(key="tokens:sets:talk").uncheck().run()
    press(pane, "tokens:tick:talk")
    assert pane.checkbox(key="tokens:sets:talk").value
    make(pane, "fitting")
    assert [token.sets for token in bridge.read(tokens.list_tokens)] == ["unprotected", "opened"]


def test_another_visit_is_told_which_token_may_and_of_none_that_may_not(pane: AppTest) -> None:
    make(pane, "my laptop")
    override(pane)
    make(pane, "first")
    make(pane, "second")
    another_visit = open_script("api_access", flow="talk")
    override(another_visit)
    assert "These overrides need a token that may set fields. “second” may." in read(another_visit)
    assert "may not" not in read(another_visit)


def test_overrides_of_opened_fields_need_no_other_token(tmp_path: Path) -> None:
    opened = TALK + "api: {overridable: [Model.temperature]}\n"
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={"talk": opened})):
        at = open_script("api_access", flow="talk")
        make(at, "plain")
        override(at)
        assert "need a token that may set fields" not in read(at)
        press(at, "try:talk:run")
        assert "200 OK" in read(at)


def test_the_pane_leads_to_the_description_for_programs_and_owners_to_the_usage(pane: AppTest) -> None:
    assert "/api/openapi.json)" in read(pane)
    assert "Usage" in [link.proto.label for link in pane.get("page_link")]
