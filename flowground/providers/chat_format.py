"""What is answered to OpenAI's chat completions (POST /chat/completions): bytes to values, nothing else.

Source: OpenAI's API reference, "Create chat completion" and its streaming chunks; Ollama, vLLM and llama.cpp speak it
too, each with small liberties that are accepted here (an error under status 200, no `[DONE]`, text in parts, reasoning
between `<think>` and `</think>` at the beginning of the text).
"""

from typing import Any

from flowground.errors import AnswerTooLong
from flowground.messages import MOST_TOKENS, Reasoning, Usage, mend, split_thought
from flowground.providers.base import Completion
from flowground.providers.chat_request import REASONING_FIELDS
from flowground.providers.event_stream import (
    NO_ANSWER,
    EventReader,
    count_most_bytes,
    name_reason,
    read_object,
    read_word,
    refuse,
)
from flowground.providers.tool_calls import ToolCallReader
from flowground.values import LONGEST_ANSWER

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
