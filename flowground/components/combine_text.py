"""Combine Text: two texts as one."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import Component, Context, Output, declare
from flowground.values import ValueKind, check_length


class CombineText(Component):
    """Two texts, one behind the other."""

    type_name: ClassVar[str] = "CombineText"
    title: ClassVar[str] = "Combine Text"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"combined_text": "text"}
    waits: ClassVar[bool] = False

    text1: str = declare("", "First Text", "What comes first, usually a reference.", multiline=True)
    text2: str = declare("", "Second Text", "What comes behind it, usually a reference.", multiline=True)
    delimiter: str = declare(" ", "Delimiter", "What stands between the two.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parts = (self.text1, self.delimiter, self.text2)
        check_length(sum(map(len, parts)))
        return Output({"combined_text": "".join(parts)})
