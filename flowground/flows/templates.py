"""Templates of new flow files: a name and a template become a valid file, written where none was before."""

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.words import fold
from flowground.flows.parse import parse_flow

LONGEST_NAME = 80
_NOT_IN_ADDRESSES = re.compile(r"[^a-z0-9._-]+")
_LONGEST_ADDRESS = 64
_CHAT = """\
description: Answers questions as you tell it to.
components:
  ChatInput: {type: ChatInput}
  Prompt:
    type: Prompt
    template: |
      You are a friendly assistant. Answer in at most three sentences.
  Model:
    type: LanguageModel
    system_message: ${Prompt}
    input_value: ${ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat:
  welcome: Ask me anything.
  starters:
    - What can you do?
"""
_MEMORY = """\
description: A conversation that remembers what was said before.
components:
  ChatInput: {type: ChatInput}
  History: {type: MessageHistory, n_messages: 20}
  Prompt:
    type: Prompt
    template: |
      You are a friendly assistant. What was said so far:

      {memory}
    memory: ${History}
  Model:
    type: LanguageModel
    system_message: ${Prompt}
    input_value: ${ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat:
  welcome: Tell me something about yourself, and ask me for it later.
"""
_TEXT = """\
description: A text in, a text out; for programs.
components:
  TextInput: {type: TextInput, input_value: A text to work on.}
  Prompt:
    type: Prompt
    template: |
      Summarize the text below in at most {sentences} sentences. Write nothing but the summary.

      {text}
    sentences: "2"
    text: ${TextInput}
  Model: {type: LanguageModel, input_value: "${Prompt}"}
  TextOutput: {type: TextOutput, input_value: "${Model}"}
"""
_DOCUMENTS = """\
description: Answers questions from a folder of your documents, and cites its sources.
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: papers, search_query: "${ChatInput}", top_k: 4}
  HasPassages:
    type: ConditionalRouter
    input_text: ${Found.passages}
    operator: not equals
    match_text: ""
    false_case_message: The documents say nothing about that.
  Prompt:
    type: Prompt
    template: |
      Answer the question in one or two sentences, from these passages only. Put the number of the passage behind what
      you take from it, like this: [1]. If they do not answer it, say so.

      {passages}
    passages: ${HasPassages.true_result}
  Answer:
    type: LanguageModel
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0
  ChatOutput: {type: ChatOutput, input_value: "${Answer?}${HasPassages.false_result?}"}
knowledge:  # what stands in this folder beside the file: PDF, Word, HTML, Markdown, text, CSV, JSON
  papers: {files: ["documents/**"], uploads: true}
chat:
  welcome: Ask something about the documents.
"""
_AGENT = """\
description: An agent that works with tools.
components:
  ChatInput: {type: ChatInput}
  Agent:
    type: Agent
    system_prompt: >-
      You are a friendly assistant. Ask your tools where they know better than you, and say only what they told you.
    input_value: ${ChatInput}
    tools: [{use: Calculator, name: calculator}, {use: Today, name: today}]
    max_iterations: 5
    n_messages: 20
  # One component a tool: an API (APIRequest), documents (Retrieve), WebSearch, SQL, an MCP server, a flow (RunFlow).
  Calculator: {type: Calculator}
  Today: {type: CurrentDate}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
chat:
  welcome: Ask me anything.
  show_tools: true
  starters:
    - What is 15 percent of 240?
"""


@dataclass(frozen=True, slots=True)
class FlowTemplate:
    """One template: its title, its purpose in a few words, and the file's text after its name."""

    title: str
    purpose: str
    text: str


@dataclass(frozen=True, slots=True)
class DraftedFlow:
    """A new flow file, not yet written: `file` is its name, `id` the address that follows from it."""

    id: str
    name: str
    file: str
    text: str


TEMPLATES: Mapping[str, FlowTemplate] = {
    "chat": FlowTemplate("Chat", "a chat, whose instructions you write in its file", _CHAT),
    "memory": FlowTemplate("Chat with memory", "a chat that remembers what was said", _MEMORY),
    "documents": FlowTemplate(
        "Questions about documents", "answers from a folder of your documents, with its sources", _DOCUMENTS
    ),
    "agent": FlowTemplate("Agent", "an agent that works with tools", _AGENT),
    "text": FlowTemplate("Text", "a text in, a text out, for programs", _TEXT),
}


def make_draft(name: str, template: str, *, address: str = "", owner: str = "") -> DraftedFlow:
    """A file for a flow of this name, at `address` or at one made from the name; it belongs to `owner`, "" for nobody.

    Raises InvalidRequest for a name that is not allowed, FlowError for an address of the server itself.
    """
    name = " ".join(name.split())
    key = choose_address(address or name)
    if not key or not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(
            f"{address or name!r} cannot be a flow's {'address' if address else 'name'}.",
            hint=f"It needs a letter from a to z or a digit, and has {LONGEST_NAME} characters at most.",
        )
    # JSON strings are YAML strings: any name is read back unchanged.
    owners = f"owners: [{json.dumps(owner, ensure_ascii=False)}]\n" if owner else ""
    begin = f"name: {json.dumps(name, ensure_ascii=False)}\n{owners}"
    text = begin + TEMPLATES[template].text.replace("documents/**", f"documents/{key}/**")
    file = f"{key}.yaml"
    flow = parse_flow(text, file)
    if flow.mistakes:
        raise FlowError(flow.mistakes)
    return DraftedFlow(flow.id, name, file, text)


def choose_address(name: str) -> str:
    """The id for a flow of this name: "Zürich: trams" → "zurich-trams". Empty where the name has no usable
    character."""
    return _NOT_IN_ADDRESSES.sub("-", fold(name)).strip("-._")[:_LONGEST_ADDRESS].rstrip("-._")


def write_flow_file(folder: Path, draft: DraftedFlow, *, shown: str) -> None:
    """Writes the whole file into the folder, or nothing, and never over another file; `shown` is the path that people
    read.

    The file begins with the line by which editors find the schema of flow files. Raises InvalidRequest.
    """
    beside = folder / f".{draft.file}.{secrets.token_hex(4)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(_write_schema_line(folder) + draft.text, encoding="utf-8", newline="\n")
            _name_file(beside, folder / draft.file)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise InvalidRequest(f"There is already a file {shown}.", hint="Choose another name.") from None
    except OSError as error:
        raise InvalidRequest(f"{shown} cannot be written: {error.strerror}.") from None


def _write_schema_line(folder: Path) -> str:
    """The line by which editors find the schema of flow files; empty where docs/flow.schema.json is not found."""
    for root in (folder.parent, Path(__file__).parents[2]):
        if (schema := root / "docs" / "flow.schema.json").is_file():
            return f"# yaml-language-server: $schema={Path(os.path.relpath(schema, folder)).as_posix()}\n"
    return ""


def _name_file(beside: Path, path: Path) -> None:
    """Renames the written file to its final name. Raises FileExistsError where that name is taken."""
    try:
        os.link(beside, path)  # a rename would replace an existing file
    except OSError:  # for example on a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        beside.rename(path)
