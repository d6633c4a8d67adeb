"""What OpenAI's chat completions are asked (POST /chat/completions): values to bytes, nothing else.

Source: OpenAI's API reference, "Create chat completion"; reasoning as DeepSeek, vLLM, Ollama and OpenRouter name it.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, assert_never

import orjson

from flowground.errors import ProviderRefused
from flowground.messages import FilePart, Message, Reasoning, TextPart, ToolCall, ToolResult
from flowground.providers.base import ModelCall

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put what a model thought; DeepSeek, llama.cpp and older vLLM have the first, the others the second."""
_PIECE = 3 * 1_000_000
"""Bytes that are encoded at once: three become four letters, and others have their turn between two pieces."""

EncodedFiles = Mapping[FilePart, orjson.Fragment]


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


def encode_body(body: Mapping[str, Any]) -> bytes:
    """JSON, fast."""
    try:
        return orjson.dumps(body)  # a prompt may have 3,000,000 characters: 16 ms at most, four times faster
    except TypeError:  # half a character, which the command line may hold
        return json.dumps(body).encode()


async def encode_files(files: Iterable[FilePart], *, as_urls: bool = True) -> EncodedFiles:
    """Each file as JSON holds it, a data URL or base64 in quotes.

    Raises ProviderRefused for one that is not what it was.
    """
    encoded: dict[FilePart, orjson.Fragment] = {}
    for file in files:
        if file in encoded:
            continue
        data = memoryview(await file.read())
        if len(data) != file.size:
            raise ProviderRefused(f"The file {file.name!r} is not what it was: send it again.")
        start_of_url = b"data:" + orjson.dumps(file.media_type)[1:-1] + b";base64," if as_urls else b""
        url = bytearray(b'"' + start_of_url)
        for start in range(0, len(data), _PIECE):
            url += b64encode(data[start : start + _PIECE])
            await asyncio.sleep(0)
        url += b'"'
        encoded[file] = orjson.Fragment(bytes(url))
    return encoded


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
