"""Chat Output: the answer in a conversation."""

from typing import ClassVar

from flowground.components.base import Component, Context, Output, field


class ChatOutput(Component):
    """The answer shown in the playground and given by the API; it streams when it shows a model's text unchanged."""

    type_name: ClassVar[str] = "ChatOutput"
    title: ClassVar[str] = "Chat Output"
    outputs: ClassVar[tuple[str, ...]] = ("message",)
    gives_output: ClassVar[str | None] = "chat"
    waits: ClassVar[bool] = False

    input_value: str = field(..., "Inputs", "What is answered, usually a reference.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output(self.input_value)
