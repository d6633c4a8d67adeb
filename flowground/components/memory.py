"""Components for the conversation: Message History and Recall read earlier messages, Store Message adds one."""

import asyncio
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from flowground.components.base import Component, Context, Mistake, Output, ToolComponent, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_template_mistakes, parse_template
from flowground.core.messages import SENDERS
from flowground.core.values import AddedMessage, FileReference, PastMessage, Record, ValueKind, check_length
from flowground.knowledge.terms import list_terms, spread

_VARIABLES = ("sender", "sender_name", "text")
_ALL = 1_000
"""The most messages that are read where more than the last ones are needed."""
_LOOKED_AT = 100_000
"""The most characters of one message that are searched."""
_PAUSE_AFTER = 100_000
"""Characters after which the search yields to the event loop."""
_NO_WORD = re.compile(r"[\W_]+")
_NOT_KEPT = "Nothing was stored: this flow keeps no messages (`should_store_message`)."


def declare_order() -> Any:
    """The field `order` of a component that gives messages."""
    return declare("Ascending", "Order", "Oldest first (Ascending) or newest first.")


def declare_template() -> Any:
    """The field `template` of a component that writes messages as text."""
    return declare(
        "{sender_name}: {text}",
        "Template",
        "How one message is written; `{sender_name}` is User or AI, `{sender}` User or Machine.",
        multiline=True,
        template=True,
        max_length=LONGEST_TEMPLATE,
    )


def find_wrong_variable(template: str) -> Iterator[Mistake]:
    """Variables that no message has, or too many variables."""
    yield from find_template_mistakes(template, "template")
    for variable in parse_template(template).variables:
        if variable.is_meant(()) and variable.name not in _VARIABLES:
            message = f"A message has no `{{{variable.name}}}`."
            yield Mistake("template", message, missing=variable.name, offset=variable.offset, choices=_VARIABLES)


def describe_message(message: PastMessage) -> dict[str, str]:
    """The variables of a template for a message, by Langflow's names."""
    sender, name = SENDERS[message.role]
    return {"sender": sender, "sender_name": message.sender_name or name, "text": message.text}


def write_lines(parsed: Template, messages: Iterable[PastMessage]) -> list[str]:
    """Each message by the template. Raises RunError where all together are too long, as `check_length` does."""
    lines: list[str] = []
    size = 0
    for message in messages:
        lines.append(parsed.fill(describe_message(message)))
        size += len(lines[-1])
        check_length(size)
    return lines


class MessageHistory(Component):
    """Earlier messages of this session as text, one a line; the current message is not among them."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"messages_text": "text"}

    n_messages: int = declare(100, "Number of Messages", "How many messages at most, the last ones.", ge=0, le=1000)
    order: Literal["Ascending", "Descending"] = declare_order()
    template: str = declare_template()

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables that no message has, or too many variables."""
        return find_wrong_variable(self.template)

    async def run(self, context: Context) -> Output:
        if not self.n_messages:
            return Output({"messages_text": ""})
        messages = await context.history.read(self.n_messages)
        lines = write_lines(parse_template(self.template), messages)
        text = "\n".join(lines if self.order == "Ascending" else reversed(lines))
        return Output({"messages_text": text})


class Recall(ToolComponent):
    """Finds earlier messages of this conversation by their words.

    Where nothing is searched for it gives the last ones. `${id}` is text, a message a line; `${id.messages}` records
    with `text`, `sender`, `sender_name`, `timestamp` and, where something is searched for, a `score` from 0 to 1;
    `${id.files}` the files that were sent with them. The current message is not among them.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"messages_text": "text", "messages": "records", "files": "files"}
    calls_out: ClassVar[bool] = True

    search_query: str = declare(
        "",
        "Search Query",
        "Messages with these words, or the beginnings of some, are given: those with the most.",
        multiline=True,
        model_may_set=True,
    )
    n_messages: int = declare(20, "Number of Messages", "How many messages at most.", ge=0, le=_ALL)
    sender_type: Literal["Machine", "User", "Machine and User"] = declare(
        "Machine and User", "Sender Type", "Whose messages: the model's, the person's, or both."
    )
    order: Literal["Ascending", "Descending"] = declare_order()
    template: str = declare_template()

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables that no message has, or too many variables."""
        return find_wrong_variable(self.template)

    async def run(self, context: Context) -> Output:
        scored = await self._find(context)
        if self.order == "Descending":
            scored.reverse()
        lines = write_lines(parse_template(self.template), (message for message, _ in scored))
        files: list[FileReference] = [file for message, _ in scored for file in message.files]
        records = [_write_record(message, score) for message, score in scored]
        return Output({"messages_text": "\n".join(lines), "messages": records, "files": files})

    async def _find(self, context: Context) -> list[tuple[PastMessage, float | None]]:
        """The messages in their order in time, with scores where there is a query."""
        if not self.n_messages:
            return []
        is_searched, is_any = bool(self.search_query.strip()), self.sender_type == "Machine and User"
        messages = await context.history.read(self.n_messages if is_any and not is_searched else _ALL)
        if not is_any:
            messages = [message for message in messages if SENDERS[message.role][0] == self.sender_type]
        if not is_searched:
            return [(message, None) for message in messages[-self.n_messages :]]
        scores = await _weigh(messages, self.search_query)
        best = sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], -at))
        return [(messages[at], round(scores[at], 3)) for at in sorted(best[: self.n_messages])]


class StoreMessage(ToolComponent):
    """Adds a message to this conversation, which later turns remember.

    It stands behind the turn's answer, and is stored with it, once, also where the turn fails or is stopped. Where
    `should_store_message` keeps the turn from being stored, nothing is. It reaches no other conversation. In a flow
    that another one runs, the conversation is that of the flow that was asked.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"stored_messages": "text"}

    message: str = declare(..., "Message", "What is stored.", multiline=True, model_may_set=True)
    sender: Literal["Machine", "User"] = declare(
        "Machine", "Sender", "Who is said to have said it: models are told it as that one's words.", protected=True
    )
    sender_name: str = declare("", "Sender Name", "The name that is shown; AI or User when empty.", max_length=100)

    @property
    def writes(self) -> bool:
        return True

    async def run(self, context: Context) -> Output:
        is_kept = context.history.append(AddedMessage(self.message, self.sender, self.sender_name))
        return Output({"stored_messages": self.message}, note="" if is_kept else _NOT_KEPT)


def _write_record(message: PastMessage, score: float | None) -> Record:
    at = datetime.fromtimestamp(message.at, UTC).isoformat(timespec="seconds")
    record = {**describe_message(message), "timestamp": at}
    return record if score is None else record | {"score": score}


async def _weigh(messages: Sequence[PastMessage], query: str) -> list[float]:
    """The score of each message from 0 to 1: its share of the query's words, in which rare words count more."""
    phrases = [" " + " ".join(term.parts) for term in list_terms(query)]
    found: list[list[bool]] = []
    size = 0
    for message in messages:
        text = message.text[:_LOOKED_AT]
        words = " " + _NO_WORD.sub(" ", spread(text).lower())
        found.append([phrase in words for phrase in phrases])
        size += len(text)
        if size > _PAUSE_AFTER:
            size = 0
            await asyncio.sleep(0)
    counts = [sum(has[number] for has in found) for number in range(len(phrases))]
    weights = [math.log(1 + len(messages) / count) if count else 0 for count in counts]
    whole = sum(weights) or 1
    return [sum(weight for weight, has in zip(weights, row, strict=True) if has) / whole for row in found]
