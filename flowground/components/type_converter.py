"""Type Convert: text as data or records."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from flowground.components.base import Component, Context, Output, declare
from flowground.components.json_text import read_json_text
from flowground.errors import RunError
from flowground.values import ValueKind
from flowground.words import show

_PORTS: Mapping[str, tuple[str, ValueKind]] = {
    "Message": ("message_output", "text"),
    "JSON": ("data_output", "data"),
    "Table": ("dataframe_output", "records"),
}
"""Langflow's words for kinds of values: the output of each, and the kind here."""


class TypeConverter(Component):
    """A text that holds JSON, as data or records: what a model or a person wrote.

    A text in which the JSON stands between lines of three backticks will do, too. Data and records need no converter: a
    reference to them becomes what its field takes.
    """

    type_name: ClassVar[str] = "TypeConverter"
    title: ClassVar[str] = "Type Convert"
    outputs: ClassVar[Mapping[str, ValueKind]] = dict(_PORTS.values())
    waits: ClassVar[bool] = False

    input_data: str = declare(..., "Input", "The text, usually a reference.", multiline=True)
    output_type: Literal["Message", "JSON", "Table"] = declare(
        "JSON",
        "Output Type",
        "What becomes of it, and with it the one output: `JSON` data, `Table` records (one object is a list of one), "
        "`Message` the text itself.",
        fixed=True,
    )
    auto_parse: bool = declare(True, "Auto Parse", "False: nothing is read, the text is the `text` of one object.")

    def list_outputs(self) -> Mapping[str, ValueKind]:
        return dict((_PORTS[self.output_type],))

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        (port, kind) = _PORTS[self.output_type]
        if kind == "text":
            return Output({port: self.input_data})
        value = read_json_text(self.input_data) if self.auto_parse else {"text": self.input_data}
        return Output({port: _make_records(value) if kind == "records" else value})


def _make_records(value: Any) -> list[Mapping[str, Any]]:
    records = value if isinstance(value, list) else [value]
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise RunError(f"Records are wanted, a list of objects; the text's item {number} is {show(record)}.")
    return records
