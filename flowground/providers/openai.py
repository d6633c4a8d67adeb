"""OpenAI, and every server with its chat completions and embeddings: Ollama, vLLM, llama.cpp, Azure, …

Source: OpenAI's API reference, "Create chat completion" and its streaming chunks. Small departures of Ollama, vLLM and
llama.cpp are accepted: an error under status 200, no `[DONE]`, text in parts, reasoning between `<think>` and
`</think>` at the beginning of the text. Reasoning is read from the fields of DeepSeek, vLLM, Ollama and OpenRouter.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, assert_never
from urllib.parse import quote

import orjson
from pydantic import Field

from flowground.core.errors import ProviderError, ProviderRefused
from flowground.core.messages import MOST_TOKENS, FilePart, Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.core.yaml_file import check_http_address
from flowground.providers.base import Capabilities, Completion, ModelCall, Provider, ProviderContext, ProviderSettings
from flowground.providers.egress import USUAL_EGRESS, EgressSettings
from flowground.providers.event_stream import EventReader, read_object, read_word
from flowground.providers.model_server import (
    EncodedFiles,
    ModelServer,
    check_key,
    encode_body,
    quote_model,
    read_address,
)
from flowground.providers.server import RetryPolicy, Server

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Fields with a model's reasoning: DeepSeek, llama.cpp and older vLLM have the first, others the second."""
_LONGEST_REASON = 40
_NUMBER_BYTES = 32
"""The longest number in an answer, as JSON."""
_MOST_DIMENSIONS = 8_192
"""The most numbers of one vector."""
_HEAD_BYTES = 65_536
"""The most bytes of an answer beside its vectors."""
OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"
_USUAL = Capabilities(images=True, tools=True, response_schema=True)
"""What models of such servers usually accept; a server refuses it where its model does not. Few read documents."""
_WINDOW_ELSEWHERE = 32_000
"""The window of models at URLs other than OpenAI's: nearly all models in use have at least that."""
_WINDOW_OLLAMA = 4_096
"""The window that Ollama gives a model on a computer with less than 24 GiB of graphics memory, whatever the model
supports; beyond it, Ollama silently drops the beginning."""
_RENAMED_SINCE = "2024-09"
"""API versions since this one know `max_completion_tokens`, which newer models require."""


class ChunkReader(EventReader):
    """Reads a stream of chunks, which ends with `[DONE]`; or a whole answer, which has a message where chunks have
    deltas."""

    _thought_field = ""
    _is_whole = False

    def sign_thought(self) -> str:
        return self._thought_field

    def read_event(self, data: bytes, pieces: list[str | Reasoning]) -> None:
        if data == b"[DONE]" and not self._is_whole:
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
        if (reason := _read_reason(choice)) or self._is_whole:
            self.has_ended, self.reason = True, reason
        delta = choice["message"] if self._is_whole else choice.get("delta") or {}
        content = delta.get("content")
        if content.__class__ is not str or len(delta) > 1:
            self._read_others(delta, pieces)
            content = _read_text(content) or _read_text(delta.get("refusal"))
        self.add_text(content, pieces)

    def read_whole(self, data: bytearray, model: str) -> Completion:
        self._is_whole = True
        return super().read_whole(data, model)

    def _read_others(self, delta: dict[str, Any], pieces: list[str | Reasoning]) -> None:
        """Reads what a delta has beside text."""
        name, thought = _find_thought(delta)
        if thought:
            self._thought_field = name
            self.add_thought(thought, pieces, name)
        if deltas := delta.get("tool_calls"):
            self.calls.feed(deltas)


