"""Message History: what was said before in this session."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_mistake, parse_template
from flowground.messages import SENDERS
from flowground.values import ValueKind, check_length

_VARIABLES = ("sender", "sender_name", "text")


class MessageHistory(Component):
    """Earlier messages of this session as text, one a line; the current message is not among them."""

    type_name: ClassVar[str] = "MessageHistory"
    title: ClassVar[str] = "Message History"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"messages_text": "text"}

    n_messages: int = declare(100, "Number of Messages", "How many messages at most, the last ones.", ge=0, le=1000)
    order: Literal["Ascending", "Descending"] = declare(
        "Ascending", "Order", "Oldest first (Ascending) or newest first."
    )
    template: str = declare(
        "{sender_name}: {text}",
        "Template",
        "How one message is written; `{sender_name}` is User or AI, `{sender}` User or Machine.",
        multiline=True,
        template=True,
        max_length=LONGEST_TEMPLATE,
    )

    _parsed: Template = PrivateAttr()

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        self._parsed = parse_template(self.template)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables that no message has, or too many."""
        if mistake := find_mistake(self._parsed, "template"):
            yield mistake
            return
        for variable in self._parsed.variables:
            if variable.is_meant(()) and variable.name not in _VARIABLES:
                message = f"A message has no `{{{variable.name}}}`."
                yield Mistake("template", message, missing=variable.name, offset=variable.offset, choices=_VARIABLES)

    async def run(self, context: Context) -> Output:
        if not self.n_messages:
            return Output({"messages_text": ""})
        messages = await context.history(self.n_messages)
        parsed = self._parsed.renew(self.template)
        lines, size = [], 0
        for message in messages:
            sender, name = SENDERS[message.role]
            lines.append(parsed.fill({"sender": sender, "sender_name": name, "text": message.content}))
            size += len(lines[-1])
            check_length(size)
        said = "\n".join(lines if self.order == "Ascending" else reversed(lines))
        return Output({"messages_text": said})
