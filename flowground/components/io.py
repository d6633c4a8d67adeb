"""Inputs and outputs of a flow: Chat Input and Output, Text Input and Output."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import DO_NOT_STORE, NAMES_SENDER, Component, Context, Kind, Output, declare
from flowground.core.values import Value, ValueKind


class InputComponent(Component):
    """A component that receives the request's input, of its `input_kind`: the request's `input_value`, else its own."""

    waits: ClassVar[bool] = False

    input_value: str = declare("", "Text", "The message when the request brings none.", multiline=True)

    async def run(self, context: Context) -> Output:
        value: Value = self.input_value if context.input_value is None else context.input_value
        files = {port: tuple(context.files) for port, kind in self.outputs.items() if kind == "files"}
        return Output({next(iter(self.outputs)): value, **files})


class ChatInput(InputComponent):
    """The message a person or program sends: the request's `input_value`, else its own."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text", "files": "files"}
    input_kind: ClassVar[Kind] = "chat"

    sender_name: str = declare("User", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)


class TextInput(InputComponent):
    """A text the flow works on: the request's `input_value` where `input_type` is `text` or `any`, else its own."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    input_kind: ClassVar[Kind] = "text"

    input_value: str = declare("", "Text", "The text when the request brings none.", multiline=True)


class OutputComponent(Component):
    """A component whose text is an answer of the flow, of its `output_kind`."""

    waits: ClassVar[bool] = False

    input_value: str = declare(..., "Inputs", "The answer, usually a reference.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        (port,) = self.outputs
        return Output({port: self.input_value})


class ChatOutput(OutputComponent):
    """The answer shown in the playground and given by the API; it streams when it shows a model's text unchanged."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text"}
    output_kind: ClassVar[Kind] = "chat"

    sender_name: str = declare("AI", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)


class TextOutput(OutputComponent):
    """A text the API gives back; the playground shows it where the flow has no Chat Output."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    output_kind: ClassVar[Kind] = "text"

    input_value: str = declare(..., "Text", "The text, usually a reference.", multiline=True)
