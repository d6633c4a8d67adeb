"""Message History: what was said before in this session."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_mistake, parse_template
from flowground.messages import SENDERS
from flowground.values import SaidMessage, ValueKind, check_length

_VARIABLES = ("sender", "sender_name", "text")


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


def find_wrong_variable(parsed: Template) -> Iterator[Mistake]:
    """Variables that no message has, or too many."""
    if mistake := find_mistake(parsed, "template"):
        yield mistake
        return
    for variable in parsed.variables:
        if variable.is_meant(()) and variable.name not in _VARIABLES:
            message = f"A message has no `{{{variable.name}}}`."
            yield Mistake("template", message, missing=variable.name, offset=variable.offset, choices=_VARIABLES)


def describe_message(message: SaidMessage) -> dict[str, str]:
    """What a template may name, in Langflow's words."""
    sender, name = SENDERS[message.role]
    return {"sender": sender, "sender_name": message.sender_name or name, "text": message.text}


def write_lines(parsed: Template, messages: Iterable[SaidMessage]) -> list[str]:
    """Each message by the template. Raises as `check_length` where all are too long together."""
    lines: list[str] = []
    size = 0
    for message in messages:
        lines.append(parsed.fill(describe_message(message)))
        size += len(lines[-1])
        check_length(size)
    return lines


class MessageHistory(Component):
    """Earlier messages of this session as text, one a line; the current message is not among them."""

    type_name: ClassVar[str] = "MessageHistory"
    title: ClassVar[str] = "Message History"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"messages_text": "text"}

    n_messages: int = declare(100, "Number of Messages", "How many messages at most, the last ones.", ge=0, le=1000)
    order: Literal["Ascending", "Descending"] = declare_order()
    template: str = declare_template()

    _parsed: Template = PrivateAttr()

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        self._parsed = parse_template(self.template)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables that no message has, or too many."""
        yield from find_wrong_variable(self._parsed)

    async def run(self, context: Context) -> Output:
        if not self.n_messages:
            return Output({"messages_text": ""})
        messages = await context.history.read(self.n_messages)
        lines = write_lines(self._parsed.renew(self.template), messages)
        said = "\n".join(lines if self.order == "Ascending" else reversed(lines))
        return Output({"messages_text": said})
