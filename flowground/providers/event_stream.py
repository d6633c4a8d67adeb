"""Reads streamed answers: server-sent events with a JSON object each, joined to an answer with its tool calls. Every
part is bounded."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from flowground.core.errors import AnswerTooLong
from flowground.core.messages import MOST_TOKENS, LeadingThought, Reasoning, ToolCall, Usage, join_surrogates
from flowground.core.values import LONGEST_ANSWER, has_too_many_levels
from flowground.providers.base import Completion

MOST_CALLS = 64
"""The most tool calls in one answer."""
MOST_CALL_CHARS = 500_000
"""The most characters of all calls in one answer: names, ids and arguments together."""
_STATUSES = {"rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529}
"""Statuses of errors that Anthropic reports inside a stream, after status 200."""
_STREAM_BYTES = 64 * 1024 * 1024
"""A longer stream is refused: some 300 bytes surround each few letters, and no model writes that much."""


@dataclass(eq=False)
class Unreadable(Exception):
    """The server sent no answer. `message` is its error message, if it sent one, with its `status`.

    `did` says which limit the server exceeded, as the end of a sentence about it.
    """

    message: str | None = None
    status: int | None = None
    did: str | None = None


@dataclass(slots=True)
class _BegunCall:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    opaque: str = ""


class ToolCallReader:
    """Joins the deltas of tool calls in OpenAI's streams, and in those of servers that differ from it.

    Ollama and Gemini have sent several whole calls with the same index or none, each with its own id; some servers
    repeat id and name with every piece; vLLM has invented a new id for each piece; Ollama gave arguments that were
    parsed already. So a call begins with a name under another id, and a piece without a known index belongs to the last
    call. Gemini signs calls, in `extra_content`, and refuses them without: the signature is kept as `provider`'s.
    """

    def __init__(self, provider: str = "") -> None:
        self._provider = provider
        self._calls: list[_BegunCall] = []
        self._by_index: dict[int, _BegunCall] = {}
        self._chars = 0

    def feed(self, deltas: Any) -> None:
        """Adds deltas. Raises Unreadable for too many, any of NO_ANSWER for what is no tool call."""
        for delta in deltas:
            index, function = delta.get("index"), delta.get("function") or {}
            if index is not None and (type(index) is not int or index < 0):
                raise TypeError
            key, name = _take_text(delta.get("id")), _take_text(function.get("name"))
            arguments = function.get("arguments")
            text = orjson.dumps(arguments).decode() if isinstance(arguments, dict) else _take_text(arguments)
            extra = delta.get("extra_content")
            opaque = orjson.dumps(extra).decode() if isinstance(extra, dict) else ""
            self._chars += len(key) + len(name) + len(text) + len(opaque)
            if self._chars > MOST_CALL_CHARS:
                raise Unreadable(did=f"called tools with more than {MOST_CALL_CHARS:,} characters")
            call = self._find(index, key, name)
            call.opaque = opaque or call.opaque
            if text:
                call.arguments.append(text)

    def finish(self) -> tuple[ToolCall, ...]:
        """The complete calls, including one whose arguments are no JSON object, which has a note about that."""
        if not self._calls:
            return ()
        used: set[str] = set()
        return tuple(self._make_call(call, number, used) for number, call in enumerate(self._calls, 1))

    def _find(self, index: int | None, key: str, name: str) -> _BegunCall:
        known = self._by_index.get(index) if index is not None else self._calls[-1] if self._calls else None
        is_other = name and known and known.name and (key != known.id if key or index is None else False)
        if known is None or is_other:
            if len(self._calls) == MOST_CALLS:
                raise Unreadable(did=f"called more than {MOST_CALLS} tools at once")
            known = _BegunCall(key, name)
            self._calls.append(known)
            if index is not None:
                self._by_index[index] = known
        known.id, known.name = known.id or key, known.name or name
        return known

    def _make_call(self, begun: _BegunCall, number: int, used: set[str]) -> ToolCall:
        """The finished call, with an id unique among `used`: results are matched by it."""
        key, name = join_surrogates(begun.id), join_surrogates(begun.name)
        while not key or key in used:
            key, number = f"call_{number}", number + MOST_CALLS
        used.add(key)
        arguments, misfit = _read_arguments(join_surrogates("".join(begun.arguments)))
        return ToolCall(key, name, arguments, misfit, self._provider if begun.opaque else "", begun.opaque)


NO_ANSWER = (LookupError, TypeError, AttributeError)
"""Exceptions that reading something other than an answer raises."""


def count_most_bytes() -> int:
    """The most bytes of an answer of the allowed length as JSON: each character as `\\u12ab`, and the text around."""
    return 65_536 + 6 * LONGEST_ANSWER


def read_error(data: bytes | bytearray) -> tuple[str | None, str | None]:
    """Message and code in an error's body, whichever of `error`, `message`, `detail` the server uses."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None, None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return join_surrogates(error), None
    if not isinstance(error, dict):
        return None, None
    return read_word(error.get("message")) or read_word(error.get("detail")), read_word(error.get("code"))


