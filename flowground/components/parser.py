"""Parser: records as text."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import LONGEST_TEMPLATE, RecordTemplate, Template, find_mistake, parse_template
from flowground.values import ValueKind, check_length, write_text

_PAUSE_EVERY = 5_000
"""After so many parts of templates that were filled, or records, the loop serves others."""


class Parser(Component):
    """Records as one text: a template filled with each, or all of them as JSON."""

    type_name: ClassVar[str] = "Parser"
    title: ClassVar[str] = "Parser"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"parsed_text": "text"}
    waits: ClassVar[bool] = False
    records_field: ClassVar[str | None] = "input_data"
    record_template: ClassVar[str | None] = "template"

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

    @property
    def fills_template(self) -> bool:
        return self.mode == "Parser"

    def list_mistakes(self) -> Iterator[Mistake]:
        """Too many variables."""
        if mistake := find_mistake(self._parsed, "template"):
            yield mistake

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parsed = self._parsed.renew(self.template)
        template = RecordTemplate(parsed)
        parts, size, work = [], 0, 0
        for record in self.input_data:
            work += 10 + len(parsed.parts)
            if work >= _PAUSE_EVERY:
                work = 0
                await asyncio.sleep(0)
            parts.append(template.fill(record) if self.fills_template else write_text(record, "data"))
            size += len(parts[-1]) + len(self.sep)
            check_length(size)
        note = template.note_unmet() if parts and self.fills_template else ""
        return Output({"parsed_text": self.sep.join(parts)}, note=note)
