"""A component as a tool: called by an agent, with the arguments that its model gives."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from flowground.components.base import Component, DynamicTool, Output, Outside, ToolComponent
from flowground.components.connectors import MCP
from flowground.components.template import VariablesTool
from flowground.errors import RunError, ToolNotCalled
from flowground.fields.types import find_type
from flowground.fields.values import change_component, find_misfits, say_misfit
from flowground.runner.given import Given
from flowground.values import Value, ValueKind, write_text
from flowground.wiring.tools import WiredTool

LONGEST_RESULT = 20_000
"""Characters of what a tool gives that a model is shown."""
NO_RESULT = "Nothing was found."
"""What a model is told of a tool that gave an empty text."""


async def describe_tools(tools: Iterable[WiredTool], given: Given, outside: Outside) -> list[WiredTool]:
    """The tools as a model is told of them, side by side. Raises RunError where one is not there."""
    return await asyncio.gather(*(_describe(tool, given, outside) for tool in tools))


async def _describe(tool: WiredTool, given: Given, outside: Outside) -> WiredTool:
    if not isinstance(given.wired.components[tool.component], DynamicTool):
        return tool
    component = _choose(cast(DynamicTool, given.fill(tool.component)), tool)
    spec, writes = await component.describe(tool.spec, outside, is_described=tool.is_described)
    return replace(tool, spec=spec, writes=writes)


def _choose(component: DynamicTool, tool: WiredTool) -> DynamicTool:
    return component.choose(tool.offered) if isinstance(component, MCP) and tool.offered else component


async def prepare_call(
    component: Component, tool: WiredTool, given: Mapping[str, Any], outside: Outside
) -> tuple[ToolComponent, str | None]:
    """As `set_arguments`; of a call that a person is to allow also what is sent, as `ToolComponent.preview_call` says.

    Raises ToolNotCalled.
    """
    try:
        taken = set_arguments(component, tool, given)
        return taken, await taken.preview_call(outside) if tool.confirms else None
    except RunError as error:
        raise ToolNotCalled(error.message) from error


def set_arguments(component: Component, tool: WiredTool, given: Mapping[str, Any]) -> ToolComponent:
    """The component with the arguments of a call. Raises RunError with a sentence for the model."""
    kind, name = type(component), tool.spec.name
    if isinstance(component, DynamicTool):
        return _choose(component, tool).take_arguments(given)
    if unknown := next((key for key in given if key not in tool.arguments), None):
        takes = ", ".join(f"`{key}`" for key in tool.arguments) or "nothing"
        raise RunError(f"`{name}` takes {takes}, and no `{unknown}`.")
    if missing := next((key for key in tool.spec.parameters["required"] if given.get(key) in (None, "")), None):
        raise RunError(f"`{name}` needs `{missing}`.")
    try:
        read = {key: value for key, value in given.items() if value is not None}
        if isinstance(component, VariablesTool):
            read = dict(component.read_arguments(read))
        taken = {key: _take(kind, key, value) for key, value in read.items()}
        return cast(ToolComponent, change_component(component, taken))
    except ValidationError as error:
        key, limits = next(iter(find_misfits(error).items()))
        field = find_type(kind, key)
        assert field is not None  # noqa: S101 - it is one of the arguments
        raise RunError(f"{say_misfit(f'`{key}`', field, given.get(key), limits)}.") from None


def _write(value: Value, kind: ValueKind) -> str:
    """As text; of records that say where they come from, that too, so that a model can name it."""
    if kind != "records" or not all(isinstance(record.get("source"), str) for record in value):
        return write_text(value, kind)
    return "\n\n".join(f"[{record['source']}]\n{record.get('text', '')}" for record in value)


def _take(kind: type[Component], key: str, value: Any) -> Any:
    """What a model gives holds no variables: it is no template of the author's."""
    field = find_type(kind, key)
    is_template = field is not None and field.is_template and isinstance(value, str)
    return value.replace("{", "{{").replace("}", "}}") if is_template else value


def write_result(output: Output, ports: Mapping[str, ValueKind]) -> str:
    """The first of the ports that a tool gave, as text; of a long one the beginning."""
    port = next((port for port in ports if port in output.values), None)
    text = "" if port is None else _write(output.values[port], ports[port])
    if len(text) <= LONGEST_RESULT:
        return text or NO_RESULT
    return f"{text[:LONGEST_RESULT]}\n[Cut: these are the first {LONGEST_RESULT:,} of {len(text):,} characters.]"
