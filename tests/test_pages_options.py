"""What a page tells its component to ask beside the message, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app_page import open_script, read_chat
from tests.asking import ASKING
from tests.in_process import runtime_of
from tests.servers import write_folder

MANY = """\
name: Many
components:
  ChatInput: {type: ChatInput}
  session: {type: TextInput, input_value: x}
  Topic: {type: TextInput, display_name: What about, input_value: tea}
  One: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}"}
  Two: {type: LanguageModel, display_name: Second, model: "scripted:echo", input_value: "${One}"}
  History: {type: MessageHistory}
  Prompt: {type: Prompt, template: "{a} {topic}", a: "", topic: "${Topic}"}
  ChatOutput: {type: ChatOutput, input_value: "${Two}"}
api:
  overridable:
    - session.input_value
    - Topic.input_value
    - {field: One.max_tokens, ask: true, min: 10}
    - {field: Two.max_tokens, ask: true}
    - {field: Two.stream, ask: true}
    - {field: History.order, ask: true}
    - {field: Two.model, ask: true, choices: ["scripted:json"]}
    - {field: Prompt.a, ask: true}
"""
TEXT = """\
name: Text
components:
  In: {type: TextInput, input_value: A text}
  Prompt: {type: Prompt, template: "{tone}: {text}", tone: kind, text: "${In}"}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${Prompt}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api: {overridable: [In.input_value, {field: Prompt.tone, ask: true}]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    flows = {"letters": ASKING, "many": MANY, "text": TEXT, "plain": PLAIN}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)):
        yield tmp_path


PLAIN = ASKING.partition("api:")[0]


def ask(flow: str) -> dict[str, dict[str, Any]]:
    """By address, in the order of the page."""
    return {field["address"]: field for field in read_chat(open_script("playground", flow=flow))["asked"]}


def test_what_is_asked_has_the_authors_order_words_and_bounds() -> None:
    asked = ask("letters")
    assert {name: (field["title"], field["widget"], field["value"]) for name, field in asked.items()} == {
        "Language": ("Language", "choice", "German"),
        "Model.temperature": ("Temperature", "slider", 0.3),
        "Prompt.tone": ("Tone", "text", "kind"),
    }
    assert [choice["value"] for choice in asked["Language"]["choices"]] == ["German", "French", "Spanish"]
    temperature = asked["Model.temperature"]
    assert (temperature["min"], temperature["max"], temperature["kind"]) == (0, 1, "a number from 0 to 1")


def test_every_kind_of_field_has_its_editor_and_alike_titles_their_component() -> None:
    asked = ask("many")
    assert {name: (field["title"], field["widget"]) for name, field in asked.items()} == {
        "session.input_value": ("session", "text"),
        "Topic": ("What about", "text"),
        "One.max_tokens": ("One · Max Tokens", "integer"),
        "Two.max_tokens": ("Second · Max Tokens", "integer"),
        "Two.stream": ("Stream", "switch"),
        "History.order": ("Order", "choice"),
        "Two.model": ("Model", "choice"),
        "Prompt.a": ("A", "area"),
    }
    assert asked["One.max_tokens"]["kind"].startswith("a whole number from 10 to")
    assert [choice["value"] for choice in asked["Two.model"]["choices"]] == ["scripted:echo", "scripted:json"]


def test_where_a_text_is_the_message_the_rest_is_asked_beside_it() -> None:
    assert list(ask("text")) == ["Prompt.tone"]


def test_a_flow_that_opens_nothing_asks_nothing() -> None:
    assert ask("plain") == {}
