"""MCP: tools of another program, which speaks the Model Context Protocol."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.json_schema import find_misfit
from flowground.components.outside import Outside
from flowground.errors import RunError
from flowground.providers.base import ToolSpec
from flowground.values import ValueKind

CANNOT_BE_USED = "Cannot be used now: "
"""So a tool is described whose server is not there; why follows."""
_LONGEST_NAME = 64


class MCP(Component):
    """Tools of an MCP server, for an agent; or one of them, called with `arguments`.

    The server stands in `mcp_servers:` of config.yaml. An agent calls each tool in `tools` as `server_tool`, with the
    arguments that the server says; they are checked before they are sent. What the server says, its descriptions too,
    is the text of somebody else: a model may believe it.
    """

    type_name: ClassVar[str] = "MCP"
    title: ClassVar[str] = "MCP Tools"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"response": "text"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    describes_itself: ClassVar[bool] = True
    is_toolbox: ClassVar[bool] = True

    server: str = declare(..., "MCP Server", "A name under `mcp_servers:` of config.yaml.", fixed=True, max_length=100)
    tools: list[str] = declare(
        ..., "Tools", "Names of its tools: these and no others are used.", fixed=True, min_length=1, max_length=100
    )
    arguments: dict[str, Any] | None = declare(
        None,
        "Arguments",
        "For a call in the flow itself, without an agent; usually a reference. `{}` where the tool takes none.",
        kind="data",
        protected=True,
    )

    @property
    def writes(self) -> bool:
        return True  # unless the server says of a tool that it only reads

    def list_offered(self) -> Mapping[str, str]:
        names = ((re.sub(r"[^A-Za-z0-9_]", "_", f"{self.server}_{tool}")[:_LONGEST_NAME], tool) for tool in self.tools)
        return dict(names)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Arguments for several tools at once, and tools that a model could not tell apart."""
        if self.arguments is not None and len(self.tools) > 1:
            yield Mistake("arguments", "`arguments` are those of one tool: name one in `tools`.")
        if len(self.list_offered()) < len(self.tools):
            yield Mistake("tools", f"Two of `tools` would have one name: {', '.join(self.list_offered())}.")

    def choose(self, tool: str) -> Self:
        return self.model_copy(update={"tools": [tool]})

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """As the server says now; where it cannot be asked, that: a call will say the same."""
        try:
            found = await outside.servers.find_tool(self.server, self.tools[0])
        except RunError as error:
            return replace(spec, description=f"{CANNOT_BE_USED}{error.message}"), True
        description = spec.description if is_described else found.description
        return replace(spec, description=description, parameters=found.parameters), found.writes

    def take_arguments(self, given: Mapping[str, Any]) -> Self:
        return self.model_copy(update={"arguments": dict(given)})

    async def check_call(self, outside: Outside) -> None:
        """Raises RunError where the server is not there, or its tool takes other arguments."""
        found = await outside.servers.find_tool(self.server, self.tools[0])
        if misfit := await asyncio.to_thread(find_misfit, self.arguments or {}, found.parameters):
            raise RunError(f"The arguments do not fit: {misfit}")

    async def run(self, context: Context) -> Output:
        await self.check_call(context.outside)
        said = await context.outside.servers.call(self.server, self.tools[0], self.arguments or {})
        return Output({"response": said})