class EventReader(ABC):
    """Reads a stream of server-sent events as its bytes come; subclasses know what one event means.

    `has_ended`: the model has finished; token counts and the last event may still come, text does not. `is_done`: the
    last event has come. `LONGEST_ANSWER` limits one event, a whole answer and a model's reasoning. `events` counts the
    events so far; `end_by` is the loop's time at which the answer is taken as ended, once the caller has set it.
    """

    def __init__(self, provider: str = "") -> None:
        self.has_ended = self.is_done = False
        self.events = 0
        self.end_by: float | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self.reason: str | None = None
        self.provider = provider
        self.calls = ToolCallReader(provider)
        self._most_bytes = count_most_bytes()
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._bytes = 0
        self._text, self._thoughts = _JoinedText(), _JoinedText()
        self._leading: LeadingThought | None = LeadingThought()
        """Reads a thought at the beginning of the text; None once the answer has begun."""
        self._thought_chars = 0

    @abstractmethod
    def read_event(self, data: bytes, pieces: list[str | Reasoning]) -> None:
        """Adds the content of an event to `pieces`. Raises any of NO_ANSWER for what is no event, and Unreadable."""

    def sign_thought(self) -> str:
        """The value of `Reasoning.opaque` beside the text of a thought."""
        return ""

    def feed(self, data: bytes) -> Iterator[str | Reasoning]:
        """The pieces of text and reasoning that `data` completes, each before the bytes behind it are read.

        Raises Unreadable and AnswerTooLong.
        """
        ended, newline, begun = data.rpartition(b"\n")
        self._bytes += len(data)
        self._line_bytes += len(data)
        if self._bytes > _STREAM_BYTES or self._line_bytes > self._most_bytes:
            raise AnswerTooLong(LONGEST_ANSWER)
        if not newline:
            self._line.append(data)
            return
        lines = b"".join((*self._line, ended)).split(b"\n")
        self._line, self._line_bytes = [begun], len(begun)
        pieces: list[str | Reasoning] = []
        for line in lines:
            if line.startswith(b"data:"):
                self.events += 1
                try:
                    self.read_event(line[5:].strip(), pieces)
                except NO_ANSWER:
                    raise Unreadable from None
                yield from pieces
                pieces.clear()

    def finish(self, model: str) -> Iterator[str | Reasoning | Completion]:
        """Half a character that is left, and the end; `model` is shown when the server named none."""
        if not self.events:
            raise Unreadable
        pieces: list[str | Reasoning] = []
        self.add_text("", pieces, is_last=True)
        yield from pieces
        if rest := self._text.end():
            yield rest
        self._thoughts.end()
        thought, opaque = self._thoughts.join(), self.sign_thought()
        reasoning = Reasoning(thought, self.provider, opaque) if thought or opaque else None
        calls, reason = self.calls.finish(), self.reason
        if calls and reason in (None, "stop", "function_call"):
            reason = "tool_calls"  # the server says "stop" while it waits for tools
        yield Completion(self._text.join(), self.model or model, self.usage, reason, calls, reasoning)

    def read_whole(self, data: bytearray, model: str) -> Completion:
        """An answer that was not streamed, read as one event. Raises Unreadable and AnswerTooLong."""
        if len(data) > self._most_bytes:
            raise AnswerTooLong(LONGEST_ANSWER)
        self.events = 1
        try:
            self.read_event(bytes(data), [])
        except NO_ANSWER:
            raise Unreadable from None
        if not self.has_ended:
            raise Unreadable
        *_, end = self.finish(model)
        return cast(Completion, end)

    def add_text(self, text: str, pieces: list[str | Reasoning], *, is_last: bool = False) -> None:
        if self._leading and (text or is_last):
            thought, text = self._leading.feed(text, is_last=is_last)
            if thought:
                self.add_thought(thought, pieces)
            if self._leading.is_over:
                self._leading = None
        if text := self._text.add(text):
            pieces.append(text)

    def add_thought(self, text: str, pieces: list[str | Reasoning], opaque: str = "") -> None:
        self.count_thought(len(text))
        if piece := self._thoughts.add(text):
            pieces.append(Reasoning(piece, self.provider, opaque))

    def count_thought(self, chars: int) -> None:
        self._thought_chars += chars
        if self._thought_chars > LONGEST_ANSWER:
            raise AnswerTooLong(LONGEST_ANSWER)


def read_object(data: bytes | bytearray) -> dict[str, Any]:
    """A JSON object, by orjson, five times as fast as json, which reads NaN and split surrogate pairs."""
    try:
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            body = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(body, dict):
        raise Unreadable
    if error := body.get("error"):
        message, _ = read_error(data)
        code, word = (error.get("code"), error.get("type")) if isinstance(error, dict) else (None, None)
        status = code if isinstance(code, int) else _STATUSES.get(word) if isinstance(word, str) else None
        raise Unreadable(message or "an error without a message", status=status)
    return body


def read_word(value: Any) -> str | None:
    return join_surrogates(value) if isinstance(value, str) and value else None


def count_tokens(value: Any) -> int:
    """A number of tokens; 0 for a value that cannot be one."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else 0


def _take_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_arguments(text: str) -> tuple[dict[str, Any], str | None]:
    if not text.strip():
        return {}, None  # a tool without arguments
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return {}, f"The arguments are no JSON: {error}."
    if not isinstance(arguments, dict):
        return {}, "The arguments are no JSON object."
    if has_too_many_levels(arguments):
        return {}, "The arguments are nested too deeply."
    return arguments, None


class _JoinedText:
    """A text that comes in pieces: a surrogate pair split over two pieces is joined in the second."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._half = ""

    def add(self, text: str) -> str:
        """The text that is complete now; half a character at its end waits for the other half."""
        if not text.isascii() or self._half:
            text, self._half = self._half + text, ""
            if "\ud800" <= text[-1:] <= "\udbff":
                text, self._half = text[:-1], text[-1]
            text = join_surrogates(text)
        if text:
            self._pieces.append(text)
        return text

    def end(self) -> str:
        """The text for half a character that stayed alone."""
        if self._half:
            self._half = ""
            return self.add("\ufffd")
        return ""

    def join(self) -> str:
        return "".join(self._pieces)
