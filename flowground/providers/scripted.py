"""The fake provider, shipped with the app: answers without a model, always alike. Tests, docs and demos use it.

Lines that begin with `call`, in the message or in its own answer, make it call tools. JSON that fits a schema is made
of the user's words.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from pydantic import Field

from flowground.core.errors import ModelNotReady, ProviderBusy, ProviderError, ProviderRefused, ProviderUnreachable
from flowground.core.events import ModelProgress
from flowground.core.messages import Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.core.words import suggest
from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Piece,
    Provider,
    ProviderContext,
    ProviderSettings,
)

_ALL = Capabilities(images=True, documents=True, tools=True, response_schema=True)
_FETCHED = (0, 400, 800, 1000)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LINE = re.compile(r"^call (.+)$", re.MULTILINE)
_TOGETHER = re.compile(r" and call ")


@dataclass(frozen=True, slots=True)
class Script:
    """The behaviour of one variant: `delay` in seconds before each piece, an `error` or a `cut` after `words` words.

    `thoughts` come before the answer. `says` describes the variant, for docs/settings.md.
    """

    says: str
    delay: float = 0
    error: ProviderError | None = None
    words: int = 0
    cut: bool = False
    thoughts: tuple[str, ...] = ()


SCRIPTS = {
    "echo": Script(
        "Repeats the message after *You said:*, word by word. Where tools are offered, each of its lines `call NAME` "
        'calls one, a line at a time, and the results are repeated; `call NAME {"query": "x"}` says with which '
        "arguments, ` and call ` in a line that several are called at once."
    ),
    "fooled": Script(
        "The same, but it obeys such lines wherever it reads them, in descriptions of tools and in what tools gave: a "
        "model that a page talked into it."
    ),
    "slow": Script("The same, 20 words a second.", delay=0.05),
    "json": Script("Answers with the model, the messages and the options that it was given, as JSON."),
    "thinking": Script(
        "Thinks a few words, which are no part of the answer, then repeats the message.",
        thoughts=("Somebody ", "wrote ", "to ", "me."),
    ),
    "long": Script("200 words, 20 a second.", delay=0.05),
    "silent": Script("Never answers, until it is stopped."),
    "fetching": Script(
        "Shows the progress of a fetch like the built-in model's, then repeats. An answer that is not streamed is 503 "
        "`model_not_ready`.",
        delay=0.05,
    ),
    "fail": Script(
        "Fails as a server that answers 500.", error=ProviderRefused("The scripted model fails.", status=500)
    ),
    "busy": Script(
        "Fails as a server that answers 429 and asks to come back in a second.",
        error=ProviderBusy("The scripted model is busy.", status=429, retry_after=1),
    ),
    "cut": Script("Says three words, as if `max_tokens` had cut its answer.", words=3, cut=True),
    "breaks": Script(
        "Says three words, then the connection breaks.",
        error=ProviderUnreachable("The connection to the scripted model broke."),
        words=3,
    ),
}
"""Every variant of `model: scripted:NAME`. Where a JSON schema is given, the answer is made of the first user
message."""


class Scripted:
    """The fake provider. `pieces` replaces the answer of every variant that has one; `delay` adds seconds before each
    piece.

    `name` is the entry's, for refusals of what is not in `takes`.
    """

    def __init__(
        self,
        *,
        pieces: tuple[str, ...] | None = None,
        delay: float = 0,
        name: str = "scripted",
        takes: Capabilities = _ALL,
    ) -> None:
        self._pieces = pieces
        self._delay = delay
        self._name = name
        self._takes = takes

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        script = self._find_script(call.model)
        self._takes.check(call, self._name)
        delay = script.delay + self._delay
        if call.model == "silent":
            await asyncio.Event().wait()
        if call.model == "fetching":
            for received in _FETCHED:
                yield ModelProgress("scripted", received, _FETCHED[-1], delay * (_FETCHED[-1] - received) / 400)
                await asyncio.sleep(delay)
        calls, answer = self._decide(call)
        pieces = answer[: script.words if script.cut else None]
        parts: tuple[str | Reasoning, ...] = (*map(Reasoning, script.thoughts), *pieces)
        for count, piece in enumerate(parts):
            if script.error and count >= script.words:
                break
            if delay:
                await asyncio.sleep(delay)
            yield piece
        if script.error:
            raise copy(script.error)  # a copy, since one object would collect the tracebacks of all callers
        text = "".join(pieces)
        usage = Usage(sum(_count_words(message.text) for message in call.messages), _count_words(text))
        reason = "tool_calls" if calls else "length" if script.cut else "stop"
        reasoning = Reasoning("".join(script.thoughts)) if script.thoughts else None
        yield Completion(text, f"scripted:{call.model}", usage, reason, calls, reasoning)

    async def complete(self, call: ModelCall) -> Completion:
        self.require_ready(call.model)
        return await Completion.read(self.stream(call))

    def require_ready(self, model: str) -> None:
        if model == "fetching":
            raise ModelNotReady("The scripted model is being fetched.", received=400, total=1000, retry_after=1)

    def takes(self, model: str) -> Capabilities:  # noqa: ARG002 - the contract's argument
        return self._takes

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""

    def _find_script(self, name: str) -> Script:
        if script := SCRIPTS.get(name):
            return script
        raise ProviderRefused(
            f"There is no scripted model {name!r}{suggest(name, SCRIPTS, otherwise='.')}",
            status=404,
            hint="The scripted models are " + ", ".join(SCRIPTS) + ".",
        )

    def _decide(self, call: ModelCall) -> tuple[tuple[ToolCall, ...], tuple[str, ...]]:
        """The calls of the variant, else the pieces of its answer."""
        if self._pieces is None:
            calls = find_calls(call, is_fooled=call.model == "fooled")
            return calls, () if calls else self._make_answer(call)
        calls, text = split_answer(call, whole := "".join(self._pieces))
        return calls, self._pieces if text == whole else (text,) if text else ()

    def _make_answer(self, call: ModelCall) -> tuple[str, ...]:
        if call.response_schema is not None:
            question = next((message.text for message in call.messages if message.role == "user"), "")
            return (json.dumps(make_json(call.response_schema, question), ensure_ascii=False),)
        if call.model == "json":
            messages = [{"role": message.role, "content": _show_content(message)} for message in call.messages]
            received = {"model": call.model, "messages": messages, "options": dict(call.options)}
            if call.tools:
                received["tools"] = [tool.name for tool in call.tools]
            return (json.dumps(received, ensure_ascii=False),)
        if call.model == "long":
            return (*(f"word{number} " for number in range(1, 200)), "word200")
        said = next((message.text for message in reversed(call.messages) if message.role == "user"), "")
        answer = f"You said: {said}"
        if call.messages[-1].role == "tool":
            answer = "The tools said: " + "\n".join(list_results(call.messages))
        return tuple(re.findall(r"\S+\s*|\s+", answer))


class ScriptedSettings(ProviderSettings):
    """The shipped fake."""

    type: Literal["scripted"] = "scripted"
    pieces: tuple[str, ...] | None = Field(
        None,
        description="the answer's pieces; without them it repeats what it got. Lines `call NAME {…}` in them are "
        "calls of tools.",
    )
    delay: float = Field(0, ge=0, le=60, description="seconds before each piece.")
    only_model: ClassVar[str] = "echo"

    def open(self, name: str, context: ProviderContext) -> Provider:  # noqa: ARG002 - the contract's arguments
        return Scripted(pieces=self.pieces, delay=self.delay, name=name, takes=self.find_capabilities(_ALL))


def make_json(schema: Mapping[str, Any], said: str) -> Any:
    """JSON of the schema, always alike for the same words: their numbers in order, a choice that they name, else the
    whole text."""
    return _make(schema, said, iter(_NUMBER.findall(said)))


def find_calls(call: ModelCall, *, is_fooled: bool = False) -> tuple[ToolCall, ...]:
    """The calls that the model makes now: the next `call` line, or the tool that must be called; often none.

    With `is_fooled` it also obeys lines in descriptions and results of tools.
    """
    if not call.tools or call.tool_choice == "none":
        return ()
    said, since = _split(call.messages)
    made = _count_calls(since)
    read = [*(tool.description for tool in call.tools), *list_results(call.messages)] if is_fooled else []
    lines = [line for text in (said, *read) for line in _LINE.findall(text)]
    if not lines and call.tool_choice != "auto":
        lines = [call.tool_choice]
    commands = _TOGETHER.split(lines[made]) if made < len(lines) else []
    return tuple(_make_call(call, f"call_{made + 1}_{number}", one, said) for number, one in enumerate(commands, 1))


def split_answer(call: ModelCall, answer: str) -> tuple[tuple[ToolCall, ...], str]:
    """The calls that a scripted answer makes now, and its text; its `call` lines are used one after the other.

    Text before such a line belongs to its call. An answer without any text repeats its last line.
    """
    lines, texts = _LINE.findall(answer), [text.strip() for text in _LINE.split(answer)[::2]]
    if not lines or not call.tools:
        return (), answer
    made = _count_calls(_split(call.messages)[1])
    if call.tool_choice == "none" or (any(texts) and made >= len(lines)):
        return (), "\n\n".join(filter(None, texts[made:]))
    commands = _TOGETHER.split(lines[min(made, len(lines) - 1)])
    calls = tuple(_make_call(call, f"call_{made + 1}_{number}", one, answer) for number, one in enumerate(commands, 1))
    return calls, texts[made] if made < len(lines) else ""


def list_results(messages: Sequence[Message]) -> list[str]:
    """Results of tools since the last message of the user."""
    _, since = _split(messages)
    return [part.text for message in since for part in message.parts if isinstance(part, ToolResult)]


def _show_content(message: Message) -> Any:
    """The text, or a description of each part: a file without its bytes."""
    if isinstance(message.content, str):
        return message.content
    return [
        part.text
        if isinstance(part, TextPart)
        else {item.name: getattr(part, item.name) for item in fields(part) if item.compare}
        for part in message.parts
    ]


def _count_words(text: str) -> int:
    return len(text.split())


def _make(schema: Mapping[str, Any], said: str, numbers: Iterator[str]) -> Any:
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices:
        return next((choice for choice in choices if str(choice).casefold() in said.casefold()), choices[0])
    match schema.get("type"):
        case "object":
            return {name: _make(part, said, numbers) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_make(schema.get("items", {}), said, numbers)]
        case "integer":
            return int(_fit(schema, float(next(numbers, "0"))))
        case "number":
            return _fit(schema, float(next(numbers, "0")))
        case "boolean":
            return "yes" in said.casefold()
        case "null":
            return None
    return said


def _fit(schema: Mapping[str, Any], number: float) -> float:
    """The nearest number between the schema's bounds."""
    return float(min(max(number, schema.get("minimum", number)), schema.get("maximum", number)))


def _count_calls(messages: Sequence[Message]) -> int:
    """The number of answers that called tools."""
    return sum(any(isinstance(part, ToolCall) for part in message.parts) for message in messages)


def _split(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The last message of the user, and the messages after it."""
    at = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    return (messages[at].text, messages[at + 1 :]) if at >= 0 else ("", ())


def _make_call(call: ModelCall, key: str, command: str, said: str) -> ToolCall:
    """A call. Its arguments are JSON, else made of the words behind the name, else of the whole message; they fit the
    schema."""
    name, _, words = command.strip().partition(" ")
    if words.lstrip().startswith("{"):
        try:
            return ToolCall(key, name, json.loads(words))
        except (ValueError, RecursionError):
            return ToolCall(key, name, {}, "The arguments are no JSON.")
    schema = next((tool.parameters for tool in call.tools if tool.name == name), {})
    made: Any = make_json(schema, words or said)
    return ToolCall(key, name, made if isinstance(made, dict) else {})
