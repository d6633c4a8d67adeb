"""Anthropic's models, by its Messages API (POST /v1/messages), and servers that speak it.

Source: Anthropic's API reference, "Create a Message", "Streaming messages", "Extended thinking", "Prompt caching" and
"Structured outputs"."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

import orjson
from pydantic import Field

from flowground.core.messages import (
    FilePart,
    MessagePart,
    Reasoning,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    join_surrogates,
)
from flowground.providers.base import Capabilities, ModelCall, Provider, ProviderContext, ProviderSettings
from flowground.providers.event_stream import EventReader, Unreadable, count_tokens, read_object, read_word
from flowground.providers.model_server import EncodedFiles, ModelServer, encode_body, join_turns, trim_schema

ANTHROPIC_URL = "https://api.anthropic.com/v1"
_VERSION = (b"anthropic-version", b"2023-06-01")
_USUAL = Capabilities(images=True, documents=True, tools=True, response_schema=True, window=200_000)
Thinking = Literal["off", "adaptive", "fixed"]
_OPTIONS = ("temperature", "top_p")
"""Options of a flow that this API has too; it has no seed."""
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_SCHEMA_WORDS = frozenset({
    "type", "description", "title", "enum", "const", "default", "properties", "required", "items", "anyOf", "allOf",
    "$ref", "$defs", "definitions", "format",
})  # fmt: skip
_KEPT = {"cache_control": {"type": "ephemeral"}}
"""Marks a block for the cache: everything up to the block is kept for five minutes, and costs a tenth when it is read
again."""
_LEAST_THOUGHT = 1_024


class AnthropicSettings(ProviderSettings):
    """Anthropic; with `base_url` another server that speaks its Messages API."""

    type: Literal["anthropic"] = "anthropic"
    thinking: Thinking = Field(
        "off",
        description="whether its models think before they answer: `adaptive` as much as they decide (Claude 4.6 "
        "and later), `fixed` in half of the longest answer (models before). Thoughts cost tokens.",
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Anthropic(self, name, context)


class BlockReader(EventReader):
    """Reads a stream in which a message's blocks begin, grow and end; or a whole message as one event."""

    def __init__(self, provider: str = "") -> None:
        super().__init__(provider)
        self._counts: dict[str, int] = {}
        self._thought_blocks: list[dict[str, Any]] = []

    def read_event(self, data: bytes, pieces: list[str | Reasoning]) -> None:
        event = read_object(data)
        match event.get("type"):
            case "message_start":
                self._read_head(event["message"])
            case "content_block_start":
                self._begin(event["index"], event["content_block"], pieces)
            case "content_block_delta":
                self._fill(event["index"], event["delta"], pieces)
            case "message_delta":
                self._read_end(event["delta"].get("stop_reason"), event.get("usage"))
            case "message_stop":
                self.has_ended = self.is_done = True
            case "message":
                self._read_head(event)
                for index, block in enumerate(event["content"]):
                    self._begin(index, block, pieces)
                self._read_end(event["stop_reason"], None)
            case "error":
                raise Unreadable("an error without a message")
            case _:  # pings, ends of blocks, and events that the API may add
                pass

    def sign_thought(self) -> str:
        """The thinking blocks unchanged: the API accepts calls of tools only with the thinking that led to them."""
        blocks = []
        for block in self._thought_blocks:
            if block["type"] == "redacted_thinking":
                blocks.append(block)
            elif signature := "".join(block["signature"]):
                thought = join_surrogates("".join(block["thinking"]))
                blocks.append({"type": "thinking", "thinking": thought, "signature": signature})
        return orjson.dumps(blocks).decode() if blocks else ""

    def _read_head(self, message: Mapping[str, Any]) -> None:
        self.model = read_word(message.get("model")) or self.model
        self._count(message.get("usage"))

    def _read_end(self, reason: Any, usage: Any) -> None:
        self._count(usage)
        if isinstance(reason, str):
            self.has_ended, self.reason = True, _REASONS.get(reason, join_surrogates(reason)[:40])

    def _count(self, usage: Any) -> None:
        """Adds up token counts: those at the end continue those at the beginning. Input has three counts, one of them
        of the cache."""
        if not isinstance(usage, dict):
            return
        self._counts |= {name: count_tokens(value) for name, value in usage.items() if type(value) is int}
        cached = self._counts.get("cache_read_input_tokens", 0)
        fresh = self._counts.get("input_tokens", 0) + self._counts.get("cache_creation_input_tokens", 0)
        self.usage = Usage(count_tokens(fresh + cached), self._counts.get("output_tokens", 0), cached)

    def _begin(self, index: Any, block: Mapping[str, Any], pieces: list[str | Reasoning]) -> None:
        match block.get("type"):
            case "text":
                self.add_text(block["text"], pieces)
            case "thinking":
                self.count_thought(100)
                self._thought_blocks.append({"type": "thinking", "thinking": [], "signature": []})
                self._add_thought(block.get("thinking") or "", block.get("signature") or "", pieces)
            case "redacted_thinking":
                self.count_thought(100 + len(block["data"]))
                self._thought_blocks.append({"type": "redacted_thinking", "data": join_surrogates(block["data"])})
            case "tool_use":
                function = {"name": block["name"], "arguments": block.get("input") or ""}
                self.calls.feed([{"index": index, "id": block["id"], "function": function}])
            case _:
                pass

    def _fill(self, index: Any, delta: Mapping[str, Any], pieces: list[str | Reasoning]) -> None:
        match delta.get("type"):
            case "text_delta":
                self.add_text(delta["text"], pieces)
            case "thinking_delta":
                self._add_thought(delta["thinking"], "", pieces)
            case "signature_delta":
                self._add_thought("", delta["signature"], pieces)
            case "input_json_delta":
                self.calls.feed([{"index": index, "function": {"arguments": delta["partial_json"]}}])
            case _:
                pass

    def _add_thought(self, text: str, signature: str, pieces: list[str | Reasoning]) -> None:
        """Adds to the last thinking block: each block ends before the next one begins."""
        self.count_thought(len(signature))
        self._thought_blocks[-1]["signature"].append(join_surrogates(signature))
        self._thought_blocks[-1]["thinking"].append(text)
        self.add_thought(text, pieces)


