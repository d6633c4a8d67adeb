"""The API access pane without a browser, as its owner sees it: temporary overrides, code, tries, links, tokens."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from flowground.app import runtime
from flowground.runs.limits import RunLimits
from flowground.settings import Settings
from flowground.settings.limits import Limits
from flowground.store.people import tokens
from flowground.ui.api_access import pane as try_it
from flowground.ui.page import bridge, browser
from tests.acting import ASKING_FIRST, SUM
from tests.app_page import find_by_key, find_by_label, go, only, open_script, press, read, read_chat
from tests.in_process import runtime_of
from tests.page_talk import talk
from tests.running import look_at_once
from tests.servers import write_folder
from tests.stored import list_sessions
from tests.waiting import eventually

TALK = """\
name: Talk
components:
  ChatInput: {type: ChatInput, input_value: Good morning}
  Prompt: {type: Prompt, template: "Be {tone}.", tone: kind}
  Model:
    type: LanguageModel
    model: scripted:json
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.5
  History: {type: MessageHistory, n_messages: 7}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
TEXT = """\
name: Text
components:
  In: {type: TextInput, input_value: A text}
  Model: {type: LanguageModel, model: "scripted:json", input_value: "${In}", temperature: 0.5}
  Out: {type: TextOutput, input_value: "${Model}"}
"""

