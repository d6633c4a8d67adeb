"""OpenAI's chat completions on the wire (POST /chat/completions): values to bytes and back, nothing else.

Source: OpenAI's API reference, "Create chat completion" and its streaming chunks; Ollama, vLLM and llama.cpp speak it
too, each with small liberties that are accepted here (an error under status 200, no `[DONE]`, text in parts).
"""

import json
import time
from typing import Any

from flowground.messages import Usage
from flowground.providers.base import Completion, ModelCall

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A longer answer is refused: no model writes one, so the server is broken or hostile."""

_MAX_LINE_BYTES = 4 * 1024 * 1024


class Unreadable(Exception):
    """What the server sent is no answer. `said` is its own error message, if it is one, with its status."""

    def __init__(self, said: str | None = None, *, status: int | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.status = status


def write_call(call: ModelCall, *, stream: bool, renamed: dict[str, str]) -> bytes:
    """The request's body: the options that the flow sets and no others. `renamed` maps names a server has retired."""
    body: dict[str, Any] = {
        "model": call.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
    }
    for name, value in call.options.items():
        body[renamed.get(name, name)] = value
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


def read_completion(data: bytes, *, model: str) -> Completion:
    """A whole answer; `model` is shown when the server names none. Raises Unreadable."""
    answer = _object(data)
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text = _text(message.get("content")) or _text(message.get("refusal"))
        finish = choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise Unreadable from None
    return Completion(text, _word(answer.get("model")) or model, _usage(answer.get("usage")), _word(finish))


def read_error(data: bytes) -> tuple[str | None, str | None]:
    """Message and code of an error's body, whatever of `error`, `message`, `detail` the server uses."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None, None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return error, None
    if not isinstance(error, dict):
        return None, None
    return _word(error.get("message")) or _word(error.get("detail")), _word(error.get("code"))


class ChunkReader:
    """Reads a stream of server-sent events as its bytes come; `done` after `[DONE]`."""

    def __init__(self) -> None:
        self.done = False
        self.model: str | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self._rest = b""
        self._bytes = 0
        self._last_event = time.monotonic()

    def idle_seconds(self) -> float:
        """Since the last event: comments keep a connection open, but are no answer."""
        return time.monotonic() - self._last_event

    def feed(self, data: bytes) -> list[str]:
        """The pieces of text that `data` completes. Raises Unreadable."""
        self._bytes += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_LINE_BYTES or self._bytes > MAX_ANSWER_BYTES:
            raise Unreadable
        return [
            piece
            for line in lines
            if line.startswith(b"data:") and (piece := self._event(line[5:].strip())) is not None
        ]

    def _event(self, data: bytes) -> str | None:
        self._last_event = time.monotonic()
        if data == b"[DONE]":
            self.done = True
            return None
        if not data:
            return None
        chunk = _object(data)
        if self.model is None:
            self.model = _word(chunk.get("model"))
        if usage := chunk.get("usage"):
            self.usage = _usage(usage)
        try:
            if not (choices := chunk.get("choices")):
                return None
            choice = choices[0]
            self.finish_reason = _word(choice.get("finish_reason")) or self.finish_reason
            delta = choice.get("delta") or {}
            content = delta.get("content")
            if content.__class__ is str:
                return content or None
            return _text(content) or _text(delta.get("refusal")) or None
        except (LookupError, TypeError, AttributeError):
            raise Unreadable from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(body, dict):
        raise Unreadable
    if error := body.get("error"):
        said, _ = read_error(data)
        code = error.get("code") if isinstance(error, dict) else None
        raise Unreadable(said or "an error without a message", status=code if isinstance(code, int) else None)
    return body


def _text(content: Any) -> str:
    """Text as a string or as parts; nothing (a tool call, a refusal) is the empty text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type", "text") == "text")


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _usage(value: Any) -> Usage | None:
    """Counts that are no whole numbers are no counts: the answer stands without them."""
    if not isinstance(value, dict):
        return None
    given, made = value.get("prompt_tokens"), value.get("completion_tokens")
    return Usage(given, made) if type(given) is int and type(made) is int else None
