"""Chat Output and Text Output: what a flow answers."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import DO_NOT_STORE, NAMES_SENDER, Component, Context, Output, declare
from flowground.values import ValueKind


class _OutputComponent(Component):
    """The text that it is given."""

    waits: ClassVar[bool] = False

    input_value: str = declare(..., "Inputs", "What is answered, usually a reference.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        (port,) = self.outputs
        return Output({port: self.input_value})


class ChatOutput(_OutputComponent):
    """The answer shown in the playground and given by the API; it streams when it shows a model's text unchanged."""

    type_name: ClassVar[str] = "ChatOutput"
    title: ClassVar[str] = "Chat Output"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text"}
    gives_output: ClassVar[str | None] = "chat"

    sender_name: str = declare("AI", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)

    @property
    def keeps_messages(self) -> bool:
        return self.should_store_message


class TextOutput(_OutputComponent):
    """A text the API gives back; the playground shows it where the flow has no Chat Output."""

    type_name: ClassVar[str] = "TextOutput"
    title: ClassVar[str] = "Text Output"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    gives_output: ClassVar[str | None] = "text"

    input_value: str = declare(..., "Text", "What is given, usually a reference.", multiline=True)
