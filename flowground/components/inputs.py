"""Chat Input and Text Input: what a request brings."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import DO_NOT_STORE, NAMES_SENDER, Component, Context, Output, declare
from flowground.values import Value, ValueKind


class _InputComponent(Component):
    """The request's `input_value`, else its own."""

    waits: ClassVar[bool] = False

    input_value: str = declare("", "Text", "The message when the request brings none.", multiline=True)

    def find_own_input(self) -> str:
        return self.input_value

    async def run(self, context: Context) -> Output:
        said: Value = self.input_value if context.input_value is None else context.input_value
        given = {port: tuple(context.files) for port, kind in self.outputs.items() if kind == "files"}
        return Output({next(iter(self.outputs)): said, **given})


class ChatInput(_InputComponent):
    """The message a person or program sends: the request's `input_value`, else its own."""

    type_name: ClassVar[str] = "ChatInput"
    title: ClassVar[str] = "Chat Input"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text", "files": "files"}
    takes_input: ClassVar[str | None] = "chat"
    file_field: ClassVar[str | None] = "files"

    sender_name: str = declare("User", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)

    @property
    def keeps_messages(self) -> bool:
        return self.should_store_message


class TextInput(_InputComponent):
    """A text the flow works on: the request's `input_value` where `input_type` is `text` or `any`, else its own."""

    type_name: ClassVar[str] = "TextInput"
    title: ClassVar[str] = "Text Input"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    takes_input: ClassVar[str | None] = "text"

    input_value: str = declare("", "Text", "The text when the request brings none.", multiline=True)
