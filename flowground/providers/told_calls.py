"""How a scripted model is told to call tools: by lines that begin with `call`, of the message or of its own answer."""

import json
import re
from collections.abc import Sequence
from typing import Any

from flowground.messages import Message, ToolCall, ToolResult
from flowground.providers.base import ModelCall
from flowground.providers.invented import make_json

_LINE = re.compile(r"^call (.+)$", re.MULTILINE)
_TOGETHER = re.compile(r" and call ")


def find_calls(call: ModelCall, *, is_fooled: bool = False) -> tuple[ToolCall, ...]:
    """What the model calls now: the next line that tells it to, or the tool that it has to call; often nothing.

    `is_fooled`: it obeys lines of whatever it reads, of descriptions of tools and of what they gave too.
    """
    if not call.tools or call.tool_choice == "none":
        return ()
    said, since = _split(call.messages)
    made = _count_calls(since)
    read = [*(tool.description for tool in call.tools), *list_results(call.messages)] if is_fooled else []
    lines = [line for text in (said, *read) for line in _LINE.findall(text)]
    if not lines and call.tool_choice != "auto":
        lines = [call.tool_choice]
    told = _TOGETHER.split(lines[made]) if made < len(lines) else []
    return tuple(_make_call(call, f"call_{made + 1}_{number}", one, said) for number, one in enumerate(told, 1))


def split_answer(call: ModelCall, answer: str) -> tuple[tuple[ToolCall, ...], str]:
    """What an answer that was written for the model calls now, and what it says; `call` lines are taken in turn.

    What stands before such a line is said with it. An answer of such lines alone goes on with the last of them.
    """
    lines, texts = _LINE.findall(answer), [text.strip() for text in _LINE.split(answer)[::2]]
    if not lines or not call.tools:
        return (), answer
    made = _count_calls(_split(call.messages)[1])
    if call.tool_choice == "none" or (any(texts) and made >= len(lines)):
        return (), "\n\n".join(filter(None, texts[made:]))
    told = _TOGETHER.split(lines[min(made, len(lines) - 1)])
    calls = tuple(_make_call(call, f"call_{made + 1}_{number}", one, answer) for number, one in enumerate(told, 1))
    return calls, texts[made] if made < len(lines) else ""


def list_results(messages: Sequence[Message]) -> list[str]:
    """What tools gave since somebody said something."""
    _, since = _split(messages)
    return [part.text for message in since for part in message.parts if isinstance(part, ToolResult)]


def _count_calls(messages: Sequence[Message]) -> int:
    """Answers that called tools."""
    return sum(any(isinstance(part, ToolCall) for part in message.parts) for message in messages)


def _split(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The last message of the user, and the messages after it."""
    at = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    return (messages[at].text, messages[at + 1 :]) if at >= 0 else ("", ())


def _make_call(call: ModelCall, key: str, told: str, said: str) -> ToolCall:
    """Arguments are JSON, else made of the words behind the name, else of the whole message; they fit the schema."""
    name, _, words = told.strip().partition(" ")
    if words.lstrip().startswith("{"):
        return _read_arguments(key, name, words)
    schema = next((tool.parameters for tool in call.tools if tool.name == name), {})
    made: Any = make_json(schema, words or said)
    return ToolCall(key, name, made if isinstance(made, dict) else {})


def _read_arguments(key: str, name: str, words: str) -> ToolCall:
    try:
        return ToolCall(key, name, json.loads(words))
    except (ValueError, RecursionError):
        return ToolCall(key, name, {}, "The arguments are no JSON.")
