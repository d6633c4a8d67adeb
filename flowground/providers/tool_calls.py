"""Tool calls of an answer, put together from the pieces in which a stream brings them. All of it is bounded."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from flowground.messages import ToolCall, mend
from flowground.values import has_too_many_levels

MOST_CALLS = 64
"""Calls of one answer."""
MOST_CALL_CHARS = 500_000
"""Of all calls of one answer, names, ids and arguments together."""


class CallsRefused(Exception):
    """The calls go over a bound; says which, as the end of a sentence about the server."""


@dataclass(slots=True)
class _BegunCall:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    opaque: str = ""


class ToolCallReader:
    """Takes deltas as OpenAI's streams have them, with the liberties of others.

    Ollama and Gemini have sent several whole calls with the same index or none, each with its own id; some servers
    repeat id and name with every piece, vLLM has invented a new id for each, and Ollama gave arguments that were parsed
    already. So a call begins with a name under another id; without a known index a piece belongs to the last call.
    Gemini signs calls, in `extra_content`, and takes none back without: that is marked as `provider`'s.
    """

    def __init__(self, provider: str = "") -> None:
        self._provider = provider
        self._calls: list[_BegunCall] = []
        self._by_index: dict[int, _BegunCall] = {}
        self._chars = 0

    def feed(self, deltas: Any) -> None:
        """Raises CallsRefused; LookupError, TypeError or AttributeError for what is no tool call."""
        for delta in deltas:
            index, function = delta.get("index"), delta.get("function") or {}
            if index is not None and (type(index) is not int or index < 0):
                raise TypeError
            key, name = _take_text(delta.get("id")), _take_text(function.get("name"))
            arguments = function.get("arguments")
            said = orjson.dumps(arguments).decode() if isinstance(arguments, dict) else _take_text(arguments)
            extra = delta.get("extra_content")
            opaque = orjson.dumps(extra).decode() if isinstance(extra, dict) else ""
            self._chars += len(key) + len(name) + len(said) + len(opaque)
            if self._chars > MOST_CALL_CHARS:
                raise CallsRefused(f"called tools with more than {MOST_CALL_CHARS:,} characters")
            call = self._find(index, key, name)
            call.opaque = opaque or call.opaque
            if said:
                call.arguments.append(said)

    def finish(self) -> tuple[ToolCall, ...]:
        """The whole calls. One whose arguments are no JSON object is there too, and says so."""
        if not self._calls:
            return ()
        used: set[str] = set()
        return tuple(self._make_call(call, number, used) for number, call in enumerate(self._calls, 1))

    def _find(self, index: int | None, key: str, name: str) -> _BegunCall:
        known = self._by_index.get(index) if index is not None else self._calls[-1] if self._calls else None
        is_other = name and known and known.name and (key != known.id if key or index is None else False)
        if known is None or is_other:
            if len(self._calls) == MOST_CALLS:
                raise CallsRefused(f"called more than {MOST_CALLS} tools at once")
            known = _BegunCall(key, name)
            self._calls.append(known)
            if index is not None:
                self._by_index[index] = known
        known.id, known.name = known.id or key, known.name or name
        return known

    def _make_call(self, begun: _BegunCall, number: int, used: set[str]) -> ToolCall:
        """Two calls never have the same id: by it the results are told apart."""
        key, name = mend(begun.id), mend(begun.name)
        while not key or key in used:
            key, number = f"call_{number}", number + MOST_CALLS
        used.add(key)
        arguments, misfit = _read_arguments(mend("".join(begun.arguments)))
        return ToolCall(key, name, arguments, misfit, self._provider if begun.opaque else "", begun.opaque)


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
