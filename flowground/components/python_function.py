"""Python Function: a function of the operator's own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from pydantic import ConfigDict

from flowground.components.base import Component, Context, Output, declare
from flowground.components.outside import Outside
from flowground.errors import RunError
from flowground.providers.base import ToolSpec
from flowground.values import ValueKind


class PythonFunction(Component):
    """Calls a Python function that the operator made for flows, and gives what it returns.

    `functions:` of config.yaml names the modules; a flow file holds no Python. The arguments are those of the function:
    `arguments` gives some, and a field of an argument's name gives it as text or reference. As an agent's tool, the
    model gives those that are left out, as the function's signature and docstring describe them.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "PythonFunction"
    title: ClassVar[str] = "Python Function"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"result": "data"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    describes_itself: ClassVar[bool] = True

    function: str = declare(..., "Function", "As `module.function`.", fixed=True, max_length=200)
    arguments: dict[str, Any] = declare({}, "Arguments", "Arguments and their values.", protected=True)
    only_reads: bool = declare(
        False, "Only Reads", "True where a call changes nothing: then nobody need be asked before it.", fixed=True
    )

    @property
    def writes(self) -> bool:
        return not self.only_reads

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """With the arguments that are left to the model. Raises RunError where the function is not there."""
        function = outside.find_function(self.function)
        set_already = self._list_given()
        parameters = dict(function.parameters)
        properties: Mapping[str, Any] = parameters.get("properties", {})
        parameters["properties"] = {name: part for name, part in properties.items() if name not in set_already}
        parameters["required"] = [name for name in parameters["required"] if name not in set_already]
        description = spec.description if is_described else function.description or spec.description
        return replace(spec, description=description, parameters=parameters), self.writes

    def take_arguments(self, given: Mapping[str, Any]) -> Self:
        """With what a model gives beside the author's. Raises RunError where it would replace some of those."""
        if name := next((name for name in given if name in self._list_given()), None):
            raise RunError(f"`{name}` is set already.")
        return self.model_copy(update={"arguments": {**self.arguments, **given}})

    async def run(self, context: Context) -> Output:
        function = context.outside.find_function(self.function)
        return Output({"result": await function.call({**self.arguments, **self.__pydantic_extra__})})

    def _list_given(self) -> set[str]:
        return {*self.arguments, *self.__pydantic_extra__}
