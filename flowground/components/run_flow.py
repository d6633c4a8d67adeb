"""Run Flow: another flow as one step."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ConfigDict

from flowground.components.base import Component, Context, Output, declare
from flowground.values import ValueKind


class RunFlow(Component):
    """The answer of another flow, run as a part of this one: in the same session, with the same time and budget.

    Beside the message, each Text Input of that flow may be given by its id. Where all outputs of that flow were
    skipped, none of these is taken.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "RunFlow"
    title: ClassVar[str] = "Run Flow"
    outputs: ClassVar[Mapping[str, ValueKind]] = {
        "flow_outputs_message": "text",
        "flow_outputs_data": "data",
        "flow_outputs_dataframe": "records",
    }
    calls_out: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True

    flow: str = declare(
        ...,
        "Flow",
        "The other flow's id or endpoint name. Whoever may run this flow runs that one here, and nowhere else.",
        fixed=True,
    )
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