ECHO = TALK.replace("scripted:json", "scripted:echo")
OPENED = ECHO + "api: {overridable: [Model.temperature]}\n"
ROWS = """\
name: Rows
components:
  ChatInput: {type: ChatInput}
  Rows: {type: Parser, input_data: [{text: a}], template: "<{text}>"}
  Model: {type: LanguageModel, model: "scripted:json", system_message: "${Rows}", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(try_it, "_LOOK_SECONDS", 60)  # a try has its end when the page is drawn
    flows = {"talk": TALK, "text": TEXT, "fail": TALK.replace("scripted:json", "scripted:fail")}
    flows |= {"rows": ROWS, "echo": ECHO, "opened": OPENED, "careful": ASKING_FIRST}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)):
        yield tmp_path


def title(at: AppTest) -> str:
    """The label of the tab with the overrides."""
    return only(tab.label for tab in at.tabs if tab.label.startswith("Temporary overrides"))


def answer(at: AppTest, flow: str) -> str:
    """What the last try of this very request brought, as the API sends it."""
    return str(at.get_by_key(f"try:{flow}:answer").code[-1].value)


def said(at: AppTest, flow: str) -> str:
    """The text of it, which stands first."""
    return str(at.get_by_key(f"try:{flow}:answer").code[0].value)


def codes(at: AppTest) -> list[str]:
    """Python, JavaScript, cURL."""
    found = [code.value for code in at.code if "/api/v1/run/" in code.value]
    assert len(found) == 3
    return found


def read_plain(at: AppTest) -> str:
    return read(at).replace("\\", "")


def test_a_changed_field_is_in_every_code_at_once_and_counted() -> None:
    at = open_script("api_access", flow="talk")
    assert not any("tweaks" in code for code in codes(at))
    find_by_label(at.text_input, "Tone").set_value('it\'s "rude"').run()
    find_by_label(at.slider, "Temperature").set_value(1.25).run()
    assert title(at) == "Temporary overrides (2)"
    assert all("tweaks" in code and "1.25" in code and "rude" in code for code in codes(at))
    assert "Author's value: kind" in read_plain(at)
    find_by_label(at.slider, "Temperature").set_value(0.5).run()  # the author's own is no override
    assert title(at) == "Temporary overrides (1)"
    assert not any("temperature" in code for code in codes(at))
    find_by_label(at.slider, "Number of Messages").set_value(3).run()
    press(at, "override:talk:", "History.n_messages:reset")
    assert find_by_label(at.slider, "Number of Messages").value == 7
    assert all("rude" in code and "n_messages" not in code for code in codes(at))
    press(at, "overrides:reset:talk")
    assert title(at) == "Temporary overrides"
    assert find_by_label(at.text_input, "Tone").value == "kind"
    assert not any("tweaks" in code for code in codes(at))
    assert all("Good morning" in code for code in codes(at))  # the input's text is the message of every call
    find_by_label(at.text_input, "Text").set_value("Good night").run()
    assert all("Good night" in code and "tweaks" not in code for code in codes(at))
    assert title(at) == "Temporary overrides (1)"


def test_a_bad_value_is_explained_beside_its_editor_and_the_last_good_one_stays() -> None:
    at = open_script("api_access", flow="talk")
    find_by_label(at.number_input, "Top P").set_value(7).run()
    assert [error.value for error in at.error] == [
        "`Model.top_p` is a number above 0 and of at most 1, not 7.  \n"
        ":small[Not in the code: the author's value stays.]"
    ]
    assert not any("top_p" in code for code in codes(at))
    find_by_label(at.number_input, "Top P").set_value(0.25).run()
    assert not at.error
    find_by_label(at.number_input, "Top P").set_value(-1).run()
    assert all("0.25" in code and "-1" not in code for code in codes(at))
    press(at, "override:talk:", "Model.top_p:reset")
    assert not any("top_p" in code for code in codes(at))
    find_by_key(at.text_area, "override:talk:", "Prompt.template").set_value("Be {tone} and {unknown}.").run()
    assert "unknown" in only(at.error).value
    assert not any("unknown" in code for code in codes(at))


def test_records_are_edited_as_json_and_what_is_none_is_told_where() -> None:
    at = open_script("api_access", flow="rows")
    editor = find_by_key(at.text_area, "override:rows:", "Rows.input_data")
    assert json.loads(editor.value) == [{"text": "a"}]
    editor.set_value('[{"text": "b"},\n {"text": it\'s}]').run()
    assert "The text is no JSON: line 2, column 11" in only(at.error).value.replace("\\", "")
    assert find_by_key(at.text_area, "override:rows:", "Rows.input_data").value.endswith("it's}]")
    find_by_key(at.text_area, "override:rows:", "Rows.input_data").set_value('{"text": "b"}').run()
    assert "`Rows.input_data` is records, a list of mappings, not" in only(at.error).value
    assert not any("tweaks" in code for code in codes(at))
    find_by_key(at.text_area, "override:rows:", "Rows.input_data").set_value('[{"text": "it\'s b"}, {"n": 1}]').run()
    assert not at.error
    assert all("it's b" in code or "it\\'s b" in code for code in codes(at))
    assert title(at) == "Temporary overrides (1)"
    go(at, "playground", flow="rows")
    assert read_chat(at)["chip"]["lines"] == ["""Rows.input_data [{"text": "it's b"}, {"n": 1}]"""]
    assert "<it's b>\\n<>" in talk(at).ask("Hello")
    go(at, "api_access", flow="rows")
    press(at, "override:rows:", "Rows.input_data:reset")
    assert title(at) == "Temporary overrides"


def test_locked_fields_say_why_and_a_search_finds_others_by_name() -> None:
    at = open_script("api_access", flow="talk")
    assert ":material/lock: **System Message** · Set by Prompt" in read_plain(at)
    assert ":material/lock: **Files** · Change it in the flow file" in read_plain(at)
    assert not any(area.label == "System Message" for area in at.text_area)
    find_by_label(at.text_input, "Search fields").set_value("messages").run()
    assert [slider.label for slider in at.slider] == ["Number of Chat History Messages", "Number of Messages"]
    assert not any(line.label == "Tone" for line in at.text_input)
    find_by_label(at.text_input, "Search fields").set_value("nothing").run()
    assert "No field has “nothing” in its name." in read_plain(at)


def test_feedback_on_an_answer_names_its_overrides() -> None:
    at = open_script("api_access", flow="talk")
    find_by_label(at.text_input, "Tone").set_value("rude").run()
    chat = talk(go(at, "playground", flow="talk"))
    chat.ask("Hello")
    answer = chat.show(chat.session)["messages"][-1]["id"]
    chat.send("rate", session=chat.session, message=answer, value="bad")
    chat.read_until("rated")
    assert "overrides of Prompt.tone" in read_plain(go(at, "feedback", flow="talk"))


def test_try_it_runs_the_request_as_it_stands_and_leaves_the_chats_alone() -> None:
    at = open_script("api_access", flow="talk")
    find_by_label(at.text_input, "Tone").set_value("rude").run()
    press(at, "try:talk:run")
    assert "200 OK" in read_plain(at)
    assert "Be rude." in answer(at, "talk")
    assert '"session_id"' in answer(at, "talk")
    find_by_label(at.button_group, "Answer").set_value("stream").run()
    assert "200 OK" not in read_plain(at)  # another request by now
    press(at, "try:talk:run")
    assert "event: token\ndata: " in answer(at, "talk")
    assert "event: end\ndata: " in answer(at, "talk")
    for mode in ("langflow", "stream", "simple"):
        find_by_label(at.button_group, "Answer").set_value(mode).run()
        find_by_label(at.text_input, "Message to try").set_value(f"asked {mode}")
        press(at, "try:talk:run")
        assert json.loads(said(at, "talk"))["messages"][-1]["content"] == f"asked {mode}"
    mine: dict[str, Any] = {"flow_id": "talk", "owner": "local:owner", "limit": 50}
    assert bridge.call(runtime.get().store.read(list_sessions, **mine)) == []


def test_a_failed_try_says_why() -> None:
    at = open_script("api_access", flow="fail")
    assert "No runs in the last 24 hours." in read_plain(at)
    press(at, "try:fail:run")
    assert "502 Bad Gateway" in read_plain(at)
    assert only(at.error).value.startswith("The model failed.")
    assert "tick “See prompts, traces and whole errors” in step 1" in only(at.error).value
    assert '"provider_status": 500' in answer(at, "fail")
    at.checkbox(key="tokens:sees:fail").check().run()
    assert len(at.error) == 0  # another token's request by now
    press(at, "try:fail:run")
    assert "The scripted model fails" in only(at.error).value


def test_a_try_counts_as_a_run_of_the_person() -> None:
    app = runtime.get()
    app.run_limits = RunLimits(Settings(limits=Limits(runs_per_minute=1)), app.store)
    at = open_script("api_access", flow="talk")
    press(at, "try:talk:run")
    assert "200 OK" in read_plain(at)
    press(at, "try:talk:run")
    assert "429 Too Many Requests" in read_plain(at)
    assert only(at.error).value.startswith("You can send the next message in ")
    assert '"code": "rate_limited"' in answer(at, "talk")


def test_overrides_that_a_newer_file_does_not_take_are_dropped_and_the_others_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at_once(monkeypatch)
    at = open_script("api_access", flow="talk")
    find_by_label(at.text_input, "Tone").set_value("rude").run()
    find_by_label(at.slider, "Temperature").set_value(1.25).run()
    assert title(at) == "Temporary overrides (2)"
    (folder / "flows" / "talk.yaml").write_text(TALK.replace('"Be {tone}.", tone: kind', "Be kind."), "utf-8")
    assert title(at.run()) == "Temporary overrides (1)"
    assert find_by_label(at.slider, "Temperature").value == 1.25
    assert all("1.25" in code and "rude" not in code for code in codes(at))


@pytest.fixture
def pane() -> AppTest:
    return open_script("api_access", flow="echo")


def make(at: AppTest, name: str) -> None:
    at.text_input(key="tokens:name:echo").input(name)
    find_by_label(at.button, "Make a token").click().run()
    assert not at.exception


def secrets(at: AppTest) -> list[str]:
    """Those that the line to run first holds, each once: its Copy button holds it too."""
    return sorted(set(re.findall(r"export FLOWGROUND_API_KEY=(fg_[\w-]+)", read(at))))


def test_a_token_is_made_shown_once_and_gone_from_the_whole_pane_once_it_is_revoked(pane: AppTest) -> None:
    make(pane, "my script")
    [secret] = secrets(pane)
    assert "Your new token." in read(pane)
    another_visit = open_script("api_access", flow="echo")
    assert (secrets(another_visit), secret in read(another_visit)) == ([], False)
    assert "**Revoke “my script”?**" in read(pane)
    assert "Never used. Whatever uses it is refused from then on, for good." in read(pane)
    bridge.call(runtime.get().sign_in.verify_token(secret))
    eventually(lambda: bridge.read(tokens.list_tokens)[0].uses == 1)  # they are written together, a little later
    pane.run()
    day = browser.spell_day(datetime.now(UTC))
    assert f"Last used {day} · 1 use. Whatever uses it" in read(pane)
    press(pane, "tokens:revoke:")
    assert [toast.value for toast in pane.toast] == ["Revoked."]
    assert [button.label for button in pane.button if button.label == "Revoke"] == []
    assert (secrets(pane), secret in read(pane), "Your new token" in read(pane)) == ([], False, False)
    assert "export FLOWGROUND_API_KEY=YOUR_TOKEN" in read(pane)
    make(pane, "revoked elsewhere")
    [secret] = secrets(pane)
    press(open_script("api_access", flow="echo"), "tokens:revoke:")
    assert (secrets(pane.run()), secret in read(pane)) == ([], False)


def test_a_new_token_is_narrow_more_where_it_is_ticked_and_the_form_narrow_again_then(pane: AppTest) -> None:
    make(pane, "plain")
    assert "**plain** · Talk only · sees answers · never used · expires " in read(pane)
    assert "The next token" not in read(pane)
    pane.checkbox(key="tokens:sees:echo").check()
    pane.checkbox(key="tokens:sets:echo").check()
    pane.selectbox(key="tokens:reach:echo").set_value("all")
    pane.selectbox(key="tokens:expires:echo").set_value("Never").run()
    more = "reach every flow that you may run, see prompts, traces and whole errors and set fields of the flow"
    assert f"The next token may also {more}, such as its prompt and temperature." in read(pane)
    make(pane, "more")
    assert "**more** · all flows · sees the inside, sets fields · never used · does not expire" in read(pane)
    assert "The next token" not in read(pane)
    make(pane, "narrow")
    stored = bridge.read(tokens.list_tokens)
    assert [(token.name, token.flows, token.sees, token.sets) for token in stored] == [
        ("narrow", ("echo",), "answers", "opened"),
        ("more", None, "inside", "unprotected"),
        ("plain", ("echo",), "answers", "opened"),
    ]


def override(at: AppTest) -> None:
    """A field that the author did not open to members."""
    find_by_label(at.slider, "Temperature").set_value(1.25).run()
    assert not at.exception


def test_overrides_that_need_it_let_the_next_token_set_fields_and_say_so(pane: AppTest) -> None:
    make(pane, "early")
    override(pane)
    assert "These overrides need a token that may set fields, and “early” may not." in read(pane)
    assert pane.checkbox(key="tokens:sets:echo").value
    more = "set fields of the flow, such as its prompt and temperature: your overrides do"
    assert f"The next token may also {more}." in read(pane)
    press(pane, "try:echo:run")
    assert "200 OK" in read(pane)
    pane.checkbox(key="tokens:sets:echo").uncheck().run()  # who wants a narrow one has it, and the way to another
    press(pane, "try:echo:run")
    assert "422 Unprocessable" in read(pane)
    make(pane, "narrow")
    assert "and “narrow” may not." in read(pane)
    pane.checkbox(key="tokens:sets:echo").uncheck().run()
    press(pane, "tokens:tick:echo")
    assert pane.checkbox(key="tokens:sets:echo").value
    make(pane, "fitting")
    assert "need a token that may set fields" not in read(pane)
    another_visit = open_script("api_access", flow="echo")
    override(another_visit)
    assert "These overrides need a token that may set fields. “fitting” may." in read(another_visit)
    press(pane, "overrides:reset:echo")
    assert not pane.checkbox(key="tokens:sets:echo").value
    make(pane, "late")
    stored = [(token.name, token.sets) for token in bridge.read(tokens.list_tokens)]
    narrow = [("narrow", "opened"), ("early", "opened")]
    assert stored == [("late", "opened"), ("fitting", "unprotected"), *narrow]


def test_an_author_overrides_fields_that_no_token_sets_and_is_told_that_the_code_is_refused() -> None:
    at = open_script("api_access", flow="opened")
    find_by_label(at.text_input, "Model").set_value("scripted:json").run()  # protected, and not listed
    find_by_label(at.text_input, "Tone").set_value("rude").run()  # not listed
    assert all("scripted:json" in code and "rude" in code for code in codes(at))
    assert "No token may set `Prompt.tone` and `Model.model`, so this code is refused." in read(at)
    assert "need a token that may set fields" not in read(at)
    press(at, "try:opened:run")
    assert "200 OK" in read(at)
    go(at, "playground", flow="opened")
    assert read_chat(at)["chip"]["label"] == "2 overrides"
    assert "Be rude." in talk(at).ask("Hello")


def test_the_pane_leads_on_and_says_where_a_decision_goes_and_why_a_try_is_refused(pane: AppTest) -> None:
    assert "/api/openapi.json)" in read(pane)
    assert "Usage" in [link.proto.label for link in pane.get("page_link")]
    assert "/decisions" not in read(pane)
    at = open_script("api_access", flow="careful")
    assert "/api/v1/runs/{run_id}/decisions" in read(at)
    assert "*Try it* asks nobody" in read(at)
    at.text_input(key="try:careful:message").input(SUM)
    find_by_label(at.button, "Try it").click().run()
    assert "Nobody is there who could allow it" in read(at)
