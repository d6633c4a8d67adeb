"""Inputs and outputs of a flow: Chat Input and Output, Text Input and Output."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from flowground.components.base import DO_NOT_STORE, NAMES_SENDER, Component, Context, Output, declare
from flowground.core.values import Value, ValueKind

Kind = Literal["chat", "text"]
"""The kind of an input or output, as a request's `input_type` and `output_type` name it."""


class InputComponent(Component):
    """A component that receives the request's input, of its `kind`: the request's `input_value`, else its own."""

    kind: ClassVar[Kind]

    waits: ClassVar[bool] = False

    input_value: str = declare("", "Text", "The message when the request brings none.", multiline=True)

    async def run(self, context: Context) -> Output:
        value: Value = self.input_value if context.input_value is None else context.input_value
        files = {port: tuple(context.files) for port, kind in self.outputs.items() if kind == "files"}
        return Output({next(iter(self.outputs)): value, **files})


class ChatInput(InputComponent):
    """The message a person or program sends: the request's `input_value`, else its own."""

    type_name: ClassVar[str] = "ChatInput"
    title: ClassVar[str] = "Chat Input"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text", "files": "files"}
    kind: ClassVar[Kind] = "chat"

    sender_name: str = declare("User", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)


class TextInput(InputComponent):
    """A text the flow works on: the request's `input_value` where `input_type` is `text` or `any`, else its own."""

    type_name: ClassVar[str] = "TextInput"
    title: ClassVar[str] = "Text Input"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    kind: ClassVar[Kind] = "text"

    input_value: str = declare("", "Text", "The text when the request brings none.", multiline=True)


class OutputComponent(Component):
    """A component whose text is an answer of the flow, of its `kind`."""

    kind: ClassVar[Kind]

    waits: ClassVar[bool] = False

    input_value: str = declare(..., "Inputs", "The answer, usually a reference.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        (port,) = self.outputs
        return Output({port: self.input_value})


class ChatOutput(OutputComponent):
    """The answer shown in the playground and given by the API; it streams when it shows a model's text unchanged."""

    type_name: ClassVar[str] = "ChatOutput"
    title: ClassVar[str] = "Chat Output"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text"}
    kind: ClassVar[Kind] = "chat"

    sender_name: str = declare("AI", "Sender Name", NAMES_SENDER, literal=True, max_length=100)
    should_store_message: bool = declare(True, "Store Messages", DO_NOT_STORE, literal=True)


class TextOutput(OutputComponent):
    """A text the API gives back; the playground shows it where the flow has no Chat Output."""

    type_name: ClassVar[str] = "TextOutput"
    title: ClassVar[str] = "Text Output"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    kind: ClassVar[Kind] = "text"

    input_value: str = declare(..., "Text", "The text, usually a reference.", multiline=True)


def input_kind(component: Component | type[Component]) -> Kind | None:
    """The kind of the request's input that a component receives; None where it is no `InputComponent`."""
    kind = component if isinstance(component, type) else type(component)
    return kind.kind if issubclass(kind, InputComponent) else None


def output_kind(component: Component | type[Component]) -> Kind | None:
    """The kind of the flow's answer that a component gives; None where it is no `OutputComponent`."""
    kind = component if isinstance(component, type) else type(component)
    return kind.kind if issubclass(kind, OutputComponent) else None
