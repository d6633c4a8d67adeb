"""Parser: records as text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_mistake, parse_template
from flowground.values import Record, ValueKind, check_length, write_text


class Parser(Component):
    """Records as one text: a template filled with each, or all of them as JSON."""

    type_name: ClassVar[str] = "Parser"
    title: ClassVar[str] = "Parser"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"parsed_text": "text"}
    waits: ClassVar[bool] = False

    input_data: list[dict[str, Any]] = declare(..., "Data", "The records, usually a reference.", kind="records")
    mode: Literal["Parser", "Stringify"] = declare(
        "Parser", "Mode", "`Parser` fills the template with each record, `Stringify` writes each as JSON."
    )
    template: str = declare(
        "{text}",
        "Template",
        "How one record is written; `{name}` is its value of that name, and nothing where it has none.",
        multiline=True,
        template=True,
        max_length=LONGEST_TEMPLATE,
    )
    sep: str = declare("\n", "Separator", "What stands between two records.", multiline=True)

    _parsed: Template = PrivateAttr()

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        self._parsed = parse_template(self.template)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Too many variables."""
        if mistake := find_mistake(self._parsed, "template"):
            yield mistake

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parsed = self._parsed.renew(self.template)
        parts, size = [], 0
        for record in self.input_data:
            parts.append(self._write(parsed, record))
            size += len(parts[-1]) + len(self.sep)
            check_length(size)
        return Output({"parsed_text": self.sep.join(parts)})

    def _write(self, parsed: Template, record: Record) -> str:
        if self.mode == "Stringify":
            return json.dumps(record, ensure_ascii=False)
        values = {name: write_text(record[name], "data") if name in record else "" for name in parsed.names}
        return parsed.fill(values)
