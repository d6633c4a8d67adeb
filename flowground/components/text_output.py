"""Text Output: a text the flow gives that is no chat message."""

from typing import ClassVar

from flowground.components.base import Component, Context, Output, field


class TextOutput(Component):
    """A text the API gives back; the playground shows it where the flow has no Chat Output."""

    type_name: ClassVar[str] = "TextOutput"
    title: ClassVar[str] = "Text Output"
    outputs: ClassVar[tuple[str, ...]] = ("text",)
    gives_output: ClassVar[str | None] = "text"
    waits: ClassVar[bool] = False

    input_value: str = field(..., "Text", "What is given, usually a reference.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output(self.input_value)
