"""Other flows as one step: Run Flow runs a flow once, For Each once for each record."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from flowground.components.base import Context, Mistake, Output, TakesTexts, ToolComponent, declare
from flowground.components.template import LONGEST_TEMPLATE, RecordTemplate, find_template_mistakes, parse_template
from flowground.core.errors import ComponentFailed, FlowgroundError, RunError, RunOverBudget
from flowground.core.messages import Usage, sum_usage
from flowground.core.values import LONGEST, Record, ValueKind, measure, write_text

_ITEM = "text"
"""The name under which an item that is no record fills the template."""


class RunFlow(ToolComponent, TakesTexts):
    """The answer of another flow, run as a part of this one: in the same session, with the same time and budget.

    Where all outputs of that flow were skipped, none of these is taken.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {
        "flow_outputs_message": "text",
        "flow_outputs_data": "data",
        "flow_outputs_dataframe": "records",
    }
    calls_out: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    flow: str = declare(..., "Flow", "The other flow's id or endpoint name.", fixed=True)
    input_value: str = declare(
        "", "Input", "The message to that flow, usually a reference.", multiline=True, model_may_set=True
    )

    @property
    def may_leave_outputs(self) -> bool:
        return True

    def list_flows(self) -> tuple[str, ...]:
        return (self.flow,)

    async def run(self, context: Context) -> Output:
        answer = await context.run(self.flow, self.input_value, self.__pydantic_extra__)
        if not answer.outputs:
            return Output({}, usage=answer.usage)
        first = answer.outputs[0]
        values = {
            "flow_outputs_message": first.text,
            "flow_outputs_data": first.data,
            "flow_outputs_dataframe": [
                {"component": output.component_id, "text": output.text} for output in answer.outputs
            ],
        }
        return Output(values, first.model, answer.usage, first.finish_reason)


class ForEach(TakesTexts):
    """Another flow, run once for each record; its answers in the order of the records.

    With `step: {on_error: continue}` a record whose run fails has an `error` instead of an answer.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"done": "records"}
    calls_out: ClassVar[bool] = True

    data: list[Any] = declare(..., "Data", "Records or a list, usually a reference.", kind="data")
    flow: str = declare(..., "Flow", "The id or endpoint name of the flow that is run for each.", fixed=True)
    input_value: str = declare(
        "{text}",
        "Input",
        "The message to that flow; `{name}` is the record's value of that name, `{text}` an item that is no "
        "record. Empty: the whole record as JSON.",
        multiline=True,
        template=True,
        max_length=LONGEST_TEMPLATE,
    )
    output_column_name: str = declare(
        "text", "Output Column Name", "The answer's name in its record. Empty: the answer replaces the record."
    )
    parallel: int = declare(4, "Parallel", "How many run at once.", ge=1, le=64)

    def list_flows(self) -> tuple[str, ...]:
        return (self.flow,)

    def list_mistakes(self) -> Iterator[Mistake]:
        """A template with too many variables."""
        return find_template_mistakes(self.input_value, "input_value")

    async def run(self, context: Context) -> Output:
        template = parse_template(self.input_value)
        work = _EachRun(self, context, RecordTemplate(template) if template.parts else None)
        await work.run_all()
        note = work.template.note_unmatched() if work.template and self.data else ""
        return Output({"done": work.results}, usage=sum_usage(work.usages), note=note)


class _EachRun:
    """One run over all items, several at once; each result has its item's position."""

    def __init__(self, each: ForEach, context: Context, template: RecordTemplate | None) -> None:
        self._each, self._context, self.template = each, context, template
        self._left = iter(enumerate(each.data))
        self._bytes = 2
        self.results: list[Any] = [None] * len(each.data)
        self.usages: list[Usage] = []

    async def run_all(self) -> None:
        """Runs all items. Raises the first failure, and then cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._each.parallel, len(self.results))):
                    group.create_task(self._run_next())
        except* FlowgroundError as failures:
            raise _find_first(failures) from None

    async def _run_next(self) -> None:
        for place, item in self._left:
            record = item if isinstance(item, Mapping) else {_ITEM: item}
            result = await self._run_one(record)
            self.results[place] = result
            self._bytes += measure(result) + 1
            if self._bytes > LONGEST:
                raise RunError(
                    f"The answers are over {LONGEST:,} bytes together after "
                    f"{sum(done is not None for done in self.results):,} of {len(self.results):,} records."
                )

    async def _run_one(self, record: Record) -> Any:
        column, each = self._each.output_column_name, self._each
        try:
            message = self.template.fill(record) if self.template else write_text(dict(record), "data")
            answer = await self._context.run(each.flow, message, each.model_extra or {})
        except RunOverBudget:
            raise
        except FlowgroundError as error:
            if not self._context.goes_on:
                raise
            failed = error if isinstance(error, ComponentFailed) else ComponentFailed(None, error)
            return {**record, "error": failed.hide_inside().message}
        if answer.usage:
            self.usages.append(answer.usage)
        value = answer.outputs[0].data if answer.outputs else ""
        if column:
            return {**record, column: value}
        return value if isinstance(value, Mapping) else {_ITEM: value}


def _find_first(failures: BaseExceptionGroup[FlowgroundError]) -> FlowgroundError:
    first = failures.exceptions[0]
    return _find_first(first) if isinstance(first, BaseExceptionGroup) else first
