"""Tools for the built-in model: at each step it gives JSON of a schema, either a call of one tool or an answer.

llama.cpp's own tool calls need a model that was trained on their form. The built-in one writes them as plain text, goes
on with invented calls after the first result, and `tool_choice` changes none of it (docs/decisions.md). A schema
becomes a grammar, so what comes is always one or the other, whatever the model.
"""

import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from flowground.messages import Message, ToolCall, ToolResult
from flowground.providers.base import Completion, ModelCall, Piece, ToolSpec

_TOOLS = """\
You can call these tools:

{tools}

If one of them gives what is asked, reply with {{"tool": its name, "arguments": {{...}}}}. Where its result is there, \
or no tool gives it, reply with {{"answer": your answer}}."""
_NEXT = {True: "Reply with the answer, or call another tool.", False: "Reply with the answer."}
_ANSWER_BEGINS = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
_LONGEST_ESCAPE = 6


def put_tools_into_words(call: ModelCall) -> ModelCall:
    """The same call for a model that knows no tools: they stand in the system's message, calls and results in texts."""
    tools = [tool for tool in call.tools if call.tool_choice in ("auto", tool.name)]
    messages = [said for message in call.messages for said in _write_message(message, may_call=bool(tools))]
    if not tools:
        return replace(call, messages=tuple(messages), tools=())
    told = _TOOLS.format(tools="\n".join(_describe(tool) for tool in tools))
    if messages and messages[0].role == "system":
        told = f"{messages.pop(0).text}\n\n{told}"
    schema = _make_schema(tools, may_answer=call.tool_choice == "auto")
    return replace(call, messages=(Message("system", told), *messages), tools=(), response_schema=schema)


async def read_choice(said: AsyncGenerator[Piece, None], number: int) -> AsyncGenerator[Piece, None]:
    """The answer or the call in what the model says, whole; `number` tells its id from others of the conversation."""
    async with aclosing(said) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                end = _read_chosen(piece, number)
                if end.text:
                    yield end.text
                yield end


def _read_chosen(end: Completion, number: int) -> Completion:
    try:
        chosen = json.loads(end.text)
        if "answer" in chosen:
            return replace(end, text=str(chosen["answer"]))
        call = ToolCall(f"call_{number}", str(chosen["tool"]), dict(chosen["arguments"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return replace(end, text=_read_begun_answer(end.text))
    return replace(end, text="", tool_calls=(call,), finish_reason="tool_calls")


def _read_begun_answer(text: str) -> str:
    """What was said of an answer that `max_tokens` cut; nothing of a call."""
    if begins := _ANSWER_BEGINS.match(text):
        for end in range(len(text), len(text) - _LONGEST_ESCAPE, -1):
            with suppress(ValueError):
                return str(json.loads(f'"{text[begins.end() : end]}"'))
    return ""


def _write_message(message: Message, *, may_call: bool) -> Iterator[Message]:
    """A call is shown in the form in which the model gives one, the results as what somebody says."""
    if message.text:
        yield Message(message.role, message.text)
    for part in message.parts:
        if isinstance(part, ToolCall):
            chosen = {"tool": part.name, "arguments": part.arguments}
            yield Message("assistant", json.dumps(chosen, ensure_ascii=False))
    results = [
        f"{'Error' if part.is_error else 'Result'} of {part.name}: {part.text}"
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    if results:
        yield Message("user", "\n".join((*results, "", _NEXT[may_call])))


def _describe(tool: ToolSpec) -> str:
    arguments = json.dumps(tool.parameters.get("properties", {}), ensure_ascii=False)
    return f"- {tool.name}: {tool.description} Arguments: {arguments}"


def _make_schema(tools: list[ToolSpec], *, may_answer: bool) -> dict[str, Any]:
    choices = [_close({"tool": {"const": tool.name}, "arguments": dict(tool.parameters)}) for tool in tools]
    if may_answer:
        choices.append(_close({"answer": {"type": "string"}}))
    return {"anyOf": choices}


def _close(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
