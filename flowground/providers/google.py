"""Google's Gemini models, by generateContent of the Gemini API.

Source: Google's API reference, "Generating content", and its guides "Function calling", "Structured output", "Thinking"
and "Thought signatures"."""

import re
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
from flowground.providers.model_server import (
    EncodedFiles,
    ModelServer,
    encode_body,
    join_turns,
    quote_model,
    trim_schema,
)

GOOGLE_URL = "https://generativelanguage.googleapis.com/v1beta"
_USUAL = Capabilities(images=True, documents=True, tools=True, response_schema=True, window=1_000_000)
_OPTIONS = {"temperature": "temperature", "max_tokens": "maxOutputTokens", "top_p": "topP", "seed": "seed"}
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"} | dict.fromkeys(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"), "content_filter"
)
_SCHEMA_WORDS = frozenset({
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems",
    "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
})  # fmt: skip
_OUR_ID = re.compile(r"call_\d+")
"""Ids made by us for calls without one, as older models send them: these are not sent back."""


class GoogleSettings(ProviderSettings):
    """The Gemini API; with `base_url` another server that speaks it."""

    type: Literal["google"] = "google"
    thoughts: bool = Field(
        False, description="whether a summary of its models' thoughts is asked for; not all have one."
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Google(self, name, context)


class PartReader(EventReader):
    """Reads a stream of answers, each with the parts since the one before; or one answer with all parts."""

    def read_event(self, data: bytes, pieces: list[str | Reasoning]) -> None:
        answer = read_object(data)
        self.model = read_word(answer.get("modelVersion")) or self.model
        if isinstance(counted := answer.get("usageMetadata"), dict):
            self.usage = _read_usage(counted)
        if not (candidates := answer.get("candidates")):
            if blocked := read_word((answer.get("promptFeedback") or {}).get("blockReason")):
                raise Unreadable(did=f"refused the question: {blocked[:40]}")
            return
        candidate = candidates[0]
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._read_part(part, pieces)
        if isinstance(reason := candidate.get("finishReason"), str):
            self.has_ended, self.reason = True, _REASONS.get(reason, join_surrogates(reason)[:40].lower())

    def _read_part(self, part: Mapping[str, Any], pieces: list[str | Reasoning]) -> None:
        if (text := part.get("text")) is not None:
            if part.get("thought"):
                self.add_thought(text, pieces)
            else:
                self.add_text(text, pieces)
        elif (called := part.get("functionCall")) is not None:
            function = {"name": called["name"], "arguments": called.get("args") or {}}
            signature = part.get("thoughtSignature")
            signed = {"extra_content": {"thoughtSignature": signature}} if isinstance(signature, str) else {}
            self.calls.feed([{"id": called.get("id"), "function": function, **signed}])


class Google(ModelServer):
    """Calls the Gemini API. Raises ProviderRefused for an address or key that cannot be used. The key is sent in a
    header, never in the URL."""

    reader = PartReader
    answer_word = "an answer of the Gemini API"
    path_word = "/models/"
    key_header = b"x-goog-api-key"

    def __init__(self, entry: GoogleSettings, name: str, context: ProviderContext) -> None:
        url, key = entry.base_url or GOOGLE_URL, entry.find_key(name, "GEMINI_API_KEY")
        super().__init__(name, url, entry, key=key, usual=_USUAL, egress=context.egress)
        self._has_thoughts = entry.thoughts

    def _find_target(self, call: ModelCall, *, is_streamed: bool) -> bytes:
        verb = b"streamGenerateContent?alt=sse" if is_streamed else b"generateContent"
        return b"%b/%b:%b" % (self._models, quote_model(call.model).encode(), verb)

    def write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:  # noqa: ARG002 - in the path
        """The request's body; the URL's path has the model, and whether to stream."""
        contents = join_turns(call, "parts", "model", lambda parts: _write_parts(parts, files, self._name))
        body: dict[str, Any] = {"contents": contents}
        if system := call.system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if call.tools:
            body |= _write_tools(call)
        wanted: dict[str, Any] = {
            name: call.options[option] for option, name in _OPTIONS.items() if option in call.options
        }
        if call.response_schema is not None:
            schema = trim_schema(call.response_schema, _SCHEMA_WORDS, is_closed=False)
            wanted |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
        if self._has_thoughts:
            wanted["thinkingConfig"] = {"includeThoughts": True}
        if wanted:
            body["generationConfig"] = wanted
        return encode_body(body)


def _write_tools(call: ModelCall) -> dict[str, Any]:
    declared = [
        {
            "name": tool.name,
            "description": tool.description,
            "parametersJsonSchema": trim_schema(tool.parameters, _SCHEMA_WORDS, is_closed=False),
        }
        for tool in call.tools
    ]
    written: dict[str, Any] = {"tools": [{"functionDeclarations": declared}]}
    if call.tool_choice != "auto":
        named = {"mode": "ANY", "allowedFunctionNames": [call.tool_choice]}
        choice = {"mode": "NONE"} if call.tool_choice == "none" else named
        written["toolConfig"] = {"functionCallingConfig": choice}
    return written


def _write_parts(parts: Sequence[MessagePart], files: EncodedFiles, provider: str) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case TextPart():
                if part.text:
                    written.append({"text": part.text})
            case FilePart():
                written.append({"inlineData": {"mimeType": part.media_type, "data": files[part]}})
            case ToolCall():
                function = {"name": part.name, "args": part.arguments, **_write_id(part.id)}
                signed = orjson.loads(part.opaque) if part.opaque and part.provider == provider else {}
                written.append({"functionCall": function, **signed})
            case ToolResult():
                content = {"error" if part.is_error else "result": part.text}
                result = {"name": part.name, "response": content, **_write_id(part.call_id)}
                written.append({"functionResponse": result})
            case Reasoning():  # a summary for people; calls carry the signatures
                pass
            case _:
                assert_never(part)
    return written


def _write_id(key: str) -> dict[str, str]:
    return {} if _OUR_ID.fullmatch(key) else {"id": key}


def _read_usage(counted: Mapping[str, Any]) -> Usage:
    def count(*names: str) -> int:
        return count_tokens(sum(count_tokens(counted.get(name)) for name in names))

    asked = count("promptTokenCount", "toolUsePromptTokenCount")
    cached = min(asked, count("cachedContentTokenCount"))
    return Usage(asked, count("candidatesTokenCount", "thoughtsTokenCount"), cached)