class Anthropic(ModelServer):
    """Calls the Messages API. Raises ProviderRefused for an address or key that cannot be used."""

    reader = BlockReader
    answer_word = "an answer of the Messages API"
    path_word = "/messages"
    key_header = b"x-api-key"
    headers = (_VERSION,)

    def __init__(self, entry: AnthropicSettings, name: str, context: ProviderContext) -> None:
        url, key = entry.base_url or ANTHROPIC_URL, entry.find_key(name, "ANTHROPIC_API_KEY")
        super().__init__(name, url, entry, key=key, usual=_USUAL, egress=context.egress)
        self._thinking = entry.thinking

    def write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:
        """The request's body; tools and system prompt are marked for Anthropic's cache."""
        most = int(call.options.get("max_tokens", 0)) or count_most_tokens(call.model)
        messages = join_turns(call, "content", "assistant", lambda parts: _write_blocks(parts, files, self._name))
        body: dict[str, Any] = {"model": call.model, "max_tokens": most, "messages": messages}
        body |= {name: call.options[name] for name in _OPTIONS if name in call.options}
        if system := call.system:
            body["system"] = [{"type": "text", "text": system, **_KEPT}]
        if call.tools:
            tools = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
                for tool in call.tools
            ]
            tools[-1] |= _KEPT
            body["tools"] = tools
        is_forced = call.tool_choice not in ("auto", "none")
        if call.tools and call.tool_choice != "auto":
            body["tool_choice"] = {"type": "tool", "name": call.tool_choice} if is_forced else {"type": "none"}
        if call.response_schema is not None:
            schema = trim_schema(call.response_schema, _SCHEMA_WORDS, is_closed=True)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if not is_forced:  # the API refuses both together
            body |= _write_thinking(self._thinking, most)
        if is_streamed:
            body["stream"] = True
        return encode_body(body)


def count_most_tokens(model: str) -> int:
    """The limit of an answer's tokens where the flow sets none: the API requires a number that the model allows."""
    return 4_096 if model.startswith("claude-3-") else 32_000


def _write_thinking(thinking: Thinking, most: int) -> dict[str, Any]:
    if thinking == "adaptive":
        return {"thinking": {"type": "adaptive", "display": "summarized"}}
    if thinking == "fixed" and most > _LEAST_THOUGHT:
        return {"thinking": {"type": "enabled", "budget_tokens": max(_LEAST_THOUGHT, most // 2)}}
    return {}


def _write_blocks(parts: Sequence[MessagePart], files: EncodedFiles, provider: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case TextPart():
                if part.text.strip():  # the API refuses an empty text
                    blocks.append({"type": "text", "text": part.text})
            case FilePart():
                source = {"type": "base64", "media_type": part.media_type, "data": files[part]}
                blocks.append({"type": "image" if part.is_image else "document", "source": source})
            case ToolCall():
                blocks.append({"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments})
            case ToolResult():
                result: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id, "content": part.text}
                blocks.append(result | ({"is_error": True} if part.is_error else {}))
            case Reasoning():
                if part.provider == provider and part.opaque:
                    blocks += orjson.loads(part.opaque)
            case _:
                assert_never(part)
    return blocks