class EmbeddingServer:
    """One embedding model of one server, on one event loop; `provider` is the name of `entry` in config.yaml."""

    def __init__(
        self,
        provider: str,
        model: str,
        base_url: str,
        entry: ProviderSettings,
        *,
        key: str | None,
        egress: EgressSettings,
    ) -> None:
        self.model = f"{provider}:{model}"
        self._provider, self._name = provider, model
        self._retries = entry.retries
        url = read_address(provider, base_url, "/embeddings")
        self._server = Server(provider, url, api_key=check_key(provider, key), timeout=entry.timeout, egress=egress)

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each of a few texts, in their order. Raises ProviderError."""
        body = orjson.dumps({"model": self._name, "input": list(texts)})
        most = _HEAD_BYTES + len(texts) * _MOST_DIMENSIONS * _NUMBER_BYTES
        policy = RetryPolicy(self._retries)
        while True:
            try:
                async with self._server.post(body, is_streamed=False, most_bytes=most) as answer:
                    return self._read(answer.data, len(texts))
            except ProviderError as error:
                await policy.wait(error)

    async def close(self) -> None:
        """Closes the connections."""
        await self._server.close()

    def _read(self, data: bytearray, number: int) -> list[list[float]]:
        try:
            listed = sorted(orjson.loads(data)["data"], key=lambda item: item["index"])
            vectors = [item["embedding"] for item in listed]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._refuse("answered with something that is no list of vectors") from None
        if len(vectors) != number or not all(_is_vector(vector) for vector in vectors):
            raise self._refuse(f"did not answer with {number} vectors")
        return vectors

    def _refuse(self, said: str) -> ProviderRefused:
        return ProviderRefused(
            f"The provider {self._provider!r} {said}.", hint=f"Check that {self._name} is a model of embeddings."
        )


class OpenAI(ModelServer):
    """Calls a server that speaks chat completions; `base_url` ends with `/v1`."""

    reader = ChunkReader
    answer_word = "a chat completion"
    path_word = "/chat/completions"
    files_are_urls = True

    def __init__(
        self,
        name: str,
        base_url: str,
        entry: ProviderSettings,
        *,
        key: str | None,
        usual: Capabilities = _USUAL,
        egress: EgressSettings = USUAL_EGRESS,
    ) -> None:
        super().__init__(name, base_url, entry, key=key, usual=usual, egress=egress)
        # OpenAI's own newer models refuse the option's name that all other servers know.
        self._renamed = {"max_tokens": "max_completion_tokens"} if base_url == OPENAI_URL else {}

    def write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:
        """The request's body, with the options that the flow sets and no others."""
        messages: list[dict[str, Any]] = []
        for message in call.messages:
            if message.content.__class__ is str:
                messages.append({"role": message.role, "content": message.content})
            else:
                messages += _write_message(message, files, provider=self._name)
        body: dict[str, Any] = {"model": call.model, "messages": messages}
        body |= {self._renamed.get(name, name): value for name, value in call.options.items()}
        if call.tools:
            body |= _write_tools(call)
        if call.response_schema is not None:
            shape = {"name": "answer", "schema": call.response_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        if is_streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return encode_body(body)


class OpenAISettings(ProviderSettings):
    """OpenAI itself; with `base_url` any server that speaks its chat completions."""

    type: Literal["openai"] = "openai"

    def open(self, name: str, context: ProviderContext) -> Provider:
        key, url = self.find_key(name, "OPENAI_API_KEY"), self.base_url or OPENAI_URL
        usual = replace(_USUAL, window=_WINDOW_ELSEWHERE) if self.base_url else replace(_USUAL, documents=True)
        return OpenAI(name, url, self, key=key, usual=usual, egress=context.egress)

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> EmbeddingServer:
        key, url = self.find_key(name, "OPENAI_API_KEY"), self.base_url or OPENAI_URL
        return EmbeddingServer(name, model, url, self, key=key, egress=egress)


class Ollama(OpenAI):
    """Ollama, which people start themselves."""

    advice = "Start it with `ollama serve`, or check"


class OllamaSettings(ProviderSettings):
    """Ollama, on this computer where there is no `base_url`."""

    type: Literal["ollama"] = "ollama"

    def open(self, name: str, context: ProviderContext) -> Provider:
        key, usual = self.read_key(name), replace(_USUAL, window=_WINDOW_OLLAMA)
        return Ollama(name, self.base_url or OLLAMA_URL, self, key=key, usual=usual, egress=context.egress)

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> EmbeddingServer:
        return EmbeddingServer(name, model, self.base_url or OLLAMA_URL, self, key=self.read_key(name), egress=egress)


class AzureSettings(ProviderSettings):
    """A resource of Azure OpenAI; `base_url` is needed."""

    type: Literal["azure"] = "azure"
    base_url: Annotated[str, check_http_address("https://mine.openai.azure.com")] | None = Field(
        None, description="the resource's address, like https://mine.openai.azure.com, without a path."
    )
    api_version: str = Field(
        "",
        max_length=40,
        description="a dated version, like 2024-10-21, asks the deployment's own path. Left out: "
        "`/openai/v1/`, which needs none.",
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        if not self.base_url:
            raise ProviderRefused(
                f"The provider {name!r} has no address.",
                hint=f"Set `providers.{name}.base_url` in config.yaml to the resource's: https://mine.openai.azure.com",
            )
        return Azure(self, name, f"{self.base_url}/openai", context)


class Azure(OpenAI):
    """`url` is the address up to `/openai`."""

    key_header = b"api-key"

    def __init__(self, entry: AzureSettings, name: str, url: str, context: ProviderContext) -> None:
        version = entry.api_version
        self._query = f"?api-version={quote(version, safe='')}" if version else ""
        super().__init__(name, f"{url}{self._query or '/v1'}", entry, key=entry.read_key(name), egress=context.egress)
        if not version or version >= _RENAMED_SINCE:
            self._renamed = {"max_tokens": "max_completion_tokens"}
        self._path = read_address(name, url, "/deployments/").raw_path.decode()

    def _find_target(self, call: ModelCall, *, is_streamed: bool) -> bytes | None:  # noqa: ARG002 - the same for both
        if not self._query:
            return None
        return f"{self._path}{quote_model(call.model)}/chat/completions{self._query}".encode()


def _write_message(message: Message, files: EncodedFiles, *, provider: str) -> list[dict[str, Any]]:
    """One message with its parts; each result of a tool becomes a message of its own.

    A model's reasoning is sent back to its own provider, with the calls it led to: DeepSeek refuses a conversation
    without it, and other providers do not use it.
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
                text = f"Error: {part.text}" if part.is_error else part.text
                results.append({"role": "tool", "tool_call_id": part.call_id, "content": text})
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
    """Text alone stays a string: not every server accepts parts."""
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
    """The tools of a call, and the one that must be called where the model may not choose."""
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


def _read_text(content: Any) -> str:
    """Text given as a string or as parts; "" where there is none (a tool call, a refusal)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type", "text") == "text")


def _find_thought(message: dict[str, Any]) -> tuple[str, str]:
    """The field with the model's reasoning, and its text; "" where there is none."""
    for name in REASONING_FIELDS:
        if (text := message.get(name)) and isinstance(text, str):
            return name, text
    return "", ""


def _read_reason(choice: dict[str, Any]) -> str | None:
    return (read_word(choice.get("finish_reason")) or "")[:_LONGEST_REASON] or None


def _read_usage(value: Any) -> Usage | None:
    """Token counts; None where they are no valid numbers, since the answer is good without them."""
    if not isinstance(value, dict):
        return None
    counts = value.get("prompt_tokens", -1), value.get("completion_tokens", -1)
    if not all(type(count) is int and 0 <= count <= MOST_TOKENS for count in counts):
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else value.get("prompt_cache_hit_tokens")
    return Usage(*counts, cached if type(cached) is int and 0 <= cached <= counts[0] else 0)


def _is_vector(vector: object) -> bool:
    return (
        isinstance(vector, list)
        and 0 < len(vector) <= _MOST_DIMENSIONS
        and all(isinstance(number, int | float) for number in vector)
    )
