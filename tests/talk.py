"""A flow of every kind of field, for the tests of fields, tweaks and overrides: as it is, and with fields opened."""

from flowground.core.caller import Caller
from tests.flow_texts import wired

MEMBER = Caller(kind="member", id="mia", role="member")
PLAIN = Caller(kind="token", id="1", role="author", person="olga", sees="answers", sets="opened")
SETTING = Caller(kind="token", id="2", role="author", person="olga", sees="answers")
SEEING = Caller(kind="token", id="3", role="author", person="olga", sets="opened")
"""Tokens of an author: a new one, one that sets every unprotected field, one that sees the inside."""

HEAD = """\
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Topic: {type: TextInput, display_name: The topic, input_value: tea}
  Prompt: {type: Prompt, template: "Talk of {topic} in a {tone} tone.", topic: "${Topic}", tone: kind}
"""
_MODEL = """\
  Model:
    type: LanguageModel
    model: scripted
    system_message: ${Prompt} ${Topic}
    input_value: ${ChatInput}
    temperature: 0.1
  History: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
_OPENS = """\
api:
  overridable:
    - Prompt.tone
    - {field: Model.model, choices: [scripted, local]}
    - {field: Model.temperature, min: -1, max: 1}
    - {field: Model.max_tokens, choices: [0, 10, 20.0], max: 15}
    - {field: History.n_messages, min: 1.5, max: 9.5}
"""
TALK = HEAD + _MODEL
FLOW = wired(TALK)
OPENED = wired(TALK + _OPENS)
