"""OpenAI's chat completions on the wire (POST /chat/completions): values to bytes and back, nothing else.

Source: OpenAI's API reference, "Create chat completion" and its streaming chunks; Ollama, vLLM and llama.cpp speak it
too, each with small liberties that are accepted here (an error under status 200, no `[DONE]`, text in parts).
"""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from flowground.errors import AnswerTooLong
from flowground.messages import MOST_TOKENS, Usage, mend
from flowground.providers.base import Completion, ModelCall

_LONGEST_REASON = 40
_STREAM_BYTES = 64 * 1024 * 1024
"""A longer stream is refused: around each few letters stand some 300 bytes, and no model says so much."""


@dataclass(eq=False)
class Unreadable(Exception):
    """What the server sent is no answer. `said` is its own error message, if it is one, with its status."""

    said: str | None = None
    status: int | None = None


def write_call(call: ModelCall, *, is_streamed: bool, renamed: dict[str, str]) -> bytes:
    """The request's body: the options that the flow sets and no others. `renamed` maps names a server has retired."""
    body: dict[str, Any] = {
        "model": call.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
    }
    body |= {renamed.get(name, name): value for name, value in call.options.items()}
    if call.response_schema is not None:
        shape = {"name": "answer", "schema": call.response_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    if is_streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    try:
        return orjson.dumps(body)  # a prompt may have 3,000,000 characters: 16 ms at most, four times faster
    except TypeError:  # half a character, which the command line may hold
        return json.dumps(body).encode()


def count_most_bytes(answer_chars: int) -> int:
    """What an answer of so many characters may weigh as JSON: each as `\\u12ab`, and what stands around them."""
    return 65_536 + 6 * answer_chars


def read_completion(data: bytearray, *, model: str, answer_chars: int) -> Completion:
    """A whole answer; `model` is shown when the server names none. Raises Unreadable and AnswerTooLong."""
    if len(data) > count_most_bytes(answer_chars):
        raise AnswerTooLong(answer_chars)
    answer = _read_object(data)
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text = mend(_read_text(message.get("content")) or _read_text(message.get("refusal")))
    except (LookupError, TypeError, AttributeError):
        raise Unreadable from None
    shown = _read_word(answer.get("model")) or model
    return Completion(text, shown, _read_usage(answer.get("usage")), _read_reason(choice))


def read_error(data: bytes | bytearray) -> tuple[str | None, str | None]:
    """Message and code of an error's body, whatever of `error`, `message`, `detail` the server uses."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None, None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return mend(error), None
    if not isinstance(error, dict):
        return None, None
    return _read_word(error.get("message")) or _read_word(error.get("detail")), _read_word(error.get("code"))


class ChunkReader:
    """Reads a stream of server-sent events as its bytes come.

    `has_ended` says that the model is finished: token counts and `[DONE]` may still come, text does not; `is_done`
    that `[DONE]` came. `answer_chars` bounds one event as it bounds a whole answer. `events` counts those that came;
    `end_by` is the loop's time at which the answer ends by itself, once its reader has set it. A letter whose halves
    (surrogates) come in two pieces is whole in the second; `take_rest` gives what to say of a half that stayed alone.
    """

    def __init__(self, answer_chars: int) -> None:
        self.has_ended = self.is_done = False
        self.events = 0
        self.end_by: float | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self._answer_chars = answer_chars
        self._most_bytes = count_most_bytes(answer_chars)
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._bytes = 0
        self._half = ""

    def take_rest(self) -> str:
        """What is left of the text at its end."""
        return "\ufffd" if self._half else ""

    def feed(self, data: bytes) -> list[str]:
        """The pieces of text that `data` completes. Raises Unreadable and AnswerTooLong."""
        ended, newline, begun = data.rpartition(b"\n")
        self._bytes += len(data)
        self._line_bytes += len(data)
        if self._bytes > _STREAM_BYTES or self._line_bytes > self._most_bytes:
            raise AnswerTooLong(self._answer_chars)
        if not newline:
            self._line.append(data)
            return []
        lines = b"".join((*self._line, ended)).split(b"\n")
        self._line, self._line_bytes = [begun], len(begun)
        return [
            piece
            for line in lines
            if line.startswith(b"data:") and (piece := self._read_event(line[5:].strip())) is not None
        ]

    def _read_event(self, data: bytes) -> str | None:
        self.events += 1
        if data == b"[DONE]":
            self.has_ended = self.is_done = True
            return None
        if not data:
            return None
        chunk = _read_object(data)
        if self.model is None:
            self.model = _read_word(chunk.get("model"))
        if usage := chunk.get("usage"):
            self.usage = _read_usage(usage)
        try:
            if not (choices := chunk.get("choices")):
                return None
            choice = choices[0]
            if reason := _read_reason(choice):
                self.has_ended, self.finish_reason = True, reason
            delta = choice.get("delta") or {}
            content = delta.get("content")
            if content.__class__ is not str:
                content = _read_text(content) or _read_text(delta.get("refusal"))
            return self._join_letters(content) or None
        except (LookupError, TypeError, AttributeError):
            raise Unreadable from None

    def _join_letters(self, text: str) -> str:
        """The text with what is whole now; a half at its end waits for the other one."""
        if text.isascii() and not self._half:
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return mend(text)


def _read_object(data: bytes | bytearray) -> dict[str, Any]:
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


def _read_text(content: Any) -> str:
    """Text as a string or as parts; nothing (a tool call, a refusal) is the empty text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type", "text") == "text")


def _read_word(value: Any) -> str | None:
    return mend(value) if isinstance(value, str) and value else None


def _read_reason(choice: dict[str, Any]) -> str | None:
    return (_read_word(choice.get("finish_reason")) or "")[:_LONGEST_REASON] or None


def _read_usage(value: Any) -> Usage | None:
    """What cannot be a number of tokens is no count: the answer stands without it."""
    if not isinstance(value, dict):
        return None
    counts = value.get("prompt_tokens", -1), value.get("completion_tokens", -1)
    return Usage(*counts) if all(type(count) is int and 0 <= count <= MOST_TOKENS for count in counts) else None
