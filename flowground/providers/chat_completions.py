"""OpenAI's chat completions (POST /chat/completions): calls written as bytes, answers read from bytes, nothing else.

Source: OpenAI's API reference, "Create chat completion" and its streaming chunks; Ollama, vLLM and llama.cpp speak it
too, each with small liberties that are accepted here (an error under status 200, no `[DONE]`, text in parts, reasoning
between `<think>` and `</think>` at the beginning of the text); reasoning as DeepSeek, vLLM, Ollama and OpenRouter name
it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, assert_never

import orjson

from flowground.errors import AnswerTooLong
from flowground.messages import (
    MOST_TOKENS,
    FilePart,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    mend,
    split_thought,
)
from flowground.providers.base import Completion, ModelCall
from flowground.providers.event_stream import (
    NO_ANSWER,
    EventReader,
    ToolCallReader,
    count_most_bytes,
    name_reason,
    read_object,
    read_word,
    refuse,
)
from flowground.providers.model_server import EncodedFiles, encode_body
from flowground.values import LONGEST_ANSWER

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put what a model thought; DeepSeek, llama.cpp and older vLLM have the first, the others the second."""


def write_call(
    call: ModelCall,
    *,
    is_streamed: bool,
    renamed: Mapping[str, str],
    provider: str = "",
    files: EncodedFiles = MappingProxyType({}),
) -> bytes:
    """The request's body: the options that the flow sets and no others. `renamed` maps names a server has retired.

    `files` are those of the messages, `provider` the one whose own reasoning is given back.
    """
    messages: list[dict[str, Any]] = []
    for message in call.messages:
        if message.content.__class__ is str:
            messages.append({"role": message.role, "content": message.content})
        else:
            messages += _write_message(message, files, provider=provider)
    body: dict[str, Any] = {"model": call.model, "messages": messages}
    body |= {renamed.get(name, name): value for name, value in call.options.items()}
    if call.tools:
        body |= _write_tools(call)
    if call.response_schema is not None:
        shape = {"name": "answer", "schema": call.response_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    if is_streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return encode_body(body)


def _write_message(message: Message, files: EncodedFiles, *, provider: str) -> list[dict[str, Any]]:
    """One message with parts; each result of a tool is a message of its own.

    What a model thought is given back to the provider it came from, with the calls it led to: DeepSeek refuses a
    conversation without it, and has no use for it elsewhere.
    """
    content: list[TextPart | FilePart] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    thoughts: dict[str, str] = {}
    for part in message.parts:
        match part:
            case TextPart() | FilePart():
                content.append(part)
            case ToolCall():
                calls.append(_write_tool_call(part, provider))
            case ToolResult():
                said = f"Error: {part.text}" if part.is_error else part.text
                results.append({"role": "tool", "tool_call_id": part.call_id, "content": said})
            case Reasoning():
                if part.provider == provider and part.opaque in REASONING_FIELDS:
                    thoughts[part.opaque] = part.text
            case _:
                assert_never(part)
    if not content and not calls:
        return results
    written: dict[str, Any] = {"role": message.role, "content": _write_content(content, files)}
    if calls:
        written |= {**thoughts, "tool_calls": calls}
    return [written, *results]


def _write_tool_call(call: ToolCall, provider: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()}
    written = {"id": call.id, "type": "function", "function": function}
    if call.opaque and call.provider == provider:
        written["extra_content"] = orjson.loads(call.opaque)
    return written


def _write_content(parts: Sequence[TextPart | FilePart], files: EncodedFiles) -> Any:
    """Text alone stays one text: not every server takes it in parts."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) == len(parts):
        return "".join(texts) or None
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else _write_file(part, files[part])
        for part in parts
    ]


def _write_file(file: FilePart, url: orjson.Fragment) -> dict[str, Any]:
    if file.is_image:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": file.name, "file_data": url}}


def _write_tools(call: ModelCall) -> dict[str, Any]:
    """The tools of a call, and which one is to be called where that is not left to the model."""
    tools = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in call.tools
    ]
    if call.tool_choice == "auto":
        return {"tools": tools}
    choice = "none" if call.tool_choice == "none" else {"type": "function", "function": {"name": call.tool_choice}}
    return {"tools": tools, "tool_choice": choice}


_LONGEST_REASON = 40


def read_completion(data: bytearray, *, model: str, provider: str = "") -> Completion:
    """A whole answer; `model` is shown when the server names none. Raises Unreadable and AnswerTooLong."""
    if len(data) > count_most_bytes():
        raise AnswerTooLong(LONGEST_ANSWER)
    answer = read_object(data)
    calls = ToolCallReader(provider)
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        marked, text = split_thought(mend(_read_text(message.get("content")) or _read_text(message.get("refusal"))))
        if deltas := message.get("tool_calls"):
            calls.feed(deltas)
        name, thought = _find_thought(message)
    except NO_ANSWER as error:
        raise refuse(error) from None
    shown = read_word(answer.get("model")) or model
    made = calls.finish()
    reason = name_reason(_read_reason(choice), has_calls=bool(made))
    reasoning = Reasoning(mend(thought) + marked, provider, name) if thought or marked else None
    return Completion(text, shown, _read_usage(answer.get("usage")), reason, made, reasoning)


class ChunkReader(EventReader):
    """Reads a stream of chunks, which ends with `[DONE]`."""

    _thought_field = ""

    def sign_thought(self) -> str:
        return self._thought_field

    def read_event(self, data: bytes, pieces: list[str | Reasoning]) -> None:
        if data == b"[DONE]":
            self.has_ended = self.is_done = True
            return
        if not data:
            return
        chunk = read_object(data)
        if self.model is None:
            self.model = read_word(chunk.get("model"))
        if usage := chunk.get("usage"):
            self.usage = _read_usage(usage)
        if not (choices := chunk.get("choices")):
            return
        choice = choices[0]
        if reason := _read_reason(choice):
            self.has_ended, self.reason = True, reason
        delta = choice.get("delta") or {}
        content = delta.get("content")
        if content.__class__ is not str or len(delta) > 1:
            self._read_others(delta, pieces)
            content = _read_text(content) or _read_text(delta.get("refusal"))
        self.say(content, pieces)

    def _read_others(self, delta: dict[str, Any], pieces: list[str | Reasoning]) -> None:
        """What stands in a delta beside text."""
        name, thought = _find_thought(delta)
        if thought:
            self._thought_field = name
            self.add_thought(thought, pieces, name)
        if deltas := delta.get("tool_calls"):
            self.calls.feed(deltas)


def _read_text(content: Any) -> str:
    """Text as a string or as parts; nothing (a tool call, a refusal) is the empty text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type", "text") == "text")


def _find_thought(message: dict[str, Any]) -> tuple[str, str]:
    """The field in which the server says what the model thinks, and its text; "" where it says nothing."""
    for name in REASONING_FIELDS:
        if (text := message.get(name)) and isinstance(text, str):
            return name, text
    return "", ""


def _read_reason(choice: dict[str, Any]) -> str | None:
    return (read_word(choice.get("finish_reason")) or "")[:_LONGEST_REASON] or None


def _read_usage(value: Any) -> Usage | None:
    """What cannot be a number of tokens is no count: the answer stands without it."""
    if not isinstance(value, dict):
        return None
    counts = value.get("prompt_tokens", -1), value.get("completion_tokens", -1)
    if not all(type(count) is int and 0 <= count <= MOST_TOKENS for count in counts):
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else value.get("prompt_cache_hit_tokens")
    return Usage(*counts, cached if type(cached) is int and 0 <= cached <= counts[0] else 0)
