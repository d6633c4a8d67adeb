"""The request that fits a flow: its input and output types, and where the Chat Input's text goes."""

from typing import Any

import pytest

from flowground.snippets import DEFAULT_MESSAGE, SnippetRequest
from tests.flow_texts import wired

CHAT = """\
name: Chat
components:
  In: {type: ChatInput}
  Topic: {type: TextInput, input_value: tea}
  Out: {type: ChatOutput, input_value: "${In} ${Topic}"}
"""
TEXT = """\
name: Text
components:
  In: {type: TextInput, input_value: a long story}
  Out: {type: TextOutput, input_value: "${In}"}
"""


def asking(text: str, message: str | None = None, **fields: Any) -> dict[str, Any]:
    request = SnippetRequest("http://x", "flow", **fields).fit(wired(text), message)
    return request.write_body(request.message)


def test_a_chat_flow_needs_a_message_only() -> None:
    assert asking(CHAT) == {"input_value": DEFAULT_MESSAGE}
    assert asking(CHAT, message="hi", session_id="s") == {"input_value": "hi", "session_id": "s"}
    assert SnippetRequest("http://x/", "flow").fit(wired(CHAT)).url == "http://x/api/v1/run/flow"


def test_the_message_is_what_the_chat_offers_to_begin_with() -> None:
    starters = CHAT + "chat: {starters: [How many days of leave?, And sick leave?]}\n"
    assert asking(starters) == {"input_value": "How many days of leave?"}
    own = starters.replace("In: {type: ChatInput}", "In: {type: ChatInput, input_value: mine}")
    assert asking(own) == {"input_value": "mine"}


def test_a_flow_without_chat_is_given_text_and_gives_text() -> None:
    assert asking(TEXT) == {"input_value": "a long story", "input_type": "text", "output_type": "text"}
    assert asking(TEXT, message="hi")["input_value"] == "hi"


@pytest.mark.parametrize("name", ["In", "Chat Input"])
@pytest.mark.parametrize("value", ["what's up?", {"value": "what's up?"}])
def test_a_changed_chat_input_is_the_message(name: str, value: object) -> None:
    tweaks = {name: {"input_value": value}}
    assert asking(CHAT, message="hi", tweaks=tweaks) == {"input_value": "what's up?"}
    assert tweaks == {name: {"input_value": value}}


def test_other_tweaks_stay() -> None:
    tweaks = {"In": {"input_value": "hi", "sender_name": "Ada"}, "Topic": {"input_value": "coffee"}, "temperature": 1}
    assert asking(CHAT, tweaks=tweaks) == {
        "input_value": "hi",
        "tweaks": {"In": {"sender_name": "Ada"}, "Topic": {"input_value": "coffee"}, "temperature": 1},
    }
    assert asking(CHAT, tweaks={"In": {"input_value": None}, "Chat Input": 3}) == {
        "input_value": DEFAULT_MESSAGE,
        "tweaks": {"In": {"input_value": None}, "Chat Input": 3},
    }
