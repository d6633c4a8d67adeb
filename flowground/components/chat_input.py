"""Chat Input: what the person says."""

from typing import ClassVar

from flowground.components.base import Component, Context, Output, field


class ChatInput(Component):
    """The message a person or program sends: the request's `input_value`, else its own."""

    type_name: ClassVar[str] = "ChatInput"
    title: ClassVar[str] = "Chat Input"
    outputs: ClassVar[tuple[str, ...]] = ("message",)
    takes_input: ClassVar[str | None] = "chat"
    waits: ClassVar[bool] = False

    input_value: str = field("", "Text", "The message when the request brings none.", multiline=True)

    def own_input(self) -> str:
        return self.input_value

    async def run(self, context: Context) -> Output:
        return Output(self.input_value if context.input_value is None else context.input_value)
